"""Untrusted text made inert for the place where people read it: it shows, and does nothing.

Every renderer takes any string, writes hidden characters as their codes, and cuts what is longer
than `limit` characters before it escapes it, telling how much was left out.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate, takewhile

from runner.core.text import visible

LIMIT = 60_000
# Others make GitHub draw: `math`, `mermaid`, `geojson`, `stl`.
LANGUAGES = frozenset({"", "console", "diff", "json", "python", "shell", "text", "yaml"})

_PAGE = re.compile(r"https?://[A-Za-z0-9.:-]{1,200}(/[A-Za-z0-9_.-]{1,100}){2}/pull/[0-9]{1,10}")
_BACKTICKS = re.compile(r"`+")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
_HTML_SPECIAL = re.compile(r"[&<>\"']")
_NOT_PLAIN = re.compile(r"[^\n -~]")

# The runner of GitHub Actions obeys `::name …::data` where a line begins so, white space aside,
# and `##[name …]data` anywhere. It compares as words are sorted: marks and what has no ink do not
# count. Problem matchers are the workflow's own patterns, and see every line whatever is done.
_COMMAND = re.compile(r"^([^!-~\n]*):([^\x00-\x7f]*)(?=:)", re.MULTILINE)
_LEGACY = re.compile(r"#([^\x00-\x7f]*)(?=#([^\x00-\x7f]*)\[)")
# What may become a command by what is written next, and how much of it may wait.
_BEGUN = re.compile(r"[:#](?:[:#]|[^\x00-\x7f])*\Z")
_WAITING = 256
_IN_DATA = re.compile(r"[%\r\n]")
_IN_FIELD = re.compile(r"[%\r\n:,]")


def terminal(text: str, *, limit: int = LIMIT) -> str:
    """Text for a terminal, of several lines if it has them."""
    if fits(text, limit=limit):
        return visible(text)
    kept = _fitting(text, max(0, limit - len(more(len(text)))))
    return visible(text[:kept]) + more(len(text) - kept)


def fits(text: str, *, limit: int = LIMIT) -> bool:
    """Whether all of a text is shown where it may take so many characters."""
    return len(text) <= limit and len(visible(text)) <= limit


def _fitting(text: str, room: int) -> int:
    """How many characters of a text fit, as they are shown."""
    if len(visible(text[:room])) <= room:
        return min(room, len(text))
    sizes = accumulate(len(visible(each)) for each in text[:room])
    return sum(1 for _ in takewhile(lambda size: size <= room, sizes))


def one_line(text: str, *, limit: int = LIMIT) -> str:
    r"""Text for a terminal, its line ends written as `\n`: it cannot pass for another line."""
    return terminal(text, limit=limit).replace("\n", "\\n")


def more(count: int) -> str:
    """What stands in the place of so many characters that are left out."""
    return f"… ({count:,} more characters)"


def markdown(text: str, *, cell: bool = False, limit: int = LIMIT) -> str:
    """Text within a line of Markdown, as code; `cell` where that line is of a table."""
    shown = one_line(text, limit=limit)
    if cell:
        # rows are split at bars before code is found, and a backslash before one is ambiguous
        return "<code>&#124;</code>".join(map(_code_span, shown.split("|")))
    return _code_span(shown)


def _code_span(line: str) -> str:
    if not line:
        return ""
    fence = "`" * (_longest_run(line) + 1)
    pad = " " if line.strip(" ") and {line[0], line[-1]} & {"`", " "} else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def markdown_address(text: str) -> str:
    """A forge's page as a link; anything that could be more than an address as code."""
    return f"<{text}>" if _PAGE.fullmatch(text) else markdown(text)


