"""How the runner of GitHub Actions finds commands in a log, written anew from its sources.

`ActionCommand.TryParseV2` and `TryParse` of github.com/actions/runner; strings are compared there
by language, which skips marks and characters without ink.
"""

from __future__ import annotations

import re
import unicodedata

NAMES = frozenset(
    [
        "add-mask",
        "add-matcher",
        "add-path",
        "debug",
        "echo",
        "endgroup",
        "error",
        "group",
        "internal-set-repo-path",
        "notice",
        "remove-matcher",
        "save-state",
        "set-env",
        "set-output",
        "stop-commands",
        "token",
        "warning",
    ]
)
_ENDS = re.compile(r"\r\n|\r|\n")


def commands(log: str) -> list[str]:
    """The names of the commands that a log gives, line by line."""
    found = [_second(line) or _first(line) for line in _ENDS.split(log)]
    return [name for name in found if name]


def _second(line: str) -> str:
    """`::name key=value::data`, where only white space may come before."""
    text = _compared(line).lstrip()
    if not text.startswith("::"):
        return ""
    end = text.find("::", 2)
    return _registered(text[2:end]) if end >= 0 else ""


def _first(line: str) -> str:
    """`##[name key=value]data`, wherever the line has it first."""
    text = _compared(line)
    start = text.find("##[")
    end = text.find("]", start) if start >= 0 else -1
    return _registered(text[start + 3 : end]) if end >= 0 else ""


def _registered(inside: str) -> str:
    name = inside.split(" ", 1)[0].lower()
    return name if name in NAMES else ""


def _compared(line: str) -> str:
    return "".join(each for each in line if not _is_skipped(each))


def _is_skipped(character: str) -> bool:
    """Controls that are white space count; other controls, formats and marks do not."""
    return not character.isspace() and unicodedata.category(character)[0] in "MC"
