"""A rollback whose process is killed loses nothing, and repeats no undo command by itself."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from team import Team, command

SOURCE = str(Path(__file__).parents[2])
MAIN = "import sys; from runner.cli.main import main; main(sys.argv[1:])"
PATIENCE_S = 60
STEPS = "".join(
    command(f"echo {name}", name=name) + "  undo: {command: sleep 2; echo taken back}\n"
    for name in ("one", "two")
)
FOLDER = "plans/job/runs/1"


@pytest.fixture
def killed(team: Team, confined: object) -> Team:  # noqa: ARG001  # commands need a sandbox
    """The rollback was killed while the undo command of the second step was running."""
    team.propose("job", STEPS)
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job").code == 0
    environment = {**team.environment("ada"), "PYTHONPATH": SOURCE}
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, "rollback", "job/1", "--yes"],
        cwd=team.root,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        end = time.monotonic() + PATIENCE_S
        while "about to start the undo" not in team.git(
            "log", "--format=%s", "refs/planlock/leases/job/1"
        ):
            assert time.monotonic() < end, "no undo command was started"
            assert process.poll() is None, "the rollback ended by itself"
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    return team


def records(team: Team) -> list[str]:
    names = team.git("ls-tree", "--name-only", f"planlock/job/1:{FOLDER}").split()
    return [name.removesuffix(".yaml") for name in names if name.endswith(".yaml")]


def test_an_undo_of_unknown_outcome_is_not_repeated(killed: Team) -> None:
    """The next rollback records it as interrupted, and stops."""
    done = killed.cli("ada", "rollback", "job/1", "--yes", "--json")
    assert (done.code, done.json["stopped_at"]) == (5, "two")
    assert "status: interrupted" in killed.show_file(
        "planlock/job/1", f"{FOLDER}/004-undo-two.yaml"
    )
    assert killed.cli("ada", "rollback", "job/1", "--yes").code == 5
    assert records(killed) == ["001-one", "002-two", "003-end", "004-undo-two", "run"]
    assert killed.cli("ada", "audit").code == 0


def test_an_undo_of_unknown_outcome_is_not_cleaned_away(killed: Team) -> None:
    """The lease alone knows of it, and `gc` leaves that where it is."""
    assert killed.cli("ada", "gc").code == 0
    assert killed.cli("ada", "rollback", "job/1", "--yes").code == 5
    assert "004-undo-two" in records(killed)
    assert killed.cli("ada", "gc").code == 0
    assert killed.refs("refs/planlock/leases") == []


def test_an_undo_of_unknown_outcome_is_repeated_when_asked(killed: Team) -> None:
    """`--retry` runs it again, and the rollback goes on from there."""
    done = killed.cli("ada", "rollback", "job/1", "--yes", "--retry", "--json")
    assert done.code == 0, done.text
    assert done.json["steps"] == {"two": "done", "one": "done"}
    assert records(killed) == [
        *("001-one", "002-two", "003-end", "004-undo-two", "005-undo-two"),
        *("006-undo-one", "007-rollback", "run"),
    ]
    assert killed.cli("ada", "audit").code == 0


def test_an_undo_of_unknown_outcome_can_be_left(killed: Team) -> None:
    """`--skip-undo` goes on without it, and the record says so."""
    done = killed.cli("ada", "rollback", "job/1", "--yes", "--skip-undo", "two", "--json")
    assert done.code == 0, done.text
    assert done.json["steps"] == {"two": "left", "one": "done"}
    assert killed.cli("ada", "audit").code == 0
