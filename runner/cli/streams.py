"""The two output streams, guarded at the edge, whatever the commands write to them."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import TextIO, cast

import click

from runner.core.text import visible

# What our own colours and the clock of a run are made of: no text that comes from elsewhere may
# conceal itself, move the cursor, or speak to the terminal.
_OURS = re.compile(r"(\x1b\[(?:[0127]|[39][0-7])m|\r\x1b\[K)")


class Guarded:
    """A stream of text that passes every write through a filter; it hides the bytes below."""

    def __init__(
        self, stream: TextIO, feed: Callable[[str], str], finish: Callable[[], str] = str
    ) -> None:
        self._stream = stream
        self._feed = feed
        self._finish = finish

    @property
    def encoding(self) -> str:
        return self._stream.encoding or "utf-8"

    @property
    def errors(self) -> str:
        return self._stream.errors or "strict"

    def write(self, text: str) -> int:
        self._stream.write(self._feed(text))
        return len(text)

    def pass_on(self, text: str) -> None:
        """Write a text of our own as it is, behind what was still waiting."""
        self._stream.write(self._finish() + text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Let nothing through that a terminal, or a runner of GitHub Actions, would obey."""
    out, err = _guard(sys.stdout), _guard(sys.stderr)
    with (
        contextlib.redirect_stdout(cast("TextIO", out)),
        contextlib.redirect_stderr(cast("TextIO", err)),
    ):
        try:
            yield
        finally:
            for each in filter(None, (out, err)):
                _finish(each)


def _finish(stream: Guarded) -> None:
    try:
        stream.pass_on("")
        stream.flush()
    except OSError:
        drop(stream.fileno())  # the reader went away, which has been told


def drop(descriptor: int) -> None:
    """Write what is still to be written nowhere; Python would complain of it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def drop_unread() -> None:
    """Write nowhere what is for a reader that went away."""
    for each in filter(None, (sys.stdout, sys.stderr)):
        try:
            each.flush()
        except BrokenPipeError:
            drop(each.fileno())


def _guard(stream: TextIO | None) -> Guarded | None:
    if stream is None:  # closed before we began
        return None
    if isinstance(stream, io.TextIOWrapper):
        ascii_only = codecs.lookup(stream.encoding).name == "ascii"
        stream.reconfigure(encoding="utf-8" if ascii_only else None, errors="backslashreplace")
    if not in_actions():
        return Guarded(stream, _for_terminal)
    from runner.core.inert import ActionsLog

    log = ActionsLog()
    return Guarded(stream, log.feed, log.finish)


def in_actions() -> bool:
    """Whether a runner of GitHub Actions reads along."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _for_terminal(text: str) -> str:
    if "\x1b" not in text:
        return visible(text)
    parts = _OURS.split(text)
    return "".join(part if number % 2 else visible(part) for number, part in enumerate(parts))


def command(line: str) -> None:
    """Write a workflow command of our own to stdout, its texts escaped by who made it."""
    out: object = sys.stdout
    if isinstance(out, Guarded):
        out.pass_on(f"{line}\n")
    else:
        click.echo(line)
