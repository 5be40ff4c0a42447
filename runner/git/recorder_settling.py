"""Settle a journal: its objects in one synced pack, its refs synced, nothing left in it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import BranchBusy, FileAccessError
from runner.git import command, durable, journal, packs, refs_files, refs_locks
from runner.git.journal import Frame, Journal
from runner.git.packs import Pack
from runner.git.packs_files import PackFolder
from runner.git.refs import Move
from runner.git.refs_files import NotPlain
from runner.git.refs_locks import Transaction


@dataclass(frozen=True, kw_only=True)
class Place:
    """The repository that a journal belongs to."""

    git_dir: Path
    objects: Path

    @property
    def common(self) -> Path:
        return refs_files.common_dir(self.git_dir)


def settle(place: Place, held: Journal) -> str:
    """Make durable what the journal holds; gives the name of the pack. Raises OSError."""
    found = list(held.frames())
    folder = PackFolder(place.objects, held.name)
    pack = _join(found)
    if pack is not None:
        folder.write(pack, sync=True)
    name = pack.name if pack else ""
    for unsynced in dict.fromkeys(each for frame in found for each in frame.packs):
        if unsynced != name:
            folder.remove(unsynced)
    for moves in _by_ref(found):
        _settle_ref(place, moves)
    folder.mend([name] if name else [])
    held.clear()
    return name


def _join(found: Sequence[Frame]) -> Pack | None:
    whole = packs.join([each.part for each in found])
    return packs.render(whole) if whole.entries else None


def _by_ref(found: Sequence[Frame]) -> list[list[Move]]:
    moves: dict[str, list[Move]] = {}
    for each in (move for frame in found for move in frame.moves):
        moves.setdefault(each.ref, []).append(each)
    return list(moves.values())


def _settle_ref(place: Place, moves: Sequence[Move]) -> None:
    """Bring a ref to its last value, if it is behind or a power cut took it; then sync it."""
    ref, last = moves[-1].ref, moves[-1].new
    with suppress(NotPlain):  # then git has moved it, and synced it
        broken = refs_files.is_broken(place.common, ref)
        now = None if broken else refs_files.value(place.common, ref)
        if now == last:
            _sync(place.common, ref)
        elif broken or now is None or _is_behind(place.git_dir, now, moves):
            _bring(place, Move(ref=ref, old=now, new=last))


def _is_behind(git_dir: Path, now: str, moves: Sequence[Move]) -> bool:
    last = moves[-1].new
    if any(now in {move.old, move.new} for move in moves):
        return True
    args = ["merge-base", "--is-ancestor", now, last]
    return command.attempt(args, git_dir=git_dir).returncode == 0


def _bring(place: Place, move: Move) -> None:
    with (
        suppress(BranchBusy),  # somebody else brings it there, or takes the run over
        Transaction(place.git_dir, [move], mending=True) as transaction,
    ):
        transaction.commit(reason="recover", sync=True)


def _sync(common: Path, ref: str) -> None:
    """Sync a ref where it is: in its file, or in a line of all that are packed."""
    try:
        durable.sync_path(common / ref)
        durable.sync_path((common / ref).parent)
    except FileNotFoundError:
        durable.sync_path(common / refs_files.PACKED)
        durable.sync_path(common)


def leave(folder: PackFolder, held: Journal) -> None:
    """Give what was settled to git; while it collects garbage, whoever looks here next does that."""
    folder.mend()
    if not folder.is_watched():
        folder.release()
        held.remove()


def recover(git_dir: Path, objects: Path) -> None:
    """Settle what processes that died have left; raises FileAccessError or GitError."""
    place = Place(git_dir=git_dir, objects=objects)
    refs_locks.remove_dead_locks(place.common)
    try:
        for held in journal.dead(place.common):
            with held:
                settle(place, held)
                leave(PackFolder(place.objects, held.name), held)
    except OSError as error:
        message = f"recovering what an ended process wrote: {error.strerror}"
        raise FileAccessError(message, hint=f"df -h {place.git_dir}") from error
