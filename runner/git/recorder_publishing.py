"""Refs of runs, moved in the home and here; recorded from a run's begin to its end.

The home is told before anything is moved here; with durability `local`, of a run that is being
recorded, only when it has to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from runner.core.errors import Refused
from runner.core.run import lease_ref, run_branch
from runner.core.run_states import Durability
from runner.git import recorder
from runner.git.home import Home
from runner.git.home_ahead import Ahead
from runner.git.objects import ObjectStore
from runner.git.recorder import Recorder
from runner.git.refs import Move


class Publisher:
    """What a project publishes through; `home` is asked for when it is needed.

    `durability` None is `remote` where there is a remote home.
    """

    def __init__(
        self, store: ObjectStore, home: Callable[[], Home], durability: Durability | None = None
    ) -> None:
        self._store = store
        self._home = home
        self._durability = durability
        self._recorder: Recorder | None = None
        self._ahead = Ahead(store.git_dir)

    @contextmanager
    def begin(self, plan: str, run: int) -> Iterator[None]:
        """Begin to record a run, which goes on until `end`, or an error in the block.

        Raises Refused where it cannot be as durable as it shall be.
        """
        if self._durability == "remote" and self._home().url is None:
            message = "recording a run: durability is `remote`, and there is no remote home"
            hint = "git config planlock.home URL, or git config planlock.durability local"
            raise Refused(message, hint=hint)
        recorder.recover_run(self._store.git_dir, self._store.objects, plan, run)
        names = (run_branch(plan, run), lease_ref(plan, run))
        self._ahead = Ahead.of(self._store.git_dir, names)
        self._recorder = recorder.open_recorder(self._store, plan, run)
        try:
            yield
        except BaseException:
            self.end()
            raise

    @property
    def is_ahead(self) -> bool:
        """Whether something is recorded here that the home has not got."""
        return bool(self._ahead.new)

    def publish(
        self, moves: Sequence[Move], *, reason: str, sync: bool = True, tell: bool = True
    ) -> bool:
        """Move refs, with all that was written; raises BranchBusy where another was first.

        Without `sync` a power cut may undo it, as long as the run is recorded; without `tell` the
        home need not know yet. Gives whether it does.
        """
        home = self._home()
        if self._recorder is None:
            home.publish(moves, reason=reason)
        elif home.url is None:
            self._recorder.commit(moves, reason=reason, sync=sync)
        elif tell or self._durability != "local":
            whole = self._ahead.whole(moves)
            self._recorder.commit(moves, reason=reason, push=lambda _: home.push(whole))
            self._ahead.new.clear()
        else:
            copies = self._ahead.copies(moves)
            self._recorder.commit([*moves, *copies], reason=reason, sync=sync)
            self._ahead.defer(moves)
            return False
        return True

    def end(self) -> None:
        """Make durable in its place what was recorded; raises FileAccessError."""
        ended, self._recorder = self._recorder, None
        if ended is not None:
            ended.close()
            self._ahead.forget_copies()
