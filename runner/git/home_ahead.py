"""Refs of runs that may be ahead of the home: a copy beside each says where the home had it last.

The copy is made before the ref goes ahead, and goes when the home has all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from runner.core.errors import BranchBusy, OutsideError
from runner.git import history, refs
from runner.git.refs import Move

MIRROR = "refs/planlock/home"
UNPUBLISHED = "refs/planlock/unpublished"


def copy_of(ref: str) -> str:
    """Where this repository keeps a ref as the home has it."""
    return f"{MIRROR}/{ref.removeprefix('refs/')}"


def original_of(copy: str) -> str:
    """The ref that a copy is of."""
    return f"refs/{copy.removeprefix(f'{MIRROR}/')}"


def copied(git_dir: Path, plan: str) -> list[str]:
    """The refs of a plan's runs that have a copy."""
    folders = (f"refs/heads/planlock/{plan}/", f"refs/planlock/leases/{plan}/")
    return [original_of(each) for each in refs.under(git_dir, *map(copy_of, folders))]


def catch_up(git_dir: Path, ref: str, passed: set[str]) -> None:
    """Bring a ref of a run to where its copy is, unless it is ahead, or known to have passed that.

    Where the home went on elsewhere, what it never got is set aside.
    """
    here, there = refs.read(git_dir, ref), refs.read(git_dir, copy_of(ref))
    if there is None or here == there or there in passed:
        return
    if here and history.is_ancestor(git_dir, there, here):
        passed.add(there)
        return
    moves = [Move(ref=ref, old=here, new=there)]
    if here and not history.is_ancestor(git_dir, here, there):
        moves.append(Move(ref=f"{_aside(ref)}{here[:12]}", old=None, new=here))
    with suppress(BranchBusy):  # it moved at this moment, and the next look judges it again
        refs.move(git_dir, moves, reason="as the home has it")


def set_aside(git_dir: Path, ref: str) -> dict[str, str]:
    """What the home never got of a ref: the names under which it is kept, and the commits."""
    return refs.under(git_dir, _aside(ref))


def _aside(ref: str) -> str:
    return f"{UNPUBLISHED}/{ref.removeprefix('refs/')}/"


@dataclass
class Ahead:
    """The refs of a run in our hands; `new` says where those are that the home has not got yet."""

    git_dir: Path
    new: dict[str, str] = field(default_factory=dict)
    _copied: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, git_dir: Path, names: Iterable[str]) -> Ahead:
        """Find what an earlier process left ahead."""
        found = cls(git_dir)
        for ref in names:
            here, there = refs.read(git_dir, ref), refs.read(git_dir, copy_of(ref))
            if there is not None:
                found._copied.add(ref)
            if here and there not in {None, here}:
                found.new[ref] = here
        return found

    def copies(self, moves: Sequence[Move]) -> list[Move]:
        """What makes the copies that are missing, to be made together with these moves."""
        missing = [each for each in moves if each.ref not in self._copied]
        return [Move(ref=copy_of(each.ref), old=None, new=each.old) for each in missing if each.old]

    def defer(self, moves: Iterable[Move]) -> None:
        """Note that these were made here and not in the home."""
        for each in moves:
            self.new[each.ref] = each.new
            self._copied.add(each.ref)

    def whole(self, moves: Iterable[Move]) -> list[Move]:
        """What brings the home up to these moves."""
        news = {**self.new, **{each.ref: each.new for each in moves}}
        return [Move(ref=ref, old=None, new=new) for ref, new in news.items()]

    def forget_copies(self) -> None:
        """Remove the copies where the home has all; they do no harm where they stay."""
        if self.new or not self._copied:
            return
        known = {each: refs.read(self.git_dir, each) for each in map(copy_of, self._copied)}
        with suppress(OutsideError, BranchBusy):
            refs.delete(
                self.git_dir, {ref: oid for ref, oid in known.items() if oid}, reason="told"
            )
