"""The record of a decision: its fields, its signature, its commit, its row."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from runner.core import approval, ids
from runner.core.approval import NAMESPACE, Approval, Vote
from runner.core.documents import dump
from runner.core.errors import LedgerError
from runner.core.run import digest_bytes, plan_folder
from runner.core.text import visible
from runner.core.values import parse_duration, time_text
from runner.project import Authority, Project
from runner.verbs import ledger_sync
from runner.verbs import plan_branch as branches
from runner.verbs.evidence import PlanAt
from runner.verbs.show import step_lines

Kind = Literal["approve", "reject", "withdraw"]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the caller asks for; empty `steps` means all that the decision can be about.

    `digest` is that of the plan that was reviewed, or how it begins; empty means any.
    """

    decision: Kind
    steps: Sequence[str] = ()
    reason: str = ""
    expires: str = ""
    max_usd: str = ""
    max_runs: int = 0
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Decided:
    """The record that was written, its digest, and the commit that added it.

    `lines` has what each step does; `term` is how long the policy lets an approval live;
    `notes` tell what it will not be enough for, and what else of the same person stands.
    """

    decision: Kind
    plan: str
    approver: str
    plan_digest: str
    steps: tuple[str, ...]
    lines: tuple[str, ...]
    skipped: tuple[str, ...]
    id: str
    digest: str
    commit: str
    expires_at: str
    term: str
    supersedes: int
    push_command: str
    notes: tuple[str, ...] = ()


def record_value(  # noqa: PLR0913  # a record has these parts
    project: Project,
    plan: PlanAt,
    authority: Authority,
    wish: Wish,
    *,
    approver: str,
    now: datetime,
) -> dict[str, Any]:
    value: dict[str, Any] = {
        "version": 1,
        "id": ids.ulid(int(now.timestamp() * 1000), project.world.random(ids.RANDOM_BYTES)),
        "decision": wish.decision,
        "plan": plan.id,
        "repository": authority.policy.repository,
        "execution": authority.policy_file.execution,
        "approver": approver,
        "made_at": time_text(now),
    }
    if wish.decision == "approve":
        if expires := _expires(wish, authority, now):
            value["expires_at"] = expires
        limits = {"usd": wish.max_usd, "runs": wish.max_runs}
        if any(limits.values()):
            value["limits"] = {name: bound for name, bound in limits.items() if bound}
    if wish.reason:
        value["reason"] = visible(wish.reason)
    return value


def _expires(wish: Wish, authority: Authority, now: datetime) -> str:
    term = authority.policy.approvals_expire_after
    ends = [now + parse_duration(each) for each in (wish.expires, term) if each]
    return time_text(min(ends)) if ends else ""


def write_decision(
    project: Project,
    plan: PlanAt,
    value: dict[str, Any],
    *,
    onto: str,
    notes: tuple[str, ...] = (),
) -> Decided:
    """Sign a record and commit it onto a tip of the plan's branch."""
    data = dump(approval.ordered(value))
    armored = project.person.sign(data, namespace=NAMESPACE)
    record = approval.build(value, file=value["id"])
    path = f"{plan_folder(plan.id)}/approvals/{value['id']}.yaml"
    commit = branches.commit_files(
        project,
        plan.id,
        {path: data, f"{path}.sig": armored},
        onto=[onto],
        tree=project.store.commit(onto).tree,
        subject=f"planlock: {value['decision']} {plan.id}",
        pairs=[
            ("Plan", plan.id),
            ("Plan-Digest", plan.file.digest),
            ("Decision", value["decision"]),
            ("Approver", value["approver"]),
        ],
    )
    _to_ledger(project, record, digest_bytes(data))
    return Decided(
        decision=value["decision"],
        plan=plan.id,
        approver=value["approver"],
        plan_digest=plan.file.digest,
        steps=tuple(value["steps"]),
        lines=step_lines(project.store, plan, value["steps"]),
        skipped=tuple(value["skipped"]),
        id=value["id"],
        digest=digest_bytes(data),
        commit=commit,
        expires_at=value.get("expires_at", ""),
        term=project.authority().policy.approvals_expire_after or "",
        supersedes=len(value["supersedes"]),
        push_command=branches.push_command(project, plan.id),
        notes=notes,
    )


def _to_ledger(project: Project, record: Approval, digest: str) -> None:
    """Write the decision's row; without a working ledger it catches up when next opened."""
    vote = Vote(
        record=record,
        digest=digest,
        principal=record.approver,
        assurance=project.person.credential.assurance,
        current=True,
    )
    with suppress(LedgerError):
        ledger_sync.put_votes(project, [vote])
