"""Refs of runs that may be ahead of the home: where it has them, and what it never got.

A copy beside such a ref says where the home had it last; it is made before the ref goes ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from runner.core.errors import BranchBusy
from runner.core.run import lease_ref, run_branch
from runner.git import history, refs
from runner.git.refs import Move

UNPUBLISHED = "refs/planlock/unpublished"


@dataclass
class Known:
    """Pairs of ref and copy that were found in order; no ref goes back while its copy stays."""

    pairs: set[tuple[str, str]] = field(default_factory=set)


def catch_up(git_dir: Path, ref: str, copy: str, known: Known) -> None:
    """Bring a ref to where the home has it, unless it is ahead.

    Where the home went on elsewhere, what it never got is set aside.
    """
    here, there = refs.read(git_dir, ref), refs.read(git_dir, copy)
    if there is None or here == there or (ref, there) in known.pairs:
        return
    if here and history.is_ancestor(git_dir, there, here):
        known.pairs.add((ref, there))
        return
    moves = [Move(ref=ref, old=here, new=there)]
    if here and not history.is_ancestor(git_dir, here, there):
        moves.insert(0, Move(ref=_place(ref, here), old=None, new=here))
    with suppress(BranchBusy):  # it moved at this moment, and the next look judges it again
        refs.move(git_dir, moves, reason="as the home has it")


def _place(ref: str, oid: str) -> str:
    return f"{UNPUBLISHED}/{ref.removeprefix('refs/')}/{oid[:12]}"


def set_aside(git_dir: Path, ref: str) -> dict[str, str]:
    """What the home never got of a ref: where it is kept → object id."""
    return refs.under(git_dir, f"{UNPUBLISHED}/{ref.removeprefix('refs/')}/")


@dataclass
class Ahead:
    """The refs of a run that is recorded here; `copies` says where those of the home are kept.

    `new` are the refs that the home has not got yet, and where they are here.
    """

    git_dir: Path
    copies: Mapping[str, str]
    new: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, git_dir: Path, plan: str, run: int, *, copy_of: Mapping[str, str]) -> Ahead:
        raise NotImplementedError
