"""A document as the log of a workflow of GitHub Actions: a group a section."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from runner.cli import streams
from runner.cli.formats import LOOK_TWICE, WHOLE, Block, Document, Facts, Part, honest
from runner.core.inert import actions_data, actions_log, one_line, terminal

WIDEST_CELL = 80


def write(document: Document) -> None:
    document = honest(document)
    click.echo(_title(document.title))
    _annotate(document.parts)
    _write(document.parts)
    for section in document.sections:
        streams.command(f"::group::{actions_data(_title(section.title))}")
        _write(section.parts)
        streams.command("::endgroup::")
    _write(document.last)


def _annotate(parts: tuple[Part, ...]) -> None:
    """Show what deserves a second look beside the workflow run too."""
    for part in parts:
        for label, text in part.rows if isinstance(part, Facts) else ():
            if label == LOOK_TWICE:
                streams.command(f"::warning title={LOOK_TWICE}::{actions_data(text)}")


def _write(parts: tuple[Part, ...]) -> None:
    for part in parts:
        click.echo(actions_log("\n".join(_lines(part)), limit=sys.maxsize))


def _title(words: tuple[str, ...]) -> str:
    return " ".join(one_line(each) for each in words if each)


def _lines(part: Part) -> Iterator[str]:
    if isinstance(part, Facts):
        yield from (f"{label}: {one_line(text, limit=WHOLE)}" for label, text in part.rows)
    elif isinstance(part, Block):
        yield f"{part.label}:"
        yield from (f"  {line}" for line in terminal(part.text, limit=WHOLE).split("\n"))
    else:
        for row in (part.head, *part.rows):
            yield "  ".join(one_line(cell, limit=WIDEST_CELL) for cell in row)
