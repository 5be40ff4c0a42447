"""`status` without a plan, once or again and again."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli import render
from runner.core.inert import one_line

if TYPE_CHECKING:
    from runner.verbs.overview import Overview, RunLine

PAUSE_S = 1.0
HOME_AND_CLEAR = "\x1b[H\x1b[J"


def show(folders: Sequence[Path], *, watch: bool, as_json: bool) -> None:
    """Print the runs of these repositories; with `watch` whenever they change, until Ctrl-C."""
    looks = _looks(folders) if watch else iter([_look(folders)])
    redraws = watch and not as_json and sys.stdout.isatty()
    try:
        for found in looks:
            if as_json:
                click.echo(render.json_of([render.plain(each) for each in found], one_line=watch))
            else:
                head = HOME_AND_CLEAR if redraws else ""
                click.echo(head + "\n".join(line for each in found for line in _lines(each)))
    except KeyboardInterrupt:
        if not watch:
            raise


def _looks(folders: Sequence[Path]) -> Iterator[list[Overview]]:
    last: list[Overview] | None = None
    while True:
        found = _look(folders)
        if found != last:
            yield found
        last = found
        time.sleep(PAUSE_S)


def _look(folders: Sequence[Path]) -> list[Overview]:
    from runner.project import Project, real_world
    from runner.verbs.overview import overview

    with ExitStack() as stack:
        worlds = [real_world(folder) for folder in folders] or [real_world()]
        return [overview(stack.enter_context(Project(world))) for world in worlds]


def _lines(found: Overview) -> Iterator[str]:
    yield render.bold(one_line(found.place))
    if not found.open and not found.ended:
        yield "  no runs yet"
    for each in (*found.open, *found.ended):
        yield _line(each)
    if found.more:
        yield render.dim(f"  … and {found.more} more plans whose newest run has ended")


def _line(each: RunLine) -> str:
    step = f"  next {each.step}" if each.step else ""
    if each.holder:
        step = f"  at {each.step}, held by {one_line(each.holder)}, last sign {each.seen}"
    why = f"  ({one_line(each.why)})" if each.why else ""
    name = f"{each.plan}/{each.run}"
    return (
        f"  {render.mark(each.status)} {name}  {each.status}  {each.done}/{each.total}"
        f"{step}  last record {each.last or '-'}{why}"
    )
