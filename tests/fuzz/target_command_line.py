"""The reader of command lines, against the standard library's."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from runner.core import command_line
from runner.core.command_line import CommandLine
from runner.core.globs import Hit
from tests.fuzz.pieces import clean_text_of

MAX_LENGTH = 80
TOKENS = (
    *(
        b"pytest",
        b" ",
        b"-q",
        b"'",
        b'"',
        b"\\",
        b"\\\n",
        b"\n",
        b"\t",
        b";",
        b"&&",
        b"||",
        b"|",
        b"&",
    ),
    *(
        b">",
        b"2>&1",
        b"<<",
        b"$",
        b"$(",
        b"${",
        b"$'",
        b"`",
        b"#",
        b"(",
        b")",
        b"{",
        b"}",
        b"[",
        b"*",
    ),
    *(b"~", b"!", b"A=b ", b"a[0]=1", b"PATH=x ", b"env ", b"sh -c ", b"xargs ", b"eval ", b"if "),
    *(b"\xc2\xa0", b"\0", b"\r"),
)


def check(data: bytes, *, read: Callable[[str], CommandLine] = command_line.read) -> None:
    """A plain line has the words that a POSIX shell gives it, and matches itself surely."""
    text = clean_text_of(data)
    line = read(text)
    assert line.text == text
    assert line == read(text)
    if not line.plain:
        assert command_line.hit("no such command", line) is not Hit.YES
        return
    words = [word for command in line.commands for word in command.words]
    assert not line.commands or command_line.hit("**", line) is Hit.YES
    # The standard library knows neither continuations nor which escapes count between quotes.
    if len(line.commands) == 1 and "\n" not in text and not ('"' in text and "\\" in text):
        assert _without_operators(words) == _without_operators(_words(text)), "words"


def _words(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    lexer.whitespace = " \t"
    lexer.commenters = ""
    return list(lexer)


def _without_operators(words: list[str]) -> list[str]:
    """The standard library does not tell `;` from `';'`."""
    return [word for word in words if set(word) - set(";&|") or not word]
