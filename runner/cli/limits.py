"""Options that bound an approval."""

from __future__ import annotations

import click

from runner.cli.options import pattern
from runner.core.values import DURATION, USD

expires = click.option(
    "--expires", default="", type=pattern(f"|{DURATION}", "12h"), help="E.g. 12h, 7d."
)
max_usd = click.option(
    "--max-usd", default="", type=pattern(f"|{USD}", "0.50"), help="Money bound, USD."
)
max_runs = click.option(
    "--max-runs", default=None, type=click.IntRange(min=1), help="How many runs may use it."
)


def within(usd: str, runs: int) -> str:
    """The bounds of an approval in words; empty without any."""
    bounds = (f"{usd} USD" if usd else "", f"{runs} run(s)" if runs else "")
    return ", ".join(each for each in bounds if each)
