"""`planlock doctor --sandbox`: attacks in earnest, told as a table, as JSON and as an exit code."""

from __future__ import annotations

import json

import click
import pytest
from team import Team

from runner.cli import modelling_sandbox
from runner.core.errors import SandboxUnavailable
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


def test_D11_no_backend_at_all() -> None:
    """Without a backend the refusal's own hint is the fix."""

    def find() -> Backend:
        raise SandboxUnavailable("bwrap is not installed", hint="sudo apt-get install bubblewrap")

    found = doctor_sandbox.trial("bubblewrap", find)
    assert (found.unavailable, found.results) == ("bwrap is not installed", ())
    assert doctor_sandbox.judged("confined", [found]).fix == "sudo apt-get install bubblewrap"
