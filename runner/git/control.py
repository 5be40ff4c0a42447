"""Requests to a run from any terminal or machine: a chain of commits beside its lease.

Each is a fast-forward of one ref, so two that are made at once cannot overwrite each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from runner.core.errors import InvalidDocument, Problem
from runner.core.values import parse_time, time_text
from runner.git import trailers
from runner.git.objects import NewCommit, ObjectStore, Signature

Wish = Literal["pause", "cancel", "resume"]
WISHES: Mapping[str, Wish] = {each: each for each in get_args(Wish)}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What somebody asked of a run; `asked_by` is as git there knows them, a claim."""

    wish: Wish
    asked_by: str
    asked_at: datetime
    reason: str = ""


def write(store: ObjectStore, request: Request, *, parent: str | None, by: Signature) -> str:
    """Store a request on top of the last one and give its id."""
    pairs = [
        ("Request", request.wish),
        ("Asked-By", request.asked_by),
        ("Asked-At", time_text(request.asked_at)),
        ("Reason", " ".join(request.reason.split())),
    ]
    commit = NewCommit(
        tree=store.write_tree({}),
        parents=(parent,) if parent else (),
        by=by,
        message=trailers.message(f"planlock: {request.wish}", pairs),
    )
    return store.write("commit", commit.unsigned())


def read(store: ObjectStore, oid: str) -> Request:
    """Read a request; raises InvalidDocument for anything else."""
    values = dict(trailers.read(store.commit(oid).message))
    try:
        return Request(
            wish=WISHES[values["Request"]],
            asked_by=values["Asked-By"],
            asked_at=parse_time(values["Asked-At"]),
            reason=values.get("Reason", ""),
        )
    except (KeyError, ValueError) as error:
        problem = Problem(file=f"request {oid}", code="request", message=f"no request: {error}")
        raise InvalidDocument([problem]) from error
