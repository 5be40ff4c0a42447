"""Undo commands and rollbacks: their turn, and whether they took back what they say."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.plan import PlanFile
from runner.core.record import RecordedRollback
from runner.core.rollback import backward
from runner.core.run import RunFile, plan_folder
from runner.verbs.audit_shape import Link, Walk

OUTCOMES = frozenset({"completed", "failed", "interrupted"})
AFTERWARDS = frozenset({"undo", "rollback"})


def check_turn(walk: Walk, link: Link, before: RunFile) -> None:
    """What may come after the end, and after the first undo command: only the way back."""
    record, end = link.record, before.index.end
    if end is not None and (end.kind == "rollback" or record.kind not in AFTERWARDS):
        walk.add("order", link.file.name, "it comes after the closing record")
    elif before.index.undos and record.kind in {"step", "skip", "amendment", "review"}:
        message = f"a {record.kind} came after the run's effects had begun to be undone"
        walk.add("order", link.file.name, message)


def check_undo(walk: Walk, link: Link, plan: PlanFile, before: RunFile) -> None:
    """An undo command is one that the plan has, of a step that ran, and not done before."""
    record, where = link.record, link.file.name
    if record.step is None:
        walk.add("digest_differs", where, "an undo names no step")
        return
    name = record.step.id
    number, last = plan.index(name), before.latest_undo(name)
    if number is not None and plan.plan.steps[number].undo is None:
        walk.add("rollback_differs", where, f"step {name} has no undo command")
    if not any(each.kind == "step" for each in before.index.about.get(name, ())):
        walk.add("order", where, f"step {name} was undone without having run")
    if record.status not in OUTCOMES:
        walk.add("order", where, f"kind undo with status {record.status}")
    if last is not None and last.status == "completed":
        walk.add("order", where, f"step {name} was undone already")
    wanted = (last.attempt if last else 0) + 1
    if record.attempt != wanted:
        message = f"attempt {record.attempt} to undo {name}; attempt {wanted} was next"
        walk.add("order", where, message)


def check(walk: Walk, link: Link, plan: PlanFile, before: RunFile) -> None:
    """A rollback names the steps that no longer count, and restores what was there before them."""
    told, where = link.record.rollback, link.file.name
    if told is None:
        return
    if link.record.status != "rolled_back":
        walk.add("order", where, f"kind rollback with status {link.record.status}")
    first = plan.index(told.step)
    if first is None or first + 1 != told.number:
        message = f"the plan has no step {told.number} {told.step}"
        walk.add("rollback_differs", where, message)
        return
    _check_steps(walk, link, told, plan, before)
    _check_commit(walk, link, told)
    _check_files(walk, link, told)


def _check_steps(
    walk: Walk, link: Link, told: RecordedRollback, plan: PlanFile, before: RunFile
) -> None:
    expected = [
        (each.step.id, each.number + 1, "left" if each.undo == "due" else each.undo)
        for each in backward(before, plan, told.number - 1)
    ]
    found = [(each.id, each.number, each.undo) for each in told.steps]
    if found != expected:
        message = f"it names {_names(found)}; the records give {_names(expected)}"
        walk.add("rollback_differs", link.file.name, message)
    kept = {step.id for step in plan.plan.steps[: told.number - 1]}
    for name in sorted(kept & before.index.undos.keys()):
        message = f"step {name} still counts, though its undo command was run"
        walk.add("rollback_differs", link.file.name, message)


def _names(steps: Sequence[tuple[str, int, str]]) -> str:
    return ", ".join(f"{number} {name} ({undo})" for name, number, undo in steps) or "no step"


def _check_commit(walk: Walk, link: Link, told: RecordedRollback) -> None:
    """It goes back to the commit before the first record about the step."""
    place = next((each.before.oid for each in walk.links if each.record.about == told.step), None)
    if place != told.commit:
        message = f"{told.commit[:12]} is not the commit before step {told.step}"
        walk.add("rollback_differs", link.file.name, message)


def _check_files(walk: Walk, link: Link, told: RecordedRollback) -> None:
    own = f"{plan_folder(walk.run.header.plan)}/"
    for each in walk.past.changes(told.commit, link.commit.oid):
        if not each.path.startswith(own):
            message = f"{each.path} is not as {told.commit[:12]} has it"
            walk.add("rollback_differs", link.file.name, message)
