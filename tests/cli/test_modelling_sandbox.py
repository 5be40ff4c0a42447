"""`planlock doctor --sandbox`: attacks in earnest, told as a table, as JSON and as an exit code."""

from __future__ import annotations

import json

import click
import pytest
from sandbox_run import require_landlock
from team import Team

from runner.cli import modelling_sandbox
from runner.core.errors import SandboxUnavailable
from runner.sandbox import bubblewrap_profile, selftest
from runner.sandbox.contract import Backend
from runner.sandbox.selftest import Result
from runner.sandbox.selftest_attacks import ATTACKS
from runner.verbs import doctor_sandbox
from runner.verbs.doctor_sandbox import Trial

GOT_OUT = Result(id="D06", name="kill", title="end another process", held=False, detail="ended")
HELD = Result(id="D06", name="kill", title="end another process", held=True, detail="")


@pytest.mark.usefixtures("confined")
def test_the_backend_that_the_policy_asks_for_holds(team: Team) -> None:
    """A table of 80 columns names every attack, and the exit code says that all of it held."""
    done = team.cli("ada", "doctor", "--sandbox")
    assert done.code == 0, done.out
    lines = done.out.splitlines()
    assert lines[0].startswith("ok    bubblewrap ")
    assert all(any(each.title in line for line in lines) for each in ATTACKS)
    assert "GOT OUT" not in done.out
    assert max(len(click.unstyle(line)) for line in lines) <= 80


@pytest.mark.usefixtures("confined")
def test_the_same_as_json(team: Team) -> None:
    """JSON has each backend with each attack, and nothing but JSON on stdout."""
    value = json.loads(team.cli("ada", "doctor", "--sandbox", "--json").out)
    assert (value["well"], value["require"]) == (True, "confined")
    ran = [trial for trial in value["trials"] if trial["results"]]
    assert ran
    assert all(len(trial["results"]) == len(ATTACKS) for trial in ran)


@pytest.mark.parametrize(
    "require,bubblewrap,landlock,well",
    [
        ("confined", "held", "out", True),
        ("confined", "out", "held", False),
        ("confined", "missing", "held", False),
        ("landlock", "missing", "held", True),
        ("landlock", "missing", "out", False),
        ("landlock", "held", "out", True),
        ("landlock", "missing", "missing", False),
        ("none", "missing", "out", True),
    ],
)
def test_what_the_policy_asks_for_decides(
    require: str, bubblewrap: str, landlock: str, *, well: bool
) -> None:
    """The backend that would run commands here must have held; another one need not."""
    trials = [trial("bubblewrap", bubblewrap), trial("landlock", landlock)]
    report = doctor_sandbox.judged(require, trials)  # type: ignore[arg-type]
    assert report.well is well
    if not well:
        assert report.fix


def trial(kind: str, state: str) -> Trial:
    if state == "missing":
        return Trial(kind=kind, unavailable=f"{kind} is not there", fix="")
    results, unheld = ((HELD,), ()) if state == "held" else ((GOT_OUT,), ("kill",))
    return Trial(kind=kind, backend=f"{kind} 1", results=results, unheld=unheld)


def test_what_got_out_is_said_with_its_traces() -> None:
    """An attack that a backend should have held stands out, with what it reached."""
    report = doctor_sandbox.judged("confined", [trial("bubblewrap", "out")])
    text = click.unstyle("\n".join(modelling_sandbox.lines(report)))
    assert text.startswith("fail  bubblewrap 1 did not hold kill\n")
    assert "D06   end another process  GOT OUT" in text
    assert "D06 kill, bubblewrap: ended" in text


def test_D05_what_is_not_started_is_called_refused() -> None:
    """A backend that starts no step with hosts has refused the attack, and the legend says so."""
    landlock = require_landlock()
    attacks = [each for each in ATTACKS if each.case in {"D02", "D05"}]
    results = selftest.run(landlock, attacks)
    report = doctor_sandbox.judged(
        "landlock", [Trial(kind="landlock", backend=landlock.name, results=results)]
    )
    rows = [click.unstyle(line) for line in modelling_sandbox.lines(report)]
    words = {row[:4].strip(): row.split()[-1] for row in rows if row[:3] in {"D02", "D05"}}
    assert words == {"D02": "open", "D05": "refused"}
    assert "refused: this backend does not start such a command" in rows
    assert "open: this backend does not promise to hold it; see docs/sandbox.md" in rows


@pytest.mark.parametrize("kind", ["bubblewrap", "landlock"])
def test_the_fix_is_for_the_backend_that_was_chosen(kind: str) -> None:
    """A newer bubblewrap mends nothing of Landlock's: there it is the kernel, or bubblewrap."""
    fix = doctor_sandbox.judged("landlock", [trial(kind, "out")]).fix
    assert ("--only-upgrade bubblewrap" in fix) is (kind == "bubblewrap")
    assert ("update the kernel, or sudo apt-get install bubblewrap" in fix) is (kind == "landlock")


@pytest.mark.usefixtures("confined")
def test_the_profile_is_printed_as_it_is_loaded(team: Team) -> None:
    """`planlock doctor --apparmor-profile` prints the profile of the bwrap that is found alone."""
    done = team.cli("ada", "doctor", "--apparmor-profile")
    assert (done.code, done.out) == (0, bubblewrap_profile.profile())


def test_the_profile_goes_with_nothing_else(team: Team) -> None:
    """A profile among checks or as JSON would be no file for AppArmor."""
    for other in ("--sandbox", "--json"):
        assert team.cli("ada", "doctor", "--apparmor-profile", other).code == 2


def test_D11_no_backend_at_all() -> None:
    """Without a backend the refusal's own hint is the fix."""

    def find() -> Backend:
        raise SandboxUnavailable("bwrap is not installed", hint="sudo apt-get install bubblewrap")

    found = doctor_sandbox.trial("bubblewrap", find)
    assert (found.unavailable, found.results) == ("bwrap is not installed", ())
    assert doctor_sandbox.judged("confined", [found]).fix == "sudo apt-get install bubblewrap"
