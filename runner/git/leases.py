"""Leases: a chain of commits that says who runs a run, and which step is about to start.

Taking, renewing and handing over are fast-forwards of one ref, so the compare-and-swap needs
no force, here or on a remote.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from runner.core.errors import InvalidDocument, Problem
from runner.core.values import parse_time, time_text
from runner.git import trailers
from runner.git.objects import NewCommit, ObjectStore, Signature

# How long a runner may be silent before others may take its run.
GRACE = timedelta(seconds=120)


@dataclass(frozen=True, kw_only=True)
class Lease:
    """One link of the chain; `step` is empty where none is about to start, or its `undo` command.

    What it says of the step (from `step` on) is handed on until the step is recorded.
    """

    holder: str
    epoch: int
    taken_at: datetime
    expires_at: datetime
    step: str = ""
    attempt: int = 0
    undo: bool = False
    authority: str = ""
    plan_tip: str = ""
    reserved_usd: str = ""
    started_at: datetime | None = None
    approvals: tuple[str, ...] = ()

    def is_due(self, now: datetime) -> bool:
        """Whether its holder has to be heard of again, so that nobody takes the run."""
        return now >= min(self.taken_at + GRACE / 4, self.expires_at - GRACE * 3 / 4)


def write(store: ObjectStore, lease: Lease, *, parent: str | None, by: Signature) -> str:
    """Store a lease commit on top of the last one and give its id."""
    subject = f"planlock: lease {lease.holder}"
    if lease.step:
        what = "the undo command of " if lease.undo else ""
        subject = f"planlock: about to start {what}{lease.step}"
    pairs = [
        ("Holder", lease.holder),
        ("Epoch", str(lease.epoch)),
        ("Taken-At", time_text(lease.taken_at)),
        ("Expires-At", time_text(lease.expires_at)),
        ("Step", lease.step),
        ("Attempt", str(lease.attempt) if lease.step else ""),
        ("Undo", "true" if lease.undo else ""),
        ("Authority", lease.authority),
        ("Plan-Tip", lease.plan_tip),
        ("Reserved-USD", lease.reserved_usd),
        ("Started-At", time_text(lease.started_at) if lease.started_at else ""),
        *(("Approval", digest) for digest in lease.approvals),
    ]
    commit = NewCommit(
        tree=store.write_tree({}),
        parents=(parent,) if parent else (),
        by=by,
        message=trailers.message(subject, pairs),
    )
    return store.write("commit", commit.unsigned())


def read(store: ObjectStore, oid: str) -> Lease:
    """Read a lease commit; raises InvalidDocument for anything else."""
    pairs = trailers.read(store.commit(oid).message)
    values = dict(pairs)
    try:
        return Lease(
            holder=values["Holder"],
            epoch=int(values["Epoch"]),
            taken_at=parse_time(values["Taken-At"]),
            expires_at=parse_time(values["Expires-At"]),
            step=values.get("Step", ""),
            attempt=int(values.get("Attempt", "0")),
            undo="Undo" in values,
            authority=values.get("Authority", ""),
            plan_tip=values.get("Plan-Tip", ""),
            reserved_usd=values.get("Reserved-USD", ""),
            started_at=parse_time(values["Started-At"]) if "Started-At" in values else None,
            approvals=tuple(value for key, value in pairs if key == "Approval"),
        )
    except (KeyError, ValueError) as error:
        problem = Problem(file=f"lease {oid}", code="lease", message=f"not a lease: {error}")
        raise InvalidDocument([problem]) from error
