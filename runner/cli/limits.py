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
    "--max-runs", default=0, type=click.IntRange(0), help="How many runs may use it."
)
