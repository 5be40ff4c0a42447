"""`rollback`: take back what a run did, from a step on, by commits that are added."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from runner.core.errors import BranchBusy, Reason, Refused, UsageError
from runner.core.rollback import Backward, Undo, backward
from runner.core.run import digest_bytes, run_branch
from runner.core.text import visible
from runner.core.values import time_text
from runner.git import refs
from runner.git.control import Request, Wish
from runner.git.graph import Change
from runner.git.objects import Entry
from runner.git.refs import Move
from runner.project import Project
from runner.verbs import (
    ending,
    publishing,
    recording,
    rollback_merged,
    rollback_outlook,
    rollback_undo,
    taking,
)
from runner.verbs.control import Wishes
from runner.verbs.events import Listener
from runner.verbs.rollback_outlook import Outlook, Place
from runner.verbs.session import Session
from runner.verbs.stops import Stop


@dataclass(frozen=True, kw_only=True)
class Options:
    """`skip_undo` names steps whose undo command is left out, `retry` repeats one that failed.

    `here` is what the person at this terminal asks meanwhile.
    """

    skip_undo: frozenset[str] = frozenset()
    retry: bool = False
    here: Callable[[], Wish | None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class RollbackReport:
    """What came of a rollback: by step what became of its effects, and why it stopped if it did.

    `proposed` is the branch that takes the changes of a merged run back.
    """

    plan: str
    run: int
    branch: str
    commit: str
    status: str
    step: str
    steps: Mapping[str, Undo]
    restored: tuple[str, ...]
    proposed: str
    reasons: tuple[Reason, ...]
    stopped_at: str


class _Wishes(Wishes):
    """What somebody asked of the run, its end say, is not asked of its rollback."""

    def look(self, project: Project, plan: str, number: int) -> Request | None:  # noqa: ARG002  # of the run
        return self.mine(project)


def rollback(
    project: Project, outlook: Outlook, options: Options, listener: Listener
) -> RollbackReport:
    """Do what was looked at; raises Refused, RunHeld, UsageError or OutsideError."""
    _check(outlook, options)
    held = _hold(project, outlook, listener)
    held.wishes = _Wishes(here=options.here)
    with taking.holding(held):
        if held.tip != outlook.tip:
            message = f"run {outlook.name} has gone on since it was looked at"
            raise Refused(message, hint=f"planlock rollback {outlook.name} --dry-run")
        ending.settle_intent(held)
        first = outlook.number - 1
        stop = _undo_all(held, first, options)
        if stop is None:
            return _restore(held, first, options)
        return _report(held, outlook.step, _undone(held, first, options), stop=stop)


def _check(outlook: Outlook, options: Options) -> None:
    _refuse_conflicts(outlook.name, outlook.conflicts)
    with_undo = [each.id for each in outlook.steps if each.command]
    if unknown := sorted(options.skip_undo - {*with_undo}):
        known = ", ".join(with_undo) or "none"
        message = f"rolling back {outlook.name}: no undo command of {', '.join(unknown)} would run"
        raise UsageError(message, hint=f"steps with one: {known}")


def _refuse_conflicts(name: str, paths: Iterable[str]) -> None:
    reasons = tuple(
        Reason(
            code="rollback_conflict",
            message=f"{visible(path)} has changed on the trusted branch since the run was merged",
            fix="take it back by hand, or by another plan",
        )
        for path in paths
    )
    if reasons:
        raise Refused(f"run {name} cannot be rolled back", reasons=reasons)


def _hold(project: Project, outlook: Outlook, listener: Listener) -> Session:
    """Take the run; a merged one whose branch is gone gets it back where its tag is."""
    branch = run_branch(outlook.plan, outlook.run)
    if refs.read(project.git_dir, branch) is None:
        move = Move(ref=branch, old=None, new=outlook.tip)
        try:
            project.publisher.publish([move], reason=f"roll back {outlook.name}")
        except BranchBusy as error:
            message = f"rolling back {outlook.name}: its branch was made at this moment"
            raise Refused(message, hint="try again") from error
    return taking.take_over(
        project,
        outlook.plan,
        outlook.run,
        authority=project.authority(),
        listener=listener,
        may_be_over=True,
    )


def _undo_all(held: Session, first: int, options: Options) -> Stop | None:
    """Run the undo commands that are due, newest step first, until one does not succeed."""
    for back in backward(held.run, held.plan.file, first):
        if back.undo != "due" or back.step.id in options.skip_undo:
            continue
        if held.asked() is not None:
            return Stop(status="paused", step=back.step.id, message="stopped from this terminal")
        if back.last and not options.retry:
            return rollback_undo.not_repeated(held, back.step.id, back.last)
        if stop := rollback_undo.run(held, back.number):
            return stop
    return None


def _undone(held: Session, first: int, options: Options) -> tuple[Backward, ...]:
    """The steps that no longer count, newest first, with what became of their effects."""
    return tuple(
        replace(each, undo="left")
        if each.undo == "due" and each.step.id in options.skip_undo
        else each
        for each in backward(held.run, held.plan.file, first)
    )


def _restore(held: Session, first: int, options: Options) -> RollbackReport:
    """Bring the files back and end the run, in one commit."""
    place = rollback_outlook.place_at(held.project, held.run, held.plan, tip=held.tip, first=first)
    if (merged := place.merged()) is not None:
        _refuse_conflicts(f"{held.plan.id}/{held.number}", merged.conflicts)
        by = replace(held.by, when=int(held.now().timestamp()))
        rollback_merged.propose(held.project, held.run, merged, step=place.step.id, by=by)
    backs, changes = _undone(held, first, options), tuple(place.changes())
    entries = {each.path: each.old for each in changes}
    value = _value(held, place, backs)
    value["changes"] = [_change(held.project, each) for each in changes]
    publishing.publish_record(held, "rollback", value, entries, status="rolled_back", number=None)
    ending.clear(held)
    held.tell("run_finished", status="rolled_back")
    report = _report(held, place.step.id, backs, stop=Stop(status="rolled_back"))
    restored = tuple(visible(each.path) for each in changes)
    return replace(report, restored=restored, proposed=merged.branch if merged else "")


def _value(held: Session, place: Place, backs: tuple[Backward, ...]) -> dict[str, Any]:
    by, now = held.project.identity(), time_text(held.now())
    return {
        "kind": "rollback",
        "started_at": now,
        "ended_at": now,
        "executor": recording.executor(),
        "status": "rolled_back",
        "plan_digest": held.plan.file.digest,
        "rollback": {
            "step": place.step.id,
            "number": place.first + 1,
            "commit": place.commit,
            "steps": [
                {"id": each.step.id, "number": each.number + 1, "undo": each.undo} for each in backs
            ],
        },
        "asked_by": f"{by.name} <{by.email}>",
        "total": recording.total_block(held.run.cost),
    }


def _change(project: Project, change: Change) -> dict[str, Any]:
    """A path that comes back: from what the run left there to what was there before."""
    return {
        "path": change.path,
        "before": _digest(project, change.new),
        "after": _digest(project, change.old),
        "mode": change.old.mode if change.old else None,
        "size": len(project.store.blob(change.old.oid)) if change.old else 0,
    }


def _digest(project: Project, entry: Entry | None) -> str | None:
    return digest_bytes(project.store.blob(entry.oid)) if entry else None


def _report(held: Session, step: str, backs: tuple[Backward, ...], *, stop: Stop) -> RollbackReport:
    return RollbackReport(
        plan=held.plan.id,
        run=held.number,
        branch=held.branch.removeprefix("refs/heads/"),
        commit=held.tip,
        status=stop.status,
        step=step,
        steps={each.step.id: each.undo for each in backs},
        restored=(),
        proposed="",
        reasons=stop.reasons,
        stopped_at=stop.step,
    )
