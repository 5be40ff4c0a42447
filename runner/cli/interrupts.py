"""Ctrl-C while a run goes on: once pauses it after its step, twice cancels it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, Self

from runner.cli import render, streams

if TYPE_CHECKING:
    from runner.verbs.events import Event, Listener

OF_A_RUN = (
    "\npausing after this step; Ctrl-C again cancels the run",
    "\ncancelling the run",
)
OF_A_ROLLBACK = (
    "\nstopping after this undo command; Ctrl-C again ends it",
    "\nending the undo command",
)
TWICE = 2


class Interrupts:
    """Counts, and raises KeyboardInterrupt only where nothing else would notice in good time."""

    def __init__(self, listener: Listener, said: tuple[str, str] = OF_A_RUN) -> None:
        self.count = 0
        self._told = 0
        self._said = said
        self._listener = listener
        self._is_asking = False
        self._is_writing = False
        self._is_unread = False
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def __call__(self, event: Event) -> None:
        """Pass an event on; a model may leave us waiting without a word."""
        self._is_asking = event.kind in {"asking", "output"} and (
            self._is_asking or event.kind == "asking"
        )
        with self._writing():
            self._listener(event)
        self._notice()

    def wish(self) -> Literal["pause", "cancel"] | None:
        if self.count >= TWICE:
            return "cancel"
        return "pause" if self.count or self._is_unread else None

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > TWICE:
            raise KeyboardInterrupt
        # A stream does not let itself be written to while it is being written to.
        if not self._is_writing:
            self._notice()

    def _notice(self) -> None:
        """Answer each Ctrl-C, also one that comes meanwhile, and stop waiting for a model."""
        with self._writing():
            while self._told < min(self.count, TWICE):
                self._told += 1
                render.talk(self._said[self._told - 1])
        if self.count == TWICE and self._is_asking:
            raise KeyboardInterrupt

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Where nobody reads any more, be stopped as by one Ctrl-C, which may have ended the reader."""
        self._is_writing = True
        try:
            yield
        except BrokenPipeError:
            streams.drop_unread()
            self._is_unread = True
        finally:
            self._is_writing = False
