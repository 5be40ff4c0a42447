"""A document as Markdown of GitHub, short enough for a comment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from runner.cli.formats import LOOK_TWICE, Document, Facts, Part, Section, Table, cut, longest
from runner.core.inert import html, markdown, markdown_block, one_line

# GitHub takes 65,536 characters.
LONGEST = 60_000
SIZES = (20_000, 5_000, 1_000, 200)
MOST_ROWS = 100


def write(document: Document) -> None:
    click.echo(text(document))


def text(document: Document, *, limit: int = LONGEST) -> str:
    """Cut texts, and if need be leave out details, until it is short enough."""
    size = next((size for size in SIZES if len(_whole(document, size)) <= limit), SIZES[-1])
    if document.last and (longest(document) > size or len(_whole(document, size)) > limit):
        return text(cut(document, f"planlock show {document.title[1]}"), limit=limit)
    shown, written = len(document.sections), _whole(document, size)
    while shown and len(written) > limit:
        shown //= 2
        written = "\n\n".join(_blocks(document, SIZES[-1], shown))
    return written


def _whole(document: Document, size: int) -> str:
    return "\n\n".join(_blocks(document, size, len(document.sections)))


def _blocks(document: Document, size: int, shown: int) -> Iterator[str]:
    """What blank lines part: HTML among it ends there, so that Markdown goes on."""
    yield f"## {_title(document.title)}"
    for part in document.parts:
        yield _part(part, size)
    for section in document.sections[:shown]:
        yield from _section(section, size)
    if left := len(document.sections) - shown:
        yield f"The details of {left} more are left out here."
    for part in document.last:
        yield _part(part, size)


def _title(words: Sequence[str]) -> str:
    label, *names = words
    return " ".join([label, *(markdown(name, limit=SIZES[-1]) for name in names if name)])


def _section(section: Section, size: int) -> Iterator[str]:
    label, *names = section.title
    # mentions and links are made of text in HTML too, but not of code
    codes = [f"<code>{html(one_line(name), limit=SIZES[-1])}</code>" for name in names if name]
    yield f"<details><summary>{' '.join([label, *codes])}</summary>"
    for part in section.parts:
        yield _part(part, size)
    yield "</details>"


def _part(part: Part, size: int) -> str:
    if isinstance(part, Facts):
        lines = [_fact(label, text, size) for label, text in part.rows]
        return "\n".join(_first(lines, "- and {} more"))
    if isinstance(part, Table):
        return "\n".join(_table(part))
    return f"{part.label}:\n\n{markdown_block(part.text, part.language, limit=size)}"


def _fact(label: str, text: str, size: int) -> str:
    name = f"**{label}**" if label == LOOK_TWICE else label
    return f"- {name}: {markdown(text, limit=size)}"


def _table(table: Table) -> Iterator[str]:
    yield _row(table.head)
    yield _row(["---"] * len(table.head))
    rows = [
        _row([markdown(cell, cell=True, limit=SIZES[-1]) for cell in row]) for row in table.rows
    ]
    yield from _first(rows, "\nand {} more")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _first(lines: Sequence[str], more: str) -> list[str]:
    left = len(lines) - MOST_ROWS
    return [*lines[:MOST_ROWS], *([more.format(left)] if left > 0 else [])]
