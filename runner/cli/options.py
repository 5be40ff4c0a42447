"""Options that several commands share, and the opened project."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from runner.project import Project

MIN_DIGITS = 12


def pattern(form: str, example: str) -> click.ParamType[str]:
    """Texts that have a form, a regular expression."""

    class Type(click.ParamType[str]):
        name = example

        def convert(
            self, value: object, param: click.Parameter | None, ctx: click.Context | None
        ) -> str:
            if not isinstance(value, str) or not re.fullmatch(form, value):
                self.fail(f"{value!r} is not like {example}", param, ctx)
            return value

    return Type()


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
FORMATS = ("text", "json", "markdown", "html", "actions")
style = click.option(
    "--format",
    "style",
    type=click.Choice(FORMATS),
    help="text, or json (`--json`), markdown, html; actions for logs of GitHub Actions.",
)
reason = click.option("--reason", default="", help="Why; goes into the record.")
digest_type = pattern(rf"|(sha256:)?[0-9a-f]{{{MIN_DIGITS},64}}", "sha256:0123456789ab")


def chosen(style: str | None, *, as_json: bool) -> str:
    """The one format that `--format` and `--json` ask for."""
    if as_json and style not in {None, "json"}:
        raise click.UsageError("--json and --format exclude each other: name one of them")
    return "json" if as_json else style or "text"


def wants_json(args: Sequence[str]) -> bool:
    """Whether a command line asks for JSON, be it valid or not."""
    pairs = zip(args, [*args[1:], ""], strict=True)
    return "--json" in args or "--format=json" in args or ("--format", "json") in pairs


def full_digest(text: str) -> str:
    """A digest or its beginning as it is written in files; empty stays empty."""
    return text and f"sha256:{text.removeprefix('sha256:')}"


@contextmanager
def project() -> Iterator[Project]:
    """Open the repository around the current folder."""
    from runner.project import Project, real_world

    with Project(real_world()) as opened:
        try:
            yield opened
        finally:
            if opened.unsettled is not None:
                from runner.cli import render

                render.talk(f"note: {render.below(opened.unsettled.message)}")
