"""Refs of runs, moved in the home first and then here; recorded from a run's begin to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from runner.git import recorder
from runner.git.home import Home
from runner.git.objects import ObjectStore
from runner.git.recorder import Recorder
from runner.git.refs import Move


class Publisher:
    """What a project publishes through; `home` is asked for when it is needed."""

    def __init__(self, store: ObjectStore, home: Callable[[], Home]) -> None:
        self._store = store
        self._home = home
        self._recorder: Recorder | None = None

    @contextmanager
    def begin(self, plan: str, run: int) -> Iterator[None]:
        """Begin to record a run, which goes on until `end`, or an error in the block."""
        recorder.recover(self._store.git_dir, self._store.objects)
        self._recorder = recorder.open_recorder(self._store, plan, run)
        try:
            yield
        except BaseException:
            self.end()
            raise

    def publish(self, moves: Sequence[Move], *, reason: str, sync: bool = True) -> None:
        """Move refs, with all that was written; raises BranchBusy where another was first.

        Without `sync` a power cut may undo it, as long as the run is recorded.
        """
        home = self._home()
        if self._recorder is None:
            home.publish(moves, reason=reason)
        else:
            push = home.push if home.url is not None else None
            self._recorder.commit(moves, reason=reason, sync=sync, push=push)

    def end(self) -> None:
        """Make durable in its place what was recorded; raises FileAccessError."""
        ended, self._recorder = self._recorder, None
        if ended is not None:
            ended.close()
