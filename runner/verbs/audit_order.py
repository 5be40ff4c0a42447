"""A run's header, its order of steps and attempts, its digests, its sums and its calls."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from runner.core import documents
from runner.core.cost import LOST, Call
from runner.core.plan import PlanFile
from runner.core.record import Record
from runner.core.run import RunFile, chain_problems
from runner.core.run_index import ENDS
from runner.core.run_states import DONE, check_transition
from runner.core.values import parse_time
from runner.verbs import audit_drafts, audit_rollback, recording
from runner.verbs.audit_shape import Link, Walk
from runner.verbs.evidence import PlanAt

CHANGING = frozenset({("step", "completed"), ("rollback", "rolled_back")})


def check(walk: Walk) -> None:
    """Check the run as a whole; each commit is checked by `check_link`."""
    for problem in chain_problems(walk.run):
        walk.add("chain_broken", "", problem)
    _check_header(walk)
    _check_times(walk)


def check_link(walk: Walk, link: Link, before: RunFile, turns: Turns) -> None:
    """Check one record against the run as it was before it."""
    with walk.past.found.reading(f"{walk.name} {link.file.name}"):
        _check_place(walk, link, before, turns)
        _check_calls(walk, link)


@dataclass
class Turns:
    """Whose turn it is: the first step that is not done, looked for from where it was last."""

    _digests: tuple[str, ...] = ()
    _place: int = 0

    def next(self, run: RunFile, plan: PlanFile) -> str | None:
        """The step's id; None where all are done."""
        if plan.digests != self._digests:
            self._digests, self._place = plan.digests, 0
        steps = plan.plan.steps
        while self._place < len(steps) and self._is_done(run, steps[self._place].id):
            self._place += 1
        return steps[self._place].id if self._place < len(steps) else None

    def note(self, record: Record) -> None:
        """Begin anew after a record by which a step may no longer be done."""
        if record.kind not in {"step", "skip"} or record.status not in DONE:
            self._place = 0

    @staticmethod
    def _is_done(run: RunFile, step: str) -> bool:
        last = run.latest(step)
        return last is not None and last.status in DONE


def _check_header(walk: Walk) -> None:
    header, past = walk.run.header, walk.past
    with past.found.reading(f"{walk.name} run.yaml"):
        plan = past.plan_at(header.plan_tip, header.plan, on_branch=True)
        facts = (
            (header.repository, past.trusted.policy.repository, "repository"),
            (header.base, plan.file.plan.base if plan else None, "base"),
        )
        for said, wanted, what in facts:
            if said != wanted:
                walk.add("header_differs", "run.yaml", f"{what} is {said}, not {wanted}")
        if plan is None or plan.file.digest != header.plan_digest:
            message = f"{header.plan_digest} is not the plan in {header.plan_tip[:12]}"
            walk.add("digest_differs", "run.yaml", message)


def _check_times(walk: Walk) -> None:
    """Each record starts no earlier than the last one ended."""
    moments = [walk.run.header.started_at]
    for link in walk.links:
        moments += [link.record.started_at, link.record.ended_at]
    for early, late in itertools.pairwise(moments):
        if parse_time(late) < parse_time(early):
            walk.add("order", "", f"{late} is recorded after {early}")


def _check_place(walk: Walk, link: Link, before: RunFile, turns: Turns) -> None:
    plan = walk.plan_before(link)
    where, record = link.file.name, link.record
    audit_rollback.check_turn(walk, link, before)
    if record.changes and (record.kind, record.status) not in CHANGING:
        message = f"only a completed step changes anything; this is a {record.status} {record.kind}"
        walk.add("unapproved_change", where, message)
    if plan is None:
        walk.add("digest_differs", where, "the branch holds no plan there")
    elif record.kind == "undo":
        _check_digest(walk, link, plan)
        audit_rollback.check_undo(walk, link, plan.file, before)
    elif record.step is not None:
        _check_digest(walk, link, plan)
        _check_turn(walk, link, before, turns.next(before, plan.file))
    elif record.kind == "amendment":
        _check_amendment(walk, link, before)
        if record.drafted is not None:
            audit_drafts.check(walk, link, turns.next(before, plan.file))
    elif record.kind in ENDS:
        _check_end(walk, link, plan, before)
        audit_rollback.check(walk, link, plan.file, before)
    elif record.kind == "review":
        _check_review(walk, link)
    else:
        walk.add("digest_differs", where, f"a record of kind {record.kind} names no step")


