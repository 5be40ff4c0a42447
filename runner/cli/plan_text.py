"""A plan as people read it in a terminal: header, steps, risks.

Nothing of it is cut, for who reads it may approve all of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import click

from runner.cli import highlight, render
from runner.core.text import visible

if TYPE_CHECKING:
    from runner.core.risks import Risk
    from runner.verbs.show import PlanView, StepView

# Shown in full, as they are written.
COMMANDS = frozenset({"command", "undo command"})
# Told by the step itself, by its details and by its warnings.
TOLD = frozenset({"command", "network", "secret", "unusual_characters"})


def header(view: PlanView) -> list[str]:
    place = f"{view.source} at {view.commit[:12]}" if view.commit else view.source
    rows = [("from", place), ("base", view.base[:12] or "none yet"), ("author", view.author)]
    rows += [("model", view.planner), ("budget", view.budget), ("trusted", view.trusted)]
    rows += [("digest", view.digest)]
    rows = [(name, visible(text)) for name, text in rows]
    return [title(view.id, view.goal), *doubts(view.warnings), *render.rows(rows)]


def doubts(warnings: Iterable[str]) -> list[str]:
    """What in a plan's own texts is not what it seems."""
    return [_twice(warning, first=2) for warning in warnings]


def _twice(warning: str, *, first: int = 4) -> str:
    label = click.style("look twice", fg="red", bold=True)
    return render.wrapped(f"{label}: {visible(warning)}", first=first, rest=6)


def title(plan: str, goal: str) -> str:
    """What a plan is about, at the top of all that is said of it."""
    return render.bold(render.wrapped(f"{plan}: {visible(goal)}", first=0, rest=2))


def notes(view: PlanView, new: Collection[str] = ()) -> list[str]:
    """What the plan rests on, and what it leaves open."""
    rows = [*(("assumes", line) for line in view.assumptions)]
    rows += [*(("asks", line) for line in view.questions)]
    return render.rows(
        (name, f"{visible(line)} (new)" if line in new else visible(line)) for name, line in rows
    )


def step(view: StepView, total: int) -> list[str]:
    """All that there is to read of a step."""
    place = render.bold(f"{view.number}/{total} {view.id}")
    head = render.wrapped(
        f"{place}  {visible(view.step_type)}  {visible(view.line)}", first=0, rest=4
    )
    return [head, render.wrapped(visible(view.description)), *step_body(view), needs(view)]


def step_body(view: StepView, told: Collection[str] = ()) -> list[str]:
    """Risks and warnings, then the details that were not told yet, and the diff."""
    risky = [each for each in view.risks if each.label not in TOLD]
    facts = [f"{click.style(label(each), fg='yellow')}: {visible(each.detail)}" for each in risky]
    lines = [render.wrapped(each, rest=6) for each in facts]
    lines += [_twice(warning) for warning in view.warnings]
    for name, value in view.details:
        lines += _detail(name, value) if name not in told else []
    return lines + [f"    {line}" for line in highlight.diff(view.diff, view.path)]


def needs(view: StepView) -> str:
    return render.dim(render.wrapped(f"needs {visible(view.needs)}", rest=6))


def _detail(name: str, value: str) -> list[str]:
    """A command as it is written, however long; what is told about it fits the terminal."""
    text, is_command = visible(value).rstrip(), name in COMMANDS
    inner = highlight.command(text) if is_command else text.split("\n")
    if len(inner) == 1:
        line = f"{name}: {inner[0]}"
        return [f"    {line}" if is_command else render.wrapped(line, rest=6)]
    return [f"    {name}:", *(f"      {line}" for line in inner)]


def digest(view: StepView) -> str:
    return render.dim(f"    {view.digest}")


def label(risk: Risk) -> str:
    return risk.label.replace("_", " ")
