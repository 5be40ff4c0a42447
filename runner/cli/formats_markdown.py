"""A document as Markdown of GitHub, short enough for a comment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import click

from runner.cli.formats import (
    LOOK_TWICE,
    Block,
    Document,
    Facts,
    Part,
    Section,
    Table,
    cut,
    every_part,
    part_fits,
)
from runner.cli.plan_text import COMMANDS
from runner.core.inert import html, markdown, markdown_address, markdown_block, one_line

# GitHub takes 65,536 characters.
LONGEST = 60_000
NAME = 200
MOST_ROWS = 100


class Room(NamedTuple):
    """How many characters a command may take, and any other text, and how many rows are shown."""

    command: int
    text: int
    rows: int = MOST_ROWS

    def limit(self, part: Part) -> int:
        return self.command if isinstance(part, Block) and part.label in COMMANDS else self.text

    def holds(self, part: Part) -> bool:
        few = not isinstance(part, Facts) or len(part.rows) <= self.rows
        return few and part_fits(part, limit=self.limit(part))


# Of commands something is left out last.
ROOMS = (
    *(Room(LONGEST, size) for size in (20_000, 5_000, 1_000, NAME)),
    *(Room(size, NAME) for size in (5_000, 1_000, NAME)),
)


def write(document: Document) -> None:
    click.echo(text(document))


def text(document: Document, *, limit: int = LONGEST) -> str:
    """Cut texts, and if need be leave out details and rows, until it is short enough."""
    room = _room(document, limit)
    if len(_whole(document, room)) > limit or not all(map(room.holds, every_part(document))):
        document = cut(document)
        room = _room(document, limit)
    shown, written = len(document.sections), _whole(document, room)
    while len(written) > limit and (shown or room.rows):
        room = room if shown else room._replace(rows=room.rows // 2)
        shown //= 2
        written = "\n\n".join(_blocks(document, room, shown))
    return written


def _room(document: Document, limit: int) -> Room:
    return next((room for room in ROOMS if len(_whole(document, room)) <= limit), ROOMS[-1])


def _whole(document: Document, room: Room) -> str:
    return "\n\n".join(_blocks(document, room, len(document.sections)))


def _blocks(document: Document, room: Room, shown: int) -> Iterator[str]:
    """What blank lines part: HTML among it ends there, so that Markdown goes on."""
    yield f"## {_title(document.title)}"
    for part in document.parts:
        yield _part(part, room)
    for section in document.sections[:shown]:
        yield from _section(section, room)
    if left := len(document.sections) - shown:
        yield f"The details of {left} more are left out here."
    for part in document.last:
        yield _part(part, room)


def _title(words: Sequence[str]) -> str:
    label, *names = words
    return " ".join([label, *(markdown(name, limit=NAME) for name in names if name)])


def _section(section: Section, room: Room) -> Iterator[str]:
    label, *names = section.title
    # mentions and links are made of text in HTML too, but not of code
    codes = [f"<code>{html(one_line(name), limit=NAME)}</code>" for name in names if name]
    yield f"<details><summary>{' '.join([label, *codes])}</summary>"
    for part in section.parts:
        yield _part(part, room)
    yield "</details>"


def _part(part: Part, room: Room) -> str:
    if isinstance(part, Facts):
        lines = [
            f"- {label}: {markdown_address(text)}"
            if label in part.pages
            else _fact(label, text, room.text)
            for label, text in part.rows[: room.rows]
        ]
        return "\n".join([*lines, *_left(part, "- and {} more", room)])
    if isinstance(part, Table):
        return "\n".join(_table(part, room))
    return f"{part.label}:\n\n{markdown_block(part.text, part.language, limit=room.limit(part))}"


def _fact(label: str, text: str, limit: int) -> str:
    name = f"**{label}**" if label == LOOK_TWICE else label
    return f"- {name}: {markdown(text, limit=limit)}"


def _table(table: Table, room: Room) -> Iterator[str]:
    yield _row(table.head)
    yield _row(["---"] * len(table.head))
    for row in table.rows[: room.rows]:
        yield _row([markdown(cell, cell=True, limit=NAME) for cell in row])
    yield from _left(table, "\nand {} more", room)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _left(part: Facts | Table, more: str, room: Room) -> list[str]:
    left = len(part.rows) - room.rows
    return [more.format(left)] if left > 0 else []