def _check_digest(walk: Walk, link: Link, plan: PlanAt) -> None:
    step = link.record.step
    number = plan.file.index(step.id) if step else None
    if step is None or number is None:
        walk.add("digest_differs", link.file.name, f"the plan has no step {step and step.id}")
        return
    wanted = (number + 1, plan.file.plan.steps[number].step_type, plan.file.digests[number])
    if (step.number, step.type, step.digest) != wanted:
        message = f"step {step.id} is not the one that the plan has at that point"
        walk.add("digest_differs", link.file.name, message)


def _check_review(walk: Walk, link: Link) -> None:
    """Each decision that it names came with it."""
    came = {walk.past.digest(each.new.oid) for each in link.approvals if each.new is not None}
    for digest in link.record.decisions:
        if digest not in came:
            message = f"decision {digest[7:19]} did not come with it"
            walk.add("order", link.file.name, message)


def _check_turn(walk: Walk, link: Link, run: RunFile, turn: str | None) -> None:
    """Only the first step that is not done may come, as its next attempt."""
    record = link.record
    if record.step is None:
        return
    if turn != record.step.id:
        message = f"step {record.step.id} came while {turn or 'nothing'} was next"
        walk.add("order", link.file.name, message)
    last = run.latest(record.step.id)
    tried = last.attempt if last else 0
    wanted = max(tried, 1) if record.kind == "skip" else tried + 1
    if record.attempt != wanted:
        message = f"attempt {record.attempt} of {record.step.id}; attempt {wanted} was next"
        walk.add("order", link.file.name, message)
    _check_transition(walk, link, last.status if last else "pending")


def _check_transition(walk: Walk, link: Link, before: str) -> None:
    record = link.record
    if (record.kind == "skip") != (record.status == "skipped"):
        walk.add("order", link.file.name, f"kind {record.kind} with status {record.status}")
    way = [before, "skipped"] if record.kind == "skip" else [before, "running", record.status]
    try:
        for old, new in itertools.pairwise(way):
            check_transition(old, new)
    except (KeyError, ValueError):
        walk.add("order", link.file.name, f"a step cannot go from {before} to {record.status}")


def _check_amendment(walk: Walk, link: Link, before: RunFile) -> None:
    """A newer plan may be adopted only if every recorded step is still the same."""
    after = walk.plan_after(link)
    digests = (
        dict(zip((step.id for step in after.file.plan.steps), after.file.digests, strict=True))
        if after
        else {}
    )
    failed = link.record.draft is not None and link.record.status != "completed"
    told = after.file.digest if after and failed else link.record.plan_digest
    if after is None or told != after.file.digest:
        walk.add("digest_differs", link.file.name, "its plan digest is not that of the plan")
    for step in (file.record.step for file in before.records):
        if step is not None and digests.get(step.id) != step.digest:
            message = f"the adopted plan changes step {step.id}, which was recorded already"
            walk.add("digest_differs", link.file.name, message)


def _check_end(walk: Walk, link: Link, plan: PlanAt, run: RunFile) -> None:
    latest = [run.latest(step.id) for step in plan.file.plan.steps]
    if link.record.status == "completed" and not all(
        each is not None and each.status in DONE for each in latest
    ):
        walk.add("order", link.file.name, "the run ends as completed with steps left")
    if link.record.plan_digest != plan.file.digest:
        walk.add("digest_differs", link.file.name, "its plan digest is not that of the plan")
    cost = run.cost
    wanted = recording.total_block(cost)
    said = link.record.total.model_dump() if link.record.total else None
    if said != wanted:
        walk.add("cost_differs", link.file.name, f"its total is {said}; the records give {wanted}")


def _check_calls(walk: Walk, link: Link) -> None:
    for call in link.record.calls:
        if call.status == LOST:
            continue  # its runner ended before it could keep what was said
        path = f"{walk.folder}/{call.file}"
        _, data = walk.contents(link, path)
        if data is None:
            walk.add("call_missing", link.file.name, f"there is no {path}")
            continue
        if not _tells(documents.parse(data, file=path).value, call):
            walk.add("cost_differs", link.file.name, f"{path} tells another call")


def _tells(value: Any, call: Call) -> bool:
    """Whether the file of a question has the call as the record does; the first version had one."""
    told = value.get("calls", [value]) if isinstance(value, dict) else []
    wanted = call.model_dump(exclude_unset=True)
    return any(
        isinstance(each, dict) and {name: each.get(name) for name in wanted} == wanted
        for each in told
    )
