"""Plans and runs as documents, which are then written as Markdown, HTML or a workflow's log.

Labels are words of ours. Every other text is untrusted, and no renderer writes it unescaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.cli import plan_text
from runner.core.inert import fits

if TYPE_CHECKING:
    from runner.verbs.log import Entry, RunStory
    from runner.verbs.show import PlanView, StepView

LOOK_TWICE = "look twice"
# Pages and logs of workflows have room for any text that people could read.
WHOLE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A text beside each label; a label may repeat. `pages` are labels of a forge's addresses."""

    rows: tuple[tuple[str, str], ...]
    pages: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells below labels."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Block:
    """A text of several lines under a label."""

    label: str
    text: str
    language: str = ""


Part = Facts | Table | Block


@dataclass(frozen=True, kw_only=True)
class Section:
    """Parts that a reader may unfold; the first word of the title is a label."""

    title: tuple[str, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class Document:
    """`parts` come before the sections, `last` after them; the command `reads` shows all of it."""

    title: tuple[str, ...]
    parts: tuple[Part, ...]
    sections: tuple[Section, ...]
    last: tuple[Part, ...] = ()
    reads: str = ""


def every_part(document: Document) -> Iterator[Part]:
    yield from document.parts
    for section in document.sections:
        yield from section.parts
    yield from document.last


def part_fits(part: Part, *, limit: int = WHOLE) -> bool:
    """Whether each text is shown whole in so many characters; what a table tells, others do too."""
    if isinstance(part, Block):
        return fits(part.text, limit=limit)
    return isinstance(part, Table) or all(fits(text, limit=limit) for _, text in part.rows)


def honest(document: Document) -> Document:
    """The document, and where texts in it are too long for a page or log, what `cut` makes of it."""
    return document if all(map(part_fits, every_part(document))) else cut(document)


def cut(document: Document) -> Document:
    """The document, to be read in part: it says so, and offers nobody to approve it."""
    told = f"this rendering is cut: read all of it with {document.reads}"
    return replace(document, parts=(labelled([(LOOK_TWICE, told)]), *document.parts), last=())


def plan(view: PlanView) -> Document:
    """A plan: what to look at twice first, then what it is, each step, and how to approve it."""
    approve = f"planlock approve {view.id} --digest {view.digest}"
    parts: list[Part] = [
        labelled((LOOK_TWICE, text) for text in _warnings(view)),
        Block(label="goal", text=view.goal, language="text"),
        labelled(_plan_facts(view)),
        Table(head=("no", "step", "type", "needs", "risks"), rows=tuple(map(_row, view.steps))),
    ]
    return Document(
        title=("Plan", view.id),
        parts=present(parts),
        sections=tuple(map(_step, view.steps)),
        last=(Block(label="to approve exactly this", text=approve, language="shell"),)
        if view.commit
        else (),
        reads=f"planlock show {view.id if view.commit else view.source}",
    )


def _warnings(view: PlanView) -> Iterator[str]:
    yield from view.warnings
    for step in view.steps:
        yield from (f"step {step.number} {step.id}: {text}" for text in step.warnings)


def _plan_facts(view: PlanView) -> Iterator[tuple[str, str]]:
    yield "from", f"{view.source} at {view.commit[:12]}" if view.commit else view.source
    yield "base", view.base or "none yet"
    yield "author", view.author
    yield "model", view.planner
    yield "budget", view.budget
    yield "trusted", view.trusted
    yield "digest", view.digest
    yield from (("assumes", line) for line in view.assumptions)
    yield from (("asks", line) for line in view.questions)


def _row(step: StepView) -> tuple[str, ...]:
    labels = dict.fromkeys(plan_text.label(each) for each in step.risks)
    return str(step.number), step.id, step.step_type, step.needs, ", ".join(labels)


def _step(step: StepView) -> Section:
    """All of a step; what takes several lines stands in a block of its own."""
    facts = [(LOOK_TWICE, text) for text in step.warnings]
    facts += [("does", step.line), ("for", step.description)]
    told = plan_text.TOLD
    facts += [(plan_text.label(each), each.detail) for each in step.risks if each.label not in told]
    commands = plan_text.COMMANDS
    long = [(name, text) for name, text in step.details if name in commands or "\n" in text]
    facts += [each for each in step.details if each not in long]
    facts += [("needs", step.needs), ("digest", step.digest)]
    blocks = [Block(label=name, text=text, language=_language(name)) for name, text in long]
    diff = Block(label="diff", text="\n".join(step.diff), language="diff")
    title = (f"Step {step.number}", step.id, step.step_type)
    return Section(title=title, parts=present([labelled(facts), *blocks, diff]))


def _language(name: str) -> str:
    return "shell" if name in plan_text.COMMANDS else "text"


def log(story: RunStory) -> Document:
    """A run: how it stands, a row a record, and of each record what it left."""
    unpriced = f" ({story.unpriced_calls} calls unpriced)" if story.unpriced_calls else ""
    facts = [
        ("status", story.status),
        ("started", f"{story.started_at} by {story.runner}"),
        ("trusted", story.trusted),
        ("plan", story.plan_digest),
        *([("goes on from", story.forked)] if story.forked else []),
        ("cost", f"{story.cost_usd} USD{unpriced}"),
    ]
    rows = tuple(_entry_row(number, each) for number, each in enumerate(story.entries, 1))
    parts: list[Part] = [
        Block(label="goal", text=story.goal, language="text"),
        labelled(facts),
        Table(head=("no", "what", "type", "status", "attempt", "cost"), rows=rows),
    ]
    return Document(
        title=("Run", f"{story.plan}/{story.run}", story.status),
        parts=present(parts),
        sections=tuple(_entry(number, each) for number, each in enumerate(story.entries, 1)),
        reads=f"planlock log {story.plan}/{story.run} --full",
    )


def _entry_row(number: int, entry: Entry) -> tuple[str, ...]:
    cost = f"{entry.cost_usd} USD" if entry.cost_usd else ""
    name = entry.step or entry.kind
    return str(number), name, entry.step_type, entry.status, str(entry.attempt), cost


def _entry(number: int, entry: Entry) -> Section:
    when = f"{entry.started_at} to {entry.ended_at}"
    facts = [("when", when), ("commit", entry.commit), *entry_facts(entry)]
    parts: list[Part] = [labelled(facts), Block(label="output", text=entry.output, language="text")]
    title = (f"Record {number}", entry.step or entry.kind, entry.status)
    return Section(title=title, parts=present(parts))


def entry_facts(entry: Entry) -> list[tuple[str, str]]:
    """What a record says beside its output; a text may be empty."""
    return [
        ("approved by", ", ".join(entry.approvers)),
        ("because", "; ".join(entry.reasons)),
        ("changed", ", ".join(entry.changes)),
        ("not undone", ", ".join(entry.not_undone)),
        ("sandbox", entry.sandbox),
        *(("contacted", text) for text in entry.contacts),
        *(("asked for", text) for text in entry.contacts_not_made),
        ("exit code", "" if entry.exit_code is None else str(entry.exit_code)),
        ("cost", f"{entry.cost_usd} USD" if entry.cost_usd else ""),
        ("error", entry.error),
    ]


def labelled(rows: Iterable[tuple[str, str]], *, pages: tuple[str, ...] = ()) -> Facts:
    """The texts that there are, each with its label."""
    return Facts(rows=tuple((label, text) for label, text in rows if text), pages=pages)


def present(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Leave out what has nothing to tell."""
    return tuple(each for each in parts if (each.text if isinstance(each, Block) else each.rows))
