"""What a reviewer sees on the way through the plans: lines of text, by where they are."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from runner.cli import diff_text, plan_text, render, review_walk
from runner.cli.review_walk import Walk
from runner.core.text import visible
from runner.core.values import parse_duration

if TYPE_CHECKING:
    from runner.verbs.decision_record import Decided
    from runner.verbs.diff import Given, PlanDiff
    from runner.verbs.review import PlanReview, StepReview, Verdicts, Waiting, WaitingPlan

PROMPT = (
    *("[a]pprove", "[r]eject", "[s]kip", "[A]pprove all left"),
    *("[b]ack", "[v]iew", "[q]uit", "[?]"),
)
CONFIRM = ("Sign? [y/N]", "[b]ack")
SHOWS = frozenset({"?", "v"})
SAID = {
    "a": "approve",
    "s": "skip",
    "A": "approve all left",
    "S": "skip all left",
    "b": "back",
    "q": "quit",
    "y": "yes",
    "n": "no",
}
DEEDS = {"approve": "approved", "reject": "rejected", "skip": "skipped"}
COLORS = {"approve": "green", "reject": "red", "skip": "yellow"}
MARKS = {"done": "✓", "approved": "✓", "enough": "✓", "rejected": "↷", "barred": "○"}
WIDEST = 100
LISTED = frozenset({"assumptions", "questions"})
# As it was when the reviewer approved it, so there is nothing to read.
KNOWN = frozenset({"context", "moved", "unchanged"})


def width() -> int:
    return max(20, min(WIDEST, shutil.get_terminal_size().columns))


def rule(text: str) -> str:
    return render.dim(f"── {text} ".ljust(width(), "─"))


def filled(words: Sequence[str]) -> str:
    """Words in lines that fit the terminal, never broken apart."""
    lines = [""]
    for word in words:
        longer = f"{lines[-1]}  {word}" if lines[-1] else word
        lines[-1:] = [longer] if len(longer) < width() else [lines[-1], word]
    return "\n".join(lines)


def cut(text: str) -> str:
    """One line that fits the terminal; `…` says that there is more."""
    first = text.split("\n", 1)[0]
    if first == text and len(text) <= width():
        return text
    return f"{first[: width() - 1]}…"


def waiting(found: Waiting) -> list[str]:
    """What waits, for whom, without any interaction."""
    count = len(found.mine)
    plans = "1 plan waits" if count == 1 else f"{count or 'no'} plans wait"
    shown = [f"{render.bold(f'{plans} for you')} ({found.person}, trusted {found.trusted})"]
    for each in found.mine:
        shown.append(f"{render.mark('waiting')} {render.bold(each.plan)}  {each.goal}")
        shown.append(f"    by {each.author or '-'}; steps for you: {', '.join(each.steps)}")
    if found.others:
        shown += ["", "Waiting for others:", *(_other(each) for each in found.others)]
    return shown


def _other(plan: WaitingPlan) -> str:
    return render.dim(f"{plan.plan}  {'; '.join(plan.missing)}")


def arrival(reviews: Sequence[PlanReview], came_from: int | None, walk: Walk) -> list[str]:
    """All that is new to see: headers of plans, steps that are passed, the step that is asked."""
    shown: list[str] = []
    asked = review_walk.asked(walk)
    for number in (*walk.passed, *([walk.at] if walk.wants != "summary" else [])):
        stop = walk.stops[number]
        review = reviews[stop.plan]
        if stop.plan != came_from:
            shown += ["", *plan(review, f"plan {stop.plan + 1} of {len(reviews)}")]
            came_from = stop.plan
        shown += step(review, stop.step) if number in asked else [passed(review, stop.step)]
        choice = walk.choices.get(number)
        if number in asked and choice:
            shown += ["", f"    {deed(choice.word)}"]
    return shown


def plan(review: PlanReview, place: str) -> list[str]:
    """The head of a plan: what it is, its risks, what it leaves open, what changed."""
    shown = [rule(place), *plan_text.header(review.view), "", *risks(review)]
    if review.diff and review.diff.given:
        return [*shown, *_since(review, review.diff, review.diff.given), ""]
    notes = plan_text.notes(review.view)
    return [*shown, *(["", *notes] if notes else []), ""]


def _since(review: PlanReview, diff: PlanDiff, given: Given) -> list[str]:
    """What the plan leaves open, and what is new since the reviewer approved it."""
    new = {each.now or "" for each in diff.notes if each.field in LISTED}
    notes = plan_text.notes(review.view, new)
    others = [each for each in diff.notes if each.then is not None or each.field not in LISTED]
    title = render.bold(f"Since you approved it at {given.made_at}")
    shown = [title, f"  {diff_text.summary(diff.steps)}", *diff_text.voiding(diff)]
    return [*(["", *notes] if notes else []), "", *shown, *diff_text.beside(others)]


def risks(review: PlanReview) -> list[str]:
    """Everything that deserves a second look, a line each, by step."""
    found = list(_risks(review))
    if not found:
        return [render.dim("Risks: none of those that planlock looks for")]
    return [render.bold("Risks"), *found]


def _risks(review: PlanReview) -> Iterator[str]:
    for each in review.view.steps:
        told = {risk.detail for risk in each.risks}
        facts = [(plan_text.label(risk), risk.detail) for risk in each.risks]
        facts += [("look twice", text) for text in each.warnings if text not in told]
        for name, text in facts:
            yield _risk(f"  {each.number} {each.id}  ", name, text)


def _risk(place: str, name: str, text: str) -> str:
    """A risk in full, but for a command, which its step shows."""
    whole, known = f"{place}{name}: {text}", name == "command"
    line = cut(whole) if known else textwrap.fill(whole, width(), subsequent_indent=" " * 6)
    if not line.startswith(place + name):
        return line  # too narrow for both
    return place + click.style(name, fg="yellow" if known else "red") + line[len(place + name) :]


def passed(review: PlanReview, number: int) -> str:
    """A step that is not asked, in one dim line."""
    each = review.steps[number]
    place = f"{each.view.number}/{len(review.steps)} {each.view.id}"
    mark = MARKS.get(each.state, "·")
    return render.dim(cut(f"{mark} {place}  {each.note}: {each.view.step_type} {each.view.line}"))


def step(review: PlanReview, number: int) -> list[str]:
    """A step that is asked: what changed since it was approved, then all of it."""
    each = review.steps[number]
    view, place = each.view, f"{review.plan} {number + 1}/{len(review.steps)}"
    # a command is shown in full below
    line = "" if any(name == "command" for name, _ in view.details) else view.line
    title = f"{render.bold(view.id)}  {view.step_type}  {line}".rstrip()
    head = ["", rule(place), title, render.wrapped(view.description)]
    return [*head, *_read(each), plan_text.needs(view)]


def _read(each: StepReview) -> list[str]:
    """What there is to read; of a step that the reviewer knows only what comes out otherwise."""
    change = each.change
    if change is None or change.state in {"added", "not_approved", "unknown"}:
        return plan_text.step_body(each.view)
    shown = [diff_text.note(change), *diff_text.body(change)]
    return shown if change.state in KNOWN else [*shown, *diff_text.rest(change, each.view)]


def whole(review: PlanReview, number: int) -> str:
    """A step with nothing left out, for the pager."""
    view = review.steps[number].view
    return "\n".join([*plan_text.step(view, len(review.steps)), plan_text.digest(view)])


def prompt(walk: Walk) -> str:
    words = CONFIRM if walk.wants == "summary" else PROMPT
    text = filled(words)
    for word in words:
        key = word[word.index("[") : word.index("]") + 1]
        text = text.replace(key, click.style(key, bold=True))
    return f"\n{text} "


def said(key: str) -> str:
    """What a key just did."""
    return f"→ {SAID[key]}" if key in SAID else ""


def deed(word: str) -> str:
    return click.style(DEEDS[word], fg=COLORS[word], bold=True)


def keys() -> list[str]:
    return [f"  {key}  {text}" for key, text in review_walk.KEYS.items()]


def summary(decisions: Sequence[tuple[PlanReview, Verdicts]]) -> list[str]:
    """What will be signed, plan by plan."""
    shown = ["", rule("to be signed")]
    for review, verdicts in decisions:
        shown.append(render.bold(f"{review.plan}: {review.view.goal}"))
        shown += [f"  {name:<8} {value}" for name, value in _signed(review, verdicts) if value]
    return shown


def _signed(review: PlanReview, verdicts: Verdicts) -> list[tuple[str, str]]:
    left_out = [each for each in (*review.skipped, *verdicts.reject) if verdicts.approve]
    bounds = [f"{verdicts.max_usd} USD" if verdicts.max_usd else ""]
    bounds += [f"{verdicts.max_runs} run(s)" if verdicts.max_runs else ""]
    return [
        ("approve", ", ".join(verdicts.approve)),
        ("knowing", f"left out: {', '.join(dict.fromkeys(left_out))}" if left_out else ""),
        ("for", _term(review, verdicts) if verdicts.approve else ""),
        ("within", ", ".join(each for each in bounds if each and verdicts.approve)),
        ("reject", ", ".join(verdicts.reject)),
        ("because", visible(verdicts.objection)),
        ("left", ", ".join(_undecided(review, verdicts))),
        ("as", review.person),
        ("digest", review.digest),
    ]


def _undecided(review: PlanReview, verdicts: Verdicts) -> list[str]:
    asked = [each.view.id for each in review.steps if each.state == "ask"]
    return [name for name in asked if name not in {*verdicts.approve, *verdicts.reject}]


def _term(review: PlanReview, verdicts: Verdicts) -> str:
    """How long the approval will live: the shorter of what is asked and what is allowed."""
    terms = [each for each in (verdicts.expires, review.term) if each]
    if not terms:
        return "ever: neither you nor the policy set an end"
    text = min(terms, key=parse_duration)
    return f"{text} (the policy's term)" if text == review.term else text


def signed(done: Decided) -> list[str]:
    """The record that was made."""
    word = {"approve": "approved", "reject": "rejected"}.get(done.decision, done.decision)
    title = f"{render.mark('completed')} {word} {render.bold(done.plan)}: {', '.join(done.steps)}"
    facts = [
        ("until", done.expires_at),
        ("knowing", f"left out: {', '.join(done.skipped)}" if done.skipped else ""),
        ("record", f"{done.id} in commit {done.commit[:12]}"),
        *(("note", visible(note)) for note in done.notes),
        ("push", done.push_command),
    ]
    return [title, *(f"  {name:<8} {value}" for name, value in facts if value)]
