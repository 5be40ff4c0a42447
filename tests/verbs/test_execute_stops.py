"""Why a run stops: what is missing, what people are to do, and what is not asked twice."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from forging import answer, codes
from team import READ, Team, command

pytestmark = pytest.mark.usefixtures("confined")
CHANGE = ": planlock propose job, then planlock run job --new"


class Bwrap:
    """A program of this name that counts its starts, and works so many times."""

    def __init__(self, folder: Path, *, works: int) -> None:
        self._counted = folder / "counted"
        folder.mkdir()
        program = folder / "bwrap"
        program.write_text(
            f"""#!/bin/sh
            [ "$1" = --version ] || echo start >> {self._counted}
            [ "$(cat {self._counted} 2>/dev/null | wc -l)" -le {works} ] || exit 1
            exec {shutil.which("bwrap")} "$@"
            """
        )
        program.chmod(0o755)
        self.env = {"PATH": f"{folder}:{os.environ['PATH']}"}

    @property
    def starts(self) -> int:
        return len(self._counted.read_text().splitlines())


def test_D11_a_sandbox_is_tried_out_once_a_run(team: Team, tmp_path: Path) -> None:
    """Not once a command: four commands start it five times."""
    bwrap = Bwrap(tmp_path / "programs", works=9)
    team.propose("job", "".join(command("true", name=name) for name in ("a", "b", "c", "d")))
    team.approve("bob", "job")
    done = team.cli("ada", "run", "job", env=bwrap.env)
    assert (done.code, bwrap.starts) == (0, 5), done.text


def test_D11_a_sandbox_that_stops_to_work_runs_nothing(team: Team, tmp_path: Path) -> None:
    """It was tried out and held one command: the next one fails, and the run after that waits."""
    bwrap = Bwrap(tmp_path / "programs", works=2)
    later = command("touch ran", name="later", more="writes: [ran]\n")
    team.propose("job", command("true", name="first") + later)
    team.approve("bob", "job")
    done = team.cli("ada", "run", "job", "--json", env=bwrap.env)
    assert (done.code, codes(done)) == (5, ["sandbox_unavailable"]), done.text
    assert answer(done)["steps"] == {"first": "completed", "later": "failed"}
    again = team.cli("ada", "run", "job", "--retry", "--json", env=bwrap.env)
    assert (again.code, codes(again)) == (4, ["sandbox_unavailable"]), again.text
    assert team.cli("ada", "run", "job", "--retry").code == 0


def test_D11_what_this_machine_lacks_is_no_approval(team: Team) -> None:
    """The run is paused with the reason, waits for nobody, and goes on where it can."""
    team.policy("secrets: []", "secrets: [DEPLOY_TO]")
    team.propose("job", READ + command("true", more="secrets: [DEPLOY_TO]\n"))
    team.approve("bob", "job")
    done = team.cli("ada", "run", "job", "--json")
    assert (done.code, codes(done)) == (4, ["secret_missing"]), done.text
    assert answer(done)["status"] == "paused"
    assert answer(done)["steps"] == {"read": "completed", "check": "pending"}
    assert team.cli("ada", "run", "job", env={"DEPLOY_TO": "a-long-secret"}).code == 0


@pytest.mark.parametrize(
    "script, more, fix",
    [
        ("exit 3", "", "planlock resume job --retry"),
        ("echo x > stray", "", f"declare the change or leave it out{CHANGE}"),
        ("mkfifo p", "", f"make pipes and sockets in $TMPDIR, or remove them{CHANGE}"),
        ("git init -q sub", "", f"make repositories in $TMPDIR, or remove their .git{CHANGE}"),
        ("touch 'back\\slash'", "", f"give the file another name{CHANGE}"),
        (
            "echo $DEPLOY_TO > made",
            "secrets: [DEPLOY_TO]\nwrites: [made]\n",
            f"keep the secret out of files{CHANGE}",
        ),
    ],
)
def test_a_failed_step_says_what_helps(team: Team, script: str, more: str, fix: str) -> None:
    """Where the same step would only fail again, it is the plan that must change."""
    team.policy("secrets: []", "secrets: [DEPLOY_TO]")
    team.propose("job", command(script, more=more))
    team.approve("bob", "job")
    for _ in range(2):
        done = team.cli("ada", "run", "job", "--json", env={"DEPLOY_TO": "a-long-secret"})
        (reason,) = answer(done)["reasons"]
        assert (done.code, reason["fix"]) == (5, fix), done.text


@pytest.mark.parametrize(
    "path, more, fix",
    [
        ("link", "", "name a file of the repository itself"),
        ("long", ", max_bytes: 10", "read the part that matters with a command"),
    ],
)
def test_a_failed_read_says_what_helps(team: Team, path: str, more: str, fix: str) -> None:
    """A file that cannot be read so is not read by trying again; `status` says the same."""
    make = "ln -s utils.py link; seq 99 > long"
    step = READ.replace("path: utils.py", f"path: {path}{more}")
    assert step != READ
    team.propose("job", command(make, more="writes: [link, long]\n") + step)
    team.approve("bob", "job")
    done = team.cli("ada", "run", "job", "--json")
    (reason,) = answer(done)["reasons"]
    assert (done.code, reason["fix"]) == (5, f"{fix}{CHANGE}"), done.text
    assert f"{fix}{CHANGE}" in team.cli("ada", "status", "job").out


def test_the_fix_of_a_failed_step_helps(team: Team) -> None:
    """A changed plan, proposed and approved again, runs anew."""
    team.propose("job", command("echo x > stray"))
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job").code == 5
    team.propose("job", command("echo x > stray", more="writes: [stray]\n"))
    team.approve("bob", "job")
    done = team.cli("ada", "run", "job", "--new")
    assert done.code == 0, done.text
