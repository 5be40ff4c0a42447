"""Markdown pages as the tests see them: fenced blocks with their directives, links, commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_DIRECTIVE = re.compile(r"<!-- (?P<text>[a-z]+: .*) -->")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<title>.*)$", re.MULTILINE)
_SECTION = r"(?P<open><!-- generated: {name} -->\n).*?(?P<close><!-- end -->\n)"


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block; `start` and `end` are offsets of its text in the page.

    `directives` come from HTML comments right above it: `<!-- as: ada, file: calc.py -->`.
    """

    language: str
    text: str
    start: int
    end: int
    directives: dict[str, str]


def blocks(page: str) -> Iterator[Block]:
    directives: dict[str, str] = {}
    position = 0
    lines = page.splitlines(keepends=True)
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    while position < len(lines):
        line = lines[position].strip()
        if found := _DIRECTIVE.fullmatch(line):
            directives |= _directives(found["text"])
        elif line.startswith("```"):
            last = next(n for n in range(position + 1, len(lines)) if lines[n].strip() == "```")
            text = "".join(lines[position + 1 : last])
            start, end = offsets[position + 1], offsets[last]
            language = line.removeprefix("```")
            yield Block(language=language, text=text, start=start, end=end, directives=directives)
            position, directives = last, {}
        elif line:
            directives = {}
        position += 1


def _directives(text: str) -> dict[str, str]:
    pairs = (part.split(": ", 1) for part in text.split(", "))
    return {name.strip(): value.strip() for name, value in pairs}


def prose(page: str) -> str:
    """The page without its fenced blocks."""
    for block in reversed(list(blocks(page))):
        page = page[: block.start] + page[block.end :]
    return page


def links(page: str) -> list[str]:
    return [found["target"] for found in _LINK.finditer(prose(page))]


def anchors(page: str) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    titles = (found["title"].lower() for found in _HEADING.finditer(prose(page)))
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def with_section(page: str, name: str, text: str) -> str:
    """Replace a generated section; raises LookupError where the page has none of that name."""
    pattern = re.compile(_SECTION.format(name=re.escape(name)), re.DOTALL)
    body = f"\n{text.strip()}\n\n"
    replaced, count = pattern.subn(lambda found: found["open"] + body + found["close"], page)
    if count != 1:
        raise LookupError(f"{count} sections named {name!r}, not one")
    return replaced
