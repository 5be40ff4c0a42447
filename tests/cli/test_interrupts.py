"""Ctrl-C that comes while something is being written."""

from __future__ import annotations

import contextlib
import io
import signal
from typing import Any

import pytest

from runner.cli import render
from runner.cli.interrupts import OF_A_RUN, Interrupts
from runner.verbs.events import Event, Kind

EACH = [f"{said}\n" for said in OF_A_RUN]


class Pressed(io.RawIOBase):
    """A device at whose first writes somebody presses Ctrl-C."""

    def __init__(self, times: int) -> None:
        self.left, self.written = times, b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += data
        if self.left:
            self.left -= 1
            signal.raise_signal(signal.SIGINT)
        return len(data)


def pressed(times: int, kind: Kind) -> tuple[str, Interrupts]:
    """What is written of an event, and of Ctrl-C pressed while that is written."""
    device = Pressed(times)
    stream = io.TextIOWrapper(io.BufferedWriter(device), write_through=True)
    with (
        contextlib.redirect_stderr(stream),
        Interrupts(lambda event: render.talk(event.text)) as interrupts,
    ):
        event = Event(kind=kind, plan="job", run=1, step="a", number=1, total=1, text="said")
        with contextlib.suppress(KeyboardInterrupt):
            interrupts(event)
        stream.flush()
    return device.written.decode(), interrupts


@pytest.mark.parametrize("times,wish", [(1, "pause"), (2, "cancel")])
def test_F08_while_an_event_is_written(times: int, wish: str) -> None:
    """The event is written whole, and then the answer to each Ctrl-C."""
    written, interrupts = pressed(times, "output")
    assert written == "".join(["said\n", *EACH[:times]])
    assert interrupts.wish() == wish


def test_F08_while_a_question_is_told() -> None:
    """The second one still ends the waiting for a model."""
    stream = io.StringIO()
    asking = Event(kind="asking", plan="job", run=1, step="a", number=1, total=1)
    with contextlib.redirect_stderr(stream), Interrupts(lambda _: None) as interrupts:
        interrupts(asking)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert stream.getvalue() == "".join(EACH)
