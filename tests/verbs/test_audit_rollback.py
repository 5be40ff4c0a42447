"""Each way in which a rollback can tell another story than git has its finding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sandbox_run import require_bwrap
from tampering import Files, copy, findings, forging
from team import EDIT, Team, command

UNDO = "  undo: {command: echo undone}\n"
STEPS = EDIT + command("echo out", name="sent") + UNDO + command("echo more", name="kept")
RECORD = "006-rollback.yaml"


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Team:
    """A run of three steps was rolled back whole; the second has an undo command."""
    require_bwrap()
    team = Team.governed(tmp_path_factory.mktemp("ready"), "bob")
    team.propose("job", STEPS)
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job").code == 0
    done = team.cli("ada", "rollback", "job/1", "--yes")
    assert done.code == 0, done.text
    assert findings(team) == {}
    return team


@pytest.fixture
def rolled(ready: Team, tmp_path: Path) -> Team:
    return copy(ready, tmp_path)


def told(
    team: Team,
    edit: Callable[[dict[str, Any]], object],
    *,
    of: str = RECORD,
    files: Files | None = None,
    order: tuple[int, ...] = (),
) -> dict[str, str]:
    """What the audit finds after one record was told otherwise, the chain being sound."""

    def change(name: str, value: dict[str, Any]) -> None:
        if name == of:
            edit(value)

    with forging(team) as forger:
        forger.rechain("job/1", change, key=forger.runner_key, files=files, order=order)
    return findings(team)


def test_other_files_than_before(rolled: Team) -> None:
    """A rollback that leaves something in a file is found, though its record tells of it."""
    found = told(rolled, lambda _: None, files={"utils.py": b"evil\n"})
    assert "utils.py is not as" in found["rollback_differs"]


def test_another_commit_than_before_the_step(rolled: Team) -> None:
    """The commit that is restored must be the one before the step."""
    tip = rolled.git("rev-parse", "planlock/job/1~1")
    found = told(rolled, lambda value: value["rollback"].update(commit=tip))
    assert "is not the commit before step edit" in found["rollback_differs"]


def test_a_step_that_is_none(rolled: Team) -> None:
    """Step and number must be of the plan."""
    found = told(rolled, lambda value: value["rollback"].update(number=2))
    assert "the plan has no step 2 edit" in found["rollback_differs"]


@pytest.mark.parametrize("undo", ["left", "none", "not_needed"])
def test_another_outcome_of_an_undo(rolled: Team, undo: str) -> None:
    """What became of a step's effects must be what the records before tell."""
    found = told(rolled, lambda value: value["rollback"]["steps"][1].update(undo=undo))
    assert f"2 sent ({undo})" in found["rollback_differs"]


def test_effects_that_are_said_to_be_undone(rolled: Team) -> None:
    """A step without an undo command cannot have been undone."""
    found = told(rolled, lambda value: value["rollback"]["steps"][0].update(undo="done"))
    assert "3 kept (none)" in found["rollback_differs"]


def test_a_step_that_is_left_out(rolled: Team) -> None:
    """All steps from there on no longer count."""
    found = told(rolled, lambda value: value["rollback"]["steps"].pop(0))
    assert "the records give 3 kept (none)" in found["rollback_differs"]


def test_a_rollback_without_its_signature(rolled: Team) -> None:
    """It is signed on its own, as the record is that closes a run."""
    with forging(rolled) as forger:
        path = f"plans/job/runs/1/{RECORD}.sig"
        forger.amend("planlock/job/1", {path: b"none\n"}, key=forger.runner_key)
        forger.forget("job/1")
    assert "unsigned_run" in findings(rolled)


def test_an_undo_of_a_step_without_one(rolled: Team) -> None:
    """Only what people approved to undo a step can have undone it."""
    with forging(rolled) as forger:
        step = forger.value("planlock/job/1", "plans/job/runs/1/003-kept.yaml")["step"]
    found = told(rolled, lambda value: value.update(step=step), of="005-undo-sent.yaml")
    assert "step kept has no undo command" in found["rollback_differs"]


def test_an_undo_that_nobody_approved(rolled: Team) -> None:
    """The gate is asked again about an undo, with what its record says that it relied on."""
    nothing = f"sha256:{'0' * 64}"
    found = told(
        rolled, lambda value: value["gate"].update(approvals=[nothing]), of="005-undo-sent.yaml"
    )
    assert "approval 000000000000 is nowhere" in found["not_allowed"]


def test_an_undo_that_comes_twice(rolled: Team) -> None:
    """What was undone is not undone again."""
    found = told(rolled, lambda _: None, order=(1, 2, 3, 4, 5, 5, 6))
    assert "step sent was undone already" in found["order"]


def test_an_undo_of_what_has_not_run(rolled: Team) -> None:
    """A step is undone after it ran."""
    found = told(rolled, lambda _: None, order=(1, 5, 2, 3, 4, 6))
    assert "step sent was undone without having run" in found["order"]
    assert "came after the run's effects had begun to be undone" in found["order"]


def test_a_record_after_the_rollback(rolled: Team) -> None:
    """After a rollback nothing comes."""
    found = told(rolled, lambda _: None, order=(1, 2, 3, 4, 5, 6, 5))
    assert "it comes after the closing record" in found["order"]


def test_a_step_after_the_end(rolled: Team) -> None:
    """After the end only undo commands and a rollback come."""
    found = told(rolled, lambda _: None, order=(1, 2, 4, 3, 5, 6))
    assert "003" in found["order"] or "004" in found["order"]
    assert "it comes after the closing record" in found["order"]
