"""What a rollback takes back, newest step first, and what it says of each."""

from __future__ import annotations

from typing import Any

import pytest
from gate_cases import ASK, EDIT, READ, make_plan, step

from runner.core.record import Record, RecordFile, build_record
from runner.core.rollback import Backward, backward, done_here
from runner.core.run import RunFile, build_header

DIGEST = "sha256:" + "0" * 64
EXECUTOR = {"planlock": "0.1.0", "platform": "Linux"}
WHEN = "2026-11-22T10:00:00Z"
UNDO = {**step("publish", "run_command", command="x"), "undo": {"command": "y"}}
PLAIN = step("plain", "run_command", command="x", network=["a.org", "b.org"])
PLAN = make_plan(READ, EDIT, UNDO, PLAIN, ASK, step("odd", "deploy"))
NAMES = [each.id for each in PLAN.plan.steps]
CALL = {
    "provider": "p",
    "model": "m",
    "status": "ok",
    "input_tokens": 1,
    "output_tokens": 2,
    "cost_usd": "0.25",
    "cost_status": "computed",
    "file": "f",
}


def record(name: str, status: str = "completed", **changes: Any) -> Record:
    number = NAMES.index(name)
    told = {
        "id": name,
        "number": number + 1,
        "type": PLAN.plan.steps[number].step_type,
        "digest": PLAN.digests[number],
    }
    value = {
        "version": 1,
        "kind": "step",
        "previous": DIGEST,
        "executor": EXECUTOR,
        "started_at": WHEN,
        "ended_at": WHEN,
        "step": told,
        "status": status,
        **changes,
    }
    return build_record(value, file="record")


def run(*records: Record) -> RunFile:
    header = {
        "version": 1,
        "plan": "job",
        "run": 1,
        "repository": "r",
        "plan_digest": DIGEST,
        "plan_tip": "a" * 40,
        "base": "b" * 40,
        "trusted_ref": "refs/heads/main",
        "authority": "c" * 40,
        "approvals": [],
        "runner": "runner@planlock",
        "executor": EXECUTOR,
        "started_at": WHEN,
    }
    files = [
        RecordFile(name=f"{number:03d}-x.yaml", record=each, digest=DIGEST)
        for number, each in enumerate(records, start=1)
    ]
    return RunFile(
        header=build_header(header, file="run.yaml"), header_digest=DIGEST, records=tuple(files)
    )


def told(found: tuple[Backward, ...]) -> dict[str, str]:
    return {each.step.id: each.undo for each in found}


def test_the_steps_come_newest_first_each_with_its_undo() -> None:
    """Files need none, commands do, and of a plugin nobody knows."""
    done = run(*(record(name) for name in NAMES))
    assert list(told(backward(done, PLAN, 0)).items()) == [
        ("odd", "none"),
        ("ask", "not_needed"),
        ("plain", "none"),
        ("publish", "due"),
        ("edit", "not_needed"),
        ("read", "not_needed"),
    ]
    assert list(told(backward(done, PLAN, 4))) == ["odd", "ask"]


def test_steps_that_the_run_never_reached_are_not_taken_back() -> None:
    """Neither are those of another run."""
    begun = run(record("read"), record("edit"))
    assert list(told(backward(begun, PLAN, 0))) == ["edit", "read"]
    assert list(done_here(begun, PLAN)) == [0, 1]


def test_a_step_that_was_only_drafted_has_done_nothing() -> None:
    """Its text is in the plan, and no file has changed."""
    draft = {"step": "edit", "number": 2, "before": DIGEST}
    drafted = run(record("read"), record("read", kind="amendment", step=None, draft=draft))
    assert list(done_here(drafted, PLAN)) == [0]
    assert told(backward(drafted, PLAN, 1)) == {}


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_a_command_that_did_not_end_well_is_undone_too(status: str) -> None:
    """It may have done a part of its work."""
    (back,) = backward(run(record("publish", status)), PLAN, 2)
    assert (back.undo, back.status) == ("due", status)


def test_a_command_whose_outcome_is_not_recorded_is_undone_too() -> None:
    """Its runner was killed while it was running."""
    (back,) = backward(run(record("read")), PLAN, 1, started="publish")
    assert (back.undo, back.status) == ("due", "interrupted")


def test_a_skipped_step_did_nothing_unless_it_was_tried_before() -> None:
    """A skip after a failed attempt does not take that back."""
    skip = record("publish", "skipped", kind="skip")
    assert told(backward(run(skip), PLAN, 2)) == {"publish": "not_needed"}
    tried = run(record("publish", "failed"), skip)
    assert told(backward(tried, PLAN, 2)) == {"publish": "due"}


@pytest.mark.parametrize(
    "status,undo", [("completed", "done"), ("failed", "due"), ("interrupted", "due")]
)
def test_an_undo_command_that_has_run_is_not_due_again(status: str, undo: str) -> None:
    """One that failed is due, and its last attempt is told."""
    (back,) = backward(run(record("publish"), record("publish", status, kind="undo")), PLAN, 2)
    assert (back.undo, back.last, back.status) == (undo, status, "completed")


def test_what_stays_is_told() -> None:
    """Effects outside without an undo, the hosts that were in reach, and money."""
    done = run(record("plain"), record("ask", calls=[CALL]), record("odd"))
    notes = {each.step.id: each.note for each in backward(done, PLAN, 0)}
    assert notes == {
        "odd": "no undo command: whatever it did outside the repository stays",
        "ask": "the 0.25 USD that its models cost stay spent",
        "plain": "no undo command: whatever it did outside the repository stays"
        " (it could contact a.org, b.org)",
    }
