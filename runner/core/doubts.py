"""Where the texts of a plan are not what they seem: hidden characters, and letters like others.

What is executed or addressed, and what is written into files, is judged in `risks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runner.core.plan import Plan, Step
from runner.core.risks import FIELDS
from runner.core.text import Character, confusable_characters, find_hidden

MOST_NAMED = 3
_JUDGED_AS_RISKS = frozenset({*FIELDS, "new_content", "edits"})


def of_plan(plan: Plan) -> tuple[str, ...]:
    """Warn of the goal, the assumptions and questions, and the names beside them."""
    texts = [("the goal", plan.goal), ("the author", plan.author or "")]
    texts += [("the model's name", plan.planner.model if plan.planner else "")]
    texts += [(f"assumption {number}", line) for number, line in enumerate(plan.assumptions, 1)]
    texts += [(f"question {number}", line) for number, line in enumerate(plan.questions, 1)]
    return tuple(_of_texts(texts))


def of_step(step: Step) -> tuple[str, ...]:
    """Warn of the description, and of every text of the input that is for reading."""
    texts = [("the description", step.description), ("the type", step.step_type)]
    for name, value in step.input.items():
        texts += [(f"{name!a}", text) for text in _strings(value) if name not in _JUDGED_AS_RISKS]
    return tuple(_of_texts(texts))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)


def _of_texts(texts: Iterable[tuple[str, str]]) -> Iterator[str]:
    for about, text in texts:
        if hidden := _named(find_hidden(text)):
            yield f"{about} has hidden characters, shown escaped: {hidden}"
        if alike := _named(confusable_characters(text)):
            yield f"{about} has letters that may pass for others: {alike}"


def _named(found: Iterable[Character]) -> str:
    """Name the first few of them, each once."""
    names = list(dict.fromkeys(f"U+{each.code_point:04X} {each.name}" for each in found))
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
