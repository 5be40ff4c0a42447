"""`policy test` and `policy explain`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli import options, render
from runner.core.inert import one_line, terminal

if TYPE_CHECKING:
    from runner.core.policy_warnings import Caution
    from runner.verbs.policy import (
        Asked,
        Example,
        Explained,
        PlanExplained,
        PolicyTested,
        Ruled,
        RuleTested,
    )

WARNED = 1
HITS = {"yes": "matches", "maybe": "may match", "no": "does not match"}
COLORS = {"decides": "green", "adds": "yellow", "denies": "red"}


@click.group()
def policy() -> None:
    """Test the policy's rules, or explain them on a plan."""


@policy.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--command", "commands", multiple=True, help="What is asked of this command line.")
@click.option("--path", "paths", multiple=True, help="What is asked of changing this path.")
@click.option("--strict", is_flag=True, help="Exit 1 where there are warnings.")
@options.as_json
@click.pass_context
def test(  # noqa: PLR0913  # one parameter per option
    ctx: click.Context,
    *,
    file: Path | None,
    commands: tuple[str, ...],
    paths: tuple[str, ...],
    strict: bool,
    as_json: bool,
) -> None:
    """Check a policy (default: plans/policy.yaml here) with its examples, and warn."""
    from runner.verbs import policy as verb

    with options.project() as project:
        tested = verb.test(project, file, commands=commands, changes=paths)
    if as_json:
        render.as_json(tested)
    else:
        _show_tested(tested)
    ctx.exit(WARNED if strict and tested.warnings else 0)


def _show_tested(tested: PolicyTested) -> None:
    if tested.tried:
        _echo(line for step in tested.tried for line in (*_step(step), ""))
        return
    _echo(line for number, rule in enumerate(tested.rules, 1) for line in _rule(number, rule))
    _echo(line for each in tested.warnings for line in _warning(each))
    examples = sum(len(rule.examples) for rule in tested.rules)
    counts = f"{len(tested.rules)} rule(s), {examples} example(s) hold"
    render.talk(f"{one_line(str(tested.file))}: {counts}, {len(tested.warnings)} warning(s)")


def _rule(number: int, rule: RuleTested) -> Iterator[str]:
    yield _hanging(f"{number} {render.bold(rule.name)}: {rule.asks}", 2)
    for example in rule.examples:
        yield _hanging(_example(example), 6, first=2)


def _example(example: Example) -> str:
    hit = HITS[example.hit]
    if example.hit == "maybe":
        hit += ", so it is denied" if example.decided else ", so it does not decide"
    return f"{render.mark('completed')} {example.text}  {render.dim(hit)}"


def _warning(warning: Caution) -> Iterator[str]:
    label = click.style("warning", fg="yellow", bold=True)
    about = f"rule {warning.rule!r}: " if warning.rule else ""
    yield _hanging(f"{label}: {about}{warning.message} [{warning.kind}]", 2)
    yield _hanging(f"fix: {warning.fix}", 4, first=2)


@policy.command()
@click.argument("plan")
@click.option(
    "--policy",
    "file",
    type=click.Path(path_type=Path),
    help="A policy file as if it were trusted; else the trusted ref's counts.",
)
@options.as_json
def explain(*, plan: str, file: Path | None, as_json: bool) -> None:
    """Say for each step of PLAN (an id, or a path) which rules met it, and what they ask."""
    from runner.verbs import policy as verb

    with options.project() as project:
        explained = verb.explain(project, plan, file)
    if as_json:
        render.as_json(explained)
    else:
        _echo(_plan(explained))


def _plan(explained: PlanExplained) -> Iterator[str]:
    yield f"{render.bold(explained.plan)}  from {one_line(explained.source)}"
    yield f"  policy {one_line(explained.policy)}"
    for who, reason in explained.excluded.items():
        yield _hanging(f"{terminal(who)} {terminal(reason)}, so may not approve", 4, first=2)
    for refusal in explained.refusals:
        yield render.reason_text(refusal)
    for step in explained.steps:
        yield ""
        yield from _step(step)


def _step(step: Explained) -> Iterator[str]:
    head = render.bold(f"{step.number} {step.id}")
    yield _hanging(f"{head}  {render.dim(terminal(step.step_type))}", 4)
    for risk in step.risks:
        yield _hanging(
            f"{click.style('risk', fg='yellow')} {risk.label}: {terminal(risk.detail)}", 4, first=2
        )
    for subject in step.subjects:
        yield _hanging(terminal(subject.about), 4, first=2)
        if subject.note:
            yield _hanging(render.dim(terminal(subject.note)), 6, first=4)
        for ruled in subject.rulings:
            yield _hanging(_ruled(ruled), 6, first=4)
    yield from _outcome(step)


def _ruled(ruled: Ruled) -> str:
    effect = click.style(ruled.effect, fg=COLORS.get(ruled.effect, "white"))
    doubt = "" if ruled.sure else " (may match)"
    asks = f": {ruled.asks}" if ruled.asks else ""
    return f"{ruled.rule!r} {effect}{doubt}{asks}"


def _outcome(step: Explained) -> Iterator[str]:
    for refusal in step.refusals:
        yield render.reason_text(refusal)
    if step.denied:
        yield _hanging(click.style(step.verdict, fg="red", bold=True), 4, first=2)
        return
    needs = click.style("needs", fg="yellow" if step.asked else "green", bold=True)
    yield _hanging(f"{needs} {step.verdict}", 4, first=2)
    for asked in step.asked:
        yield _hanging(_asked(asked), 6, first=4)
    if len(step.asked) > 1:
        yield render.dim("    one approval counts for each of these that it fits")


def _asked(asked: Asked) -> str:
    terms = f"assurance {asked.assurance}"
    if asked.expires_after:
        terms += f", no older than {asked.expires_after}"
    could = f"can come from {', '.join(asked.could) or 'nobody'}"
    short = click.style(f"cannot be met: {asked.short}", fg="red") if asked.short else could
    return f"{asked.rule!r} {short} ({terms})"


def _hanging(text: str, indent: int, *, first: int = 0) -> str:
    """Break a text of one line between words, its later lines indented."""
    width = max(40, min(100, shutil.get_terminal_size().columns))
    lines, length = [" " * first], first
    for part in re.split(r"(?<= )(?=[^ ])", text.replace("\n", "\\n")):
        size = len(click.unstyle(part).rstrip())
        if length + size > width and length > indent:
            lines.append(" " * indent)
            length = indent
        lines[-1] += part
        length += len(click.unstyle(part))
    return "\n".join(line.rstrip() for line in lines)


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
