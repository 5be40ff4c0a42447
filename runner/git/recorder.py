"""Write what a run records: one synced append to its journal; pack and refs follow, unsynced.

Now and then, and at the end, the journal is settled (`recorder_settling`). What a process that
died left in its journal is settled by the next one that opens the repository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Self

from runner.core.errors import FileAccessError
from runner.git import journal, packs, refs
from runner.git.journal import Frame, Journal
from runner.git.objects import ObjectStore
from runner.git.packs_files import PackFolder
from runner.git.recorder_settling import Place, leave, recover, recover_run, settle
from runner.git.refs import Move
from runner.git.refs_files import NotPlain, common_dir
from runner.git.refs_locks import Transaction

MOST_PACKS = 100
MOST_BYTES = 64 << 20
MOST_SETTLED = 16

__all__ = ["Recorder", "open_recorder", "recover", "recover_run"]

Push = Callable[[Sequence[Move]], None]


class Recorder:
    """Makes the commits of one run, from the objects that the store collects meanwhile.

    After an error on the way to the disk it makes no more; what it began is in the journal.
    """

    def __init__(self, store: ObjectStore, held: Journal) -> None:
        self._place = Place(git_dir=store.git_dir, objects=store.objects)
        self._store = store
        self._journal = held
        self._folder = PackFolder(store.objects, held.name)
        self._unsynced = 0
        self._settled: list[str] = []
        self._open, self._broken = True, False
        store.collect(self._spill)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def commit(
        self, moves: Sequence[Move], *, reason: str, sync: bool = True, push: Push | None = None
    ) -> None:
        """Move refs to what was collected, all or none; raises BranchBusy or FileAccessError.

        With `sync` it is on the disk before this returns. `push` brings it elsewhere first.
        """
        if self._broken:
            raise FileAccessError("recording: an earlier write did not reach the disk")
        if push is not None:
            with self._writing():
                self._write((), sync=True)
            push(moves)
            git_dir, sync = self._place.git_dir, False
            moves = [each for each in moves if refs.read(git_dir, each.ref) != each.new]
        self._move(moves, reason=reason, sync=sync)
        if self._unsynced >= MOST_PACKS or self._journal.length >= MOST_BYTES:
            with self._writing():
                self._settle()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._broken = True
            raise FileAccessError.of("recording", error, self._place.git_dir) from error
        except BaseException:  # a signal, too: what it stopped, `close` completes
            self._broken = True
            raise

    def _move(self, moves: Sequence[Move], *, reason: str, sync: bool) -> None:
        with ExitStack() as stack:
            try:
                transaction = stack.enter_context(Transaction(self._place.git_dir, moves))
            except NotPlain:
                self._spill()
                refs.move(self._place.git_dir, moves, reason=reason)
                return
            with self._writing():
                self._write(moves, sync=sync)
                transaction.commit(reason=reason, sync=False)

    def _write(self, moves: Sequence[Move], *, sync: bool) -> None:
        objects = self._store.collected()
        part = packs.part(objects)
        pack = packs.render(part) if objects else None
        names = (pack.name,) if pack else ()
        self._journal.append(Frame(moves=tuple(moves), packs=names, part=part), sync=sync)
        if pack is not None:
            self._folder.write(pack, sync=False)
            self._unsynced += 1
        self._store.written()

    def _spill(self) -> None:
        """Write what was collected past the journal: it is too much, or git must find it."""
        objects = self._store.collected()
        if objects:
            pack = packs.render(packs.part(objects))
            with self._writing():
                self._folder.write(pack, sync=True)
            self._settled.append(pack.name)
            self._store.written()

    def _settle(self) -> None:
        name = settle(self._place, self._journal, bring=self._broken)
        self._unsynced = 0
        self._settled += [name] if name else []
        if len(self._settled) >= MOST_SETTLED:
            self._settled = self._folder.join(self._settled)

    def close(self) -> None:
        """Settle, and leave one pack; raises FileAccessError, and the next process settles."""
        if not self._open:
            return
        self._open = False
        self._store.stop_collecting()
        try:
            with self._writing():
                self._settle()
                self._folder.join(self._settled)
                leave(self._folder, self._journal)
        finally:
            self._journal.close()


def open_recorder(store: ObjectStore, plan: str, run: int) -> Recorder:
    """Begin to record a run; raises FileAccessError."""
    try:
        return Recorder(store, journal.begin(common_dir(store.git_dir), plan, run))
    except OSError as error:
        raise FileAccessError.of("beginning to record", error, store.git_dir) from error
