"""Colours for diffs and commands by what they are written in; the text itself stays as it is."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, TypedDict, TypeVar

import click

from runner.core.text import visible

T = TypeVar("T")

MOST_TEXT = 200_000
# Lexers are regular expressions, and a file can be written to keep one busy for hours.
SECONDS = 2.0


class Style(TypedDict, total=False):
    fg: str
    bold: bool


STYLES: dict[str, Style] = {
    "Comment": {"fg": "bright_black"},
    "Keyword": {"fg": "magenta"},
    "Literal.Number": {"fg": "cyan"},
    "Literal.String": {"fg": "yellow"},
    "Name.Attribute": {"fg": "cyan"},
    "Name.Builtin": {"fg": "cyan"},
    "Name.Class": {"fg": "blue", "bold": True},
    "Name.Decorator": {"fg": "blue"},
    "Name.Exception": {"fg": "cyan"},
    "Name.Function": {"fg": "blue", "bold": True},
    "Name.Tag": {"fg": "blue"},
    "Operator.Word": {"fg": "magenta"},
}
GUTTER = {"+": "green", "-": "red"}
_FOREIGN = re.compile(r"[^\x00-\x7f]+")


def diff(lines: Sequence[str], path: str) -> list[str]:
    """Colour the lines of a unified diff by the type of the file that they are about."""
    safe = [visible(line).replace("\n", "\\n") for line in lines]
    head = 2 if [line[:4] for line in safe[:2]] == ["--- ", "+++ "] else 0
    code = _attempt(lambda: _code(safe, head, path), safe) or {}
    return [
        click.style(line, bold=True) if number < head else _diff_line(line, code.get(number))
        for number, line in enumerate(safe)
    ]


def command(text: str) -> list[str]:
    """Colour the lines of a shell command; what is not ASCII stands out."""
    lines = visible(text).split("\n")
    return _attempt(lambda: _colored(lines, "command.sh", foreign=True), lines) or lines


def _attempt(paint: Callable[[], T], lines: Sequence[str]) -> T | None:
    """None where colours are not wanted, or cannot be had in good time."""
    if not _wanted() or sum(map(len, lines)) > MOST_TEXT:
        return None
    try:
        with _time_limit():
            return paint()
    except Exception:  # noqa: BLE001  # a lexer that fails must not end a review
        return None


def _wanted() -> bool:
    """Whether click would let colours through to the output."""
    context = click.get_current_context(silent=True)
    if context is not None and context.color is not None:
        return context.color
    return sys.stdout.isatty()


def _diff_line(line: str, code: str | None) -> str:
    kind = line[:1]
    if kind == "@":
        return click.style(line, fg="cyan")
    if code is None:
        return click.style(line, fg=GUTTER[kind]) if kind in GUTTER else line
    return (click.style(kind, fg=GUTTER[kind], bold=True) if kind in GUTTER else kind) + code


def _code(lines: Sequence[str], head: int, path: str) -> dict[int, str]:
    """The coloured code of each line by its number, each hunk lexed as it was and as it is."""
    starts = [n for n in range(head, len(lines)) if lines[n].startswith("@@")]
    found: dict[int, str] = {}
    for start, end in pairwise([*starts, len(lines)]):
        for kind in "-+":
            numbers = [n for n in range(start + 1, end) if lines[n][:1] in {kind, " "}]
            colored = _colored([lines[n][1:] for n in numbers], path)
            found.update(zip(numbers, colored, strict=True))
    return found


def _colored(lines: Sequence[str], path: str, *, foreign: bool = False) -> list[str]:
    """Colour lines of code; raises ValueError where that would change the text."""
    text = "\n".join(lines) + "\n"
    tokens = _tokens(text, path)
    if "".join(value for _, value in tokens) != text:
        raise ValueError("the lexer changed the text")
    return list(_by_line(tokens, foreign=foreign))[: len(lines)]


@contextmanager
def _time_limit() -> Iterator[None]:
    """Raise TimeoutError in the middle of a match; raises ValueError outside the main thread."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _tokens(text: str, path: str) -> list[tuple[Any, str]]:
    from pygments.lexers import get_lexer_for_filename  # type: ignore[import-untyped]  # no stubs

    lexer = get_lexer_for_filename(path, stripnl=False, ensurenl=False)
    return list(lexer.get_tokens(text))


def _by_line(tokens: Iterable[tuple[Any, str]], *, foreign: bool) -> Iterator[str]:
    line = ""
    for kind, value in tokens:
        first, *rest = value.split("\n")
        line += _styled(first, kind, foreign=foreign)
        for each in rest:
            yield line
            line = _styled(each, kind, foreign=foreign)
    yield line


def _styled(text: str, kind: Any, *, foreign: bool) -> str:
    style = next((STYLES[name] for name in _names(kind) if name in STYLES), None)
    if foreign and _FOREIGN.search(text):
        return _FOREIGN.sub(lambda match: click.style(match.group(), fg="red", reverse=True), text)
    return click.style(text, **style) if style and text else text


def _names(kind: Any) -> Iterator[str]:
    """A token type and those above it, as Pygments names them: `Literal.String` of a docstring."""
    parts = str(kind).removeprefix("Token.").split(".")
    for size in range(len(parts), 0, -1):
        yield ".".join(parts[:size])
