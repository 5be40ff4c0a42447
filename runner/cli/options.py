"""Options that several commands share, and the opened project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from runner.project import Project

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


@contextmanager
def project() -> Iterator[Project]:
    """Open the repository around the current folder."""
    from runner.project import Project, real_world

    with Project(real_world()) as opened:
        yield opened
