"""What changed in a plan, as people read it in a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from difflib import unified_diff
from typing import TYPE_CHECKING, NamedTuple

import click

from runner.cli import highlight, plan_text, render
from runner.core.inert import terminal

if TYPE_CHECKING:
    from runner.core.errors import Reason
    from runner.core.plan_diff import FieldChange, State
    from runner.verbs.diff import Given, PlanDiff
    from runner.verbs.diff_steps import StepChange
    from runner.verbs.show import StepView


class Kind(NamedTuple):
    """How steps of a state are marked, counted and described."""

    mark: str
    color: str
    counted: str
    note: str


ANEW = "nothing new to read, to be approved anew"
LAPSED = "but the approval no longer counts"
KINDS: dict[State, Kind] = {
    "unchanged": Kind("=", "bright_black", "unchanged", "unchanged"),
    "context": Kind("=", "yellow", "behind a change", "as it was, behind a change"),
    "moved": Kind("=", "yellow", "moved", "as it was, in another place"),
    "changed": Kind("~", "yellow", "changed", "changed since then"),
    "added": Kind("+", "green", "added", "added"),
    "removed": Kind("-", "red", "removed", "removed"),
    "not_approved": Kind("?", "yellow", "never approved", "as it was, and never approved"),
    "unknown": Kind("?", "yellow", "not covered", "not covered by the approval"),
}
VOIDS = "which voids every approval given before"
VOIDED = "execution_changed"
# In another context, to which an approval says nothing.
ELSEWHERE = frozenset({"context", "moved"})
# A text of more lines is compared line by line.
SHORT = 3


def lines(found: PlanDiff) -> list[str]:
    """The whole comparison."""
    shown = [plan_text.title(found.plan, found.goal), *plan_text.doubts(found.warnings)]
    shown += _sides(found)
    shown += [*voiding(found), *beside(found.notes)]
    told = found.given.reasons if found.given else ()
    total = max(each.number for each in found.steps)
    for before, each in zip([None, *found.steps], found.steps, strict=False):
        listed = before is not None and before.state == each.state == "unchanged"
        shown += [*([] if listed else [""]), *step(each, total, told)]
    if found.given and any(not each.stands for each in found.steps if each.number):
        shown += ["", f"To decide: planlock review {found.plan}"]
    return shown


def _sides(found: PlanDiff) -> list[str]:
    rows = [("since", since(found.given)), ("then", found.then or "not here any more")]
    rows += [("now", found.now), ("found", summary(found.steps))]
    return render.rows(rows)


def since(given: Given | None) -> str:
    return f"{terminal(given.by)} approved it at {given.made_at}" if given else ""


def summary(steps: Sequence[StepChange]) -> str:
    """How many steps stand how: `1 unchanged, 2 changed`."""
    counts = {
        kind.counted: sum(each.state == state for each in steps) for state, kind in KINDS.items()
    }
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def voiding(found: PlanDiff, *, fixes: bool = True) -> list[str]:
    """Why the approval counts no longer, apart from changes of the steps."""
    given, shown = found.given, []
    # the change itself is told below
    reasons = [each for each in (given.reasons if given else ()) if each.code != VOIDED]
    if reasons:
        shown += [click.style("  the approval no longer counts:", fg="red")]
        shown += [_reason(reason, fixes=fixes) for reason in reasons]
    if found.header:
        shown += [click.style(f"  the plan's header changed, {VOIDS}:", fg="red")]
        shown += _fields(found.header)
    if given and given.execution:
        shown += [click.style(f"  what commands may do here changed, {VOIDS}:", fg="red")]
        shown += _fields(given.execution)
    return shown


def _reason(reason: Reason, *, fixes: bool) -> str:
    if fixes:
        return render.reason_text(reason, "    ")
    return render.wrapped(f"- {terminal(reason.message)}", rest=6)


def beside(notes: Sequence[FieldChange]) -> list[str]:
    """Changes that no approval is about."""
    return ["  beside what is approved:", *_fields(notes)] if notes else []


def _fields(fields: Iterable[FieldChange]) -> list[str]:
    return [f"    {line}" for each in fields for line in field(each)]


def field(change: FieldChange) -> list[str]:
    """One field, then what it was and what it is."""
    old, new = ([] if text is None else text.split("\n") for text in (change.then, change.now))
    body = [*(f"-{line}" for line in old), *(f"+{line}" for line in new)]
    if min(len(old), len(new)) > SHORT:
        body = list(unified_diff(old, new, lineterm="", n=2))[2:]
    return [f"{change.field}:", *(f"  {line}" for line in highlight.diff(body, ""))]


def step(change: StepChange, total: int, told: Collection[Reason] = ()) -> list[str]:
    """One step; what is unchanged is told in a few words, less the reasons that were `told`."""
    kind = KINDS[change.state]
    place = f"{change.number}/{total}" if change.number else f"was {change.was}"
    title = f"{click.style(kind.mark, fg=kind.color)} {render.bold(f'{place} {change.id}')}"
    if change.state == "unchanged":
        stands = click.style(_note(change, told, known=True), fg=kind.color)
        return [render.wrapped(f"{title}  {stands}", first=0, rest=4)]
    title = render.wrapped(
        f"{title}  {terminal(change.step_type)}  {terminal(change.line)}", first=0, rest=4
    )
    return [title, note(change, told), *body(change), *_whole(change)]


def note(change: StepChange, told: Collection[Reason] = (), *, known: bool = True) -> str:
    """How the step stands, in a few words, for somebody who still knows it or does not."""
    text = _note(change, told, known=known)
    return click.style(render.wrapped(text), fg=KINDS[change.state].color)


def _note(change: StepChange, told: Collection[Reason], *, known: bool) -> str:
    text = KINDS[change.state].note
    if change.lapse:
        whys = [terminal(each.message) for each in change.lapse if each not in told]
        return ": ".join([f"{text}, {LAPSED}", *(["; ".join(whys)] if whys else [])])
    return f"{text}: {ANEW}" if known and change.state in ELSEWHERE else text


def body(change: StepChange) -> list[str]:
    """What differs: the fields, and the file that comes of them."""
    shown = [f"    {line}" for each in change.fields for line in field(each)]
    if change.diff:
        shown += [
            render.wrapped(f"{terminal(change.path)} as this step left it then and leaves it now:")
        ]
        shown += [f"    {line}" for line in highlight.diff(change.diff, change.path)]
    return shown


def _whole(change: StepChange) -> list[str]:
    """All of a step that is new to the reader; of a changed edit what it does to the base."""
    view = change.view
    if view is None:
        return []
    if change.state != "changed":
        return [render.wrapped(terminal(view.description)), *plan_text.step_body(view)]
    return rest(change, view)


def rest(change: StepChange, view: StepView) -> list[str]:
    """Of a changed step what its changes do not tell."""
    changed = {each.field for each in change.fields}
    fields = {"input.command": "command", "undo.command": "undo command"}
    told = {name for field, name in fields.items() if field in changed}
    return ["    in all:", *plan_text.step_body(view, told)]
