"""What a reviewer sees on the way through the plans: lines of text, by where they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from runner.cli import diff_text, plan_text, render, review_walk
from runner.cli.review_walk import Walk
from runner.core.inert import one_line, terminal

if TYPE_CHECKING:
    from runner.verbs.diff import Given, PlanDiff
    from runner.verbs.review import PlanReview, StepReview, Waiting, WaitingPlan

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
# A key and what it does stay on one line.
UNBROKEN = "\N{NO-BREAK SPACE}"
# Not asked, unless one before them is rejected.
SETTLED = frozenset({"approved", "enough", "free"})
MARKS = {"done": "✓", "approved": "✓", "enough": "✓", "rejected": "↷", "barred": "○"}
LISTED = frozenset({"assumptions", "questions"})
# As it was when the reviewer approved it, so there is nothing to read for who still knows it.
AS_IT_WAS = frozenset({"context", "moved", "unchanged"})
BEHIND = "asked although nobody need approve it: it stands behind a rejected step"


def rule(text: str) -> str:
    return render.dim(f"── {text} ".ljust(render.width(), "─"))


def waiting(found: Waiting) -> list[str]:
    """What waits, for whom, without any interaction."""
    count = len(found.mine)
    plans = "1 plan waits" if count == 1 else f"{count or 'no'} plans wait"
    title = f"{render.bold(f'{plans} for you')} ({terminal(found.person)}, trusted {terminal(found.trusted)})"
    shown = [render.wrapped(title, first=0, rest=4)]
    for each in found.mine:
        name = f"{render.mark('waiting')} {render.bold(each.plan)}"
        shown.append(render.wrapped(f"{name}  {terminal(each.goal)}", first=0, rest=4))
        text = f"by {terminal(each.author) or '-'}; steps for you: {', '.join(each.steps)}"
        shown.append(render.wrapped(text, rest=6))
    if found.others:
        shown += ["", "Waiting for others:", *(_other(each) for each in found.others)]
    return shown


def _other(plan: WaitingPlan) -> str:
    return render.dim(
        render.wrapped(f"{plan.plan}  {terminal('; '.join(plan.missing))}", first=0, rest=4)
    )


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
    text = f"Since you approved it at {given.made_at}"
    title = render.bold(render.wrapped(text, first=0, rest=2))
    shown = [
        title,
        render.wrapped(diff_text.summary(diff.steps), first=2),
        *diff_text.voiding(diff, fixes=False),
    ]
    return [*(["", *notes] if notes else []), "", *shown, *diff_text.beside(others)]


def risks(review: PlanReview) -> list[str]:
    """Everything that deserves a second look, a line each, by step."""
    found = list(_risks(review))
    if not found:
        text = "Risks: none of those that planlock looks for"
        return [render.dim(render.wrapped(text, first=0, rest=2))]
    return [render.bold("Risks"), *found]


def _risks(review: PlanReview) -> Iterator[str]:
    for each in review.view.steps:
        told = {risk.detail for risk in each.risks}
        facts = [(plan_text.label(risk), risk.detail) for risk in each.risks]
        facts += [("look twice", text) for text in each.warnings if text not in told]
        for name, text in facts:
            yield _risk(f"{each.number} {each.id}", name, text)


def _risk(place: str, name: str, text: str) -> str:
    """A risk in full, but for a command, which its step shows."""
    if name != "command":
        return render.wrapped(
            f"{place}  {click.style(name, fg='red')}: {terminal(text)}", first=2, rest=6
        )
    begin = f"  {place}  {click.style(name, fg='yellow')}: "
    return begin + render.cut(terminal(text), taken=len(click.unstyle(begin)))


def passed(review: PlanReview, number: int) -> str:
    """A step that is not asked, in one dim line."""
    each = review.steps[number]
    place = f"{each.view.number}/{len(review.steps)} {each.view.id}"
    mark = MARKS.get(each.state, "·")
    return render.dim(
        render.cut(
            f"{mark} {place}  {terminal(each.note)}: {terminal(each.view.step_type)} {one_line(each.view.line)}"
        )
    )


def step(review: PlanReview, number: int) -> list[str]:
    """A step that is asked: what changed since it was approved, then all of it."""
    each = review.steps[number]
    view, place = each.view, f"{review.plan} {number + 1}/{len(review.steps)}"
    # a command is shown in full below
    line = "" if any(name == "command" for name, _ in view.details) else terminal(view.line)
    title = f"{render.bold(view.id)}  {terminal(view.step_type)}  {line}"
    head = ["", rule(place), render.wrapped(title, first=0, rest=4)]
    behind = [render.wrapped(BEHIND, rest=6)] if _is_behind(each) else []
    return [
        *head,
        render.wrapped(terminal(view.description)),
        *_read(each),
        plan_text.needs(view),
        *behind,
    ]


def _is_behind(each: StepReview) -> bool:
    """Whether a step would not be asked, had nobody rejected one before it."""
    return each.free if each.state == "ask" else each.state in SETTLED


def _read(each: StepReview) -> list[str]:
    """What there is to read; of a step that the reviewer knows only what comes out otherwise."""
    change = each.change
    if change is None or change.state in {"added", "not_approved", "unknown"}:
        return plan_text.step_body(each.view)
    shown = [diff_text.note(change, known=each.known), *diff_text.body(change)]
    if not each.known:
        return [*shown, *plan_text.step_body(each.view)]
    return shown if change.state in AS_IT_WAS else [*shown, *diff_text.rest(change, each.view)]


def whole(review: PlanReview, number: int) -> str:
    """A step with nothing left out, for the pager."""
    view = review.steps[number].view
    return "\n".join([*plan_text.step(view, len(review.steps)), plan_text.digest(view)])


def prompt(walk: Walk) -> str:
    words = CONFIRM if walk.wants == "summary" else PROMPT
    line = "  ".join(word.replace(" ", UNBROKEN) for word in words)
    text = render.wrapped(line, first=0).replace(UNBROKEN, " ")
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
    keys = review_walk.KEYS.items()
    return [render.wrapped(f"{key}  {text}", first=2, rest=5) for key, text in keys]