def markdown_block(text: str, language: str = "", *, limit: int = LIMIT) -> str:
    """Lines of Markdown that show a text as code; they begin at the left margin."""
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r} of a block is none of {sorted(LANGUAGES)}")
    shown = terminal(text, limit=limit)
    fence = "`" * max(3, _longest_run(shown) + 1)
    end = "" if not shown or shown.endswith("\n") else "\n"
    return f"{fence}{language}\n{shown}{end}{fence}"


def _longest_run(text: str) -> int:
    return max((len(run.group()) for run in _BACKTICKS.finditer(text)), default=0)


def html(text: str, *, limit: int = LIMIT) -> str:
    """Text between tags of HTML, or in an attribute in double quotes."""
    return _HTML_SPECIAL.sub(lambda match: _HTML[match.group()], terminal(text, limit=limit))


def html_block(text: str, *, limit: int = LIMIT) -> str:
    """Lines of HTML that show a text as it is set."""
    return f"<pre>\n{html(text, limit=limit)}</pre>"  # the first line end is not part of the text


def json_text(dumped: str) -> str:
    """JSON of the same meaning, in which no string hides a character or commands a workflow."""
    return _NOT_PLAIN.sub(_json_visible, _LEGACY.sub(r"\\u0023\1", dumped))


def _json_visible(match: re.Match[str]) -> str:
    character = match.group()
    if visible(character) == character:
        return character
    code = ord(character)
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def actions_log(text: str, *, limit: int = LIMIT) -> str:
    r"""Whole lines for a log of GitHub Actions: commands become `\::name::` and `#\#[name]`."""
    return _defused(terminal(text, limit=limit))


def actions_data(text: str, *, limit: int = LIMIT) -> str:
    """The text of a workflow command of our own, as the runner unescapes it."""
    return _IN_DATA.sub(_percent, actions_log(text, limit=limit))


def actions_field(text: str, *, limit: int = LIMIT) -> str:
    """The value of a field of a workflow command of our own."""
    return _IN_FIELD.sub(_percent, actions_log(text, limit=limit))


def _percent(match: re.Match[str]) -> str:
    return f"%{ord(match.group()):02X}"


class ActionsLog:
    """A log of GitHub Actions written piece by piece, wherever the pieces begin and end."""

    def __init__(self) -> None:
        self._held = ""
        self._at_start = True

    def feed(self, text: str) -> str:
        """Give what can be written now; what may begin a command waits for what follows it."""
        shown = self._held + visible(text)
        end = shown[-_WAITING - 1 :]
        begun = _BEGUN.search(end)
        held = end[begun.start() :] if begun else ""
        if len(end) > _WAITING and _goes_on(end):
            shown, held = f"{shown}\\", ""
        self._held = held
        return self._passed(shown.removesuffix(held))

    def finish(self) -> str:
        """Give what was still waiting."""
        held, self._held = self._held, ""
        return self._passed(held)

    def _passed(self, shown: str) -> str:
        before = "" if self._at_start else "x"
        line = shown.rpartition("\n")[2]
        safe = _defused(before + shown).removeprefix(before)
        self._at_start = ("\n" in shown or self._at_start) and _is_nothing(line)
        return safe


def _goes_on(end: str) -> bool:
    """Whether the beginning of a command may lie farther back than one waits."""
    marks = end.translate({ord(":"): None, ord("#"): None})
    return _is_nothing(marks) and all(not each.isascii() for each in marks)


def _defused(shown: str) -> str:
    return _LEGACY.sub(_without_legacy, _COMMAND.sub(_without_command, shown))


def _without_command(match: re.Match[str]) -> str:
    before, between = match.groups()
    return f"{before}\\:{between}" if _is_nothing(before + between) else match.group()


def _without_legacy(match: re.Match[str]) -> str:
    between, after = match.groups()
    return f"#{between}\\" if _is_nothing(between + after) else match.group()


def _is_nothing(text: str) -> bool:
    """Whether a comparison may overlook all of it: blanks, marks, what has no ink."""
    return text.isspace() or all(unicodedata.category(each)[0] in "ZMC" for each in text)
