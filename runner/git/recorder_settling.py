"""Settle a journal: its objects in one synced pack, its refs synced, nothing left in it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import BranchBusy, FileAccessError, PlanlockError
from runner.git import command, durable, journal, packs, refs, refs_files, refs_locks
from runner.git.journal import Frame, Journal
from runner.git.packs import Pack
from runner.git.packs_files import PackFolder
from runner.git.refs import Move
from runner.git.refs_files import NotPlain
from runner.git.refs_locks import Transaction

# Between looks, in seconds, while somebody else settles what is to be gone on with.
WAITS = (0.1,) * 100


@dataclass(frozen=True, kw_only=True)
class Place:
    """The repository that a journal belongs to."""

    git_dir: Path
    objects: Path

    @property
    def common(self) -> Path:
        return refs_files.common_dir(self.git_dir)


def settle(place: Place, held: Journal, *, bring: bool) -> str:
    """Make durable what the journal holds; gives the name of the pack.

    With `bring`, refs that a death or a power cut left behind are brought to where the journal has
    them; a living writer has moved them, and others may have moved them on, or deleted them. Raises
    OSError, GitError or FileAccessError, with the journal as it was.
    """
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
        _settle_ref(place, moves, bring=bring)
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


def _settle_ref(place: Place, moves: Sequence[Move], *, bring: bool) -> None:
    ref, last = moves[-1].ref, moves[-1].new
    broken, now = _value(place, ref)
    if now == last:
        with suppress(NotPlain):  # else git has moved it, and synced it
            refs_files.check_backend(place.common)
            _sync(place.common, ref)
    elif bring and (broken or _is_behind(place.git_dir, now, moves)):
        _bring(place, Move(ref=ref, old=now, new=last), moves)


def _value(place: Place, ref: str) -> tuple[bool, str | None]:
    """Whether a ref's file holds no id, and else where it is."""
    with suppress(NotPlain):
        refs_files.check_backend(place.common)
        broken = refs_files.is_broken(place.common, ref)
        return broken, None if broken else refs_files.value(place.common, ref)
    return False, refs.read(place.git_dir, ref)


def _is_behind(git_dir: Path, now: str | None, moves: Sequence[Move]) -> bool:
    last = moves[-1].new
    if now is None or any(now in {move.old, move.new} for move in moves):
        return True
    args = ["merge-base", "--is-ancestor", now, last]
    return command.attempt(args, git_dir=git_dir).returncode == 0


def _bring(place: Place, move: Move, moves: Sequence[Move]) -> None:
    try:
        with Transaction(place.git_dir, [move], mending=True) as transaction:
            transaction.commit(reason="recover", sync=True)
    except NotPlain:
        refs.move(place.git_dir, [move], reason="recover")
    except BranchBusy as error:
        # Somebody else may have brought it there, or have taken the run over.
        broken, now = _value(place, move.ref)
        if now != move.new and (broken or _is_behind(place.git_dir, now, moves)):
            raise FileAccessError(error.message, hint=error.hint) from error


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
    """Settle what processes that died have left, as far as it goes.

    Raises FileAccessError or GitError for the first journal that stays.
    """
    place = Place(git_dir=git_dir, objects=objects)
    refs_locks.remove_dead_locks(place.common)
    errors: list[PlanlockError] = []
    for path in _dead(place):
        try:
            _recover(place, path)
        except PlanlockError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def recover_run(git_dir: Path, objects: Path, plan: str, run: int) -> None:
    """Settle what a dead runner of a run has left, or wait until somebody else has done that.

    Raises FileAccessError or GitError where something stays.
    """
    place = Place(git_dir=git_dir, objects=objects)
    refs_locks.remove_dead_locks(place.common)
    for path in _dead(place, journal.start_of(plan, run)):
        for wait in (*WAITS, 0.0):
            _recover(place, path)
            if not journal.is_being_settled(path):
                break
            time.sleep(wait)
        else:
            message = f"beginning run {plan}/{run}: another process still settles {path.name}"
            raise FileAccessError(message, hint="try again")


def _dead(place: Place, start: str = "") -> list[Path]:
    with _recovering(place):
        return list(journal.dead(place.common, start))


def _recover(place: Place, path: Path) -> None:
    """Settle a journal where its writer is gone; a living one's stays."""
    with _recovering(place):
        held = journal.take(path)
        if held is not None:
            with held:
                settle(place, held, bring=True)
                leave(PackFolder(place.objects, held.name), held)


@contextmanager
def _recovering(place: Place) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        doing = "recovering what an ended process wrote"
        raise FileAccessError.of(doing, error, place.git_dir) from error
