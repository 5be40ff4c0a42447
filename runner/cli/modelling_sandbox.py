"""What `doctor --sandbox` prints: a table of attacks, and which backend held them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from runner.cli import options, render
from runner.core.text import visible

if TYPE_CHECKING:
    from runner.verbs.doctor_sandbox import Report, Trial

_LEGEND = {
    "open": "open: this backend does not promise to hold it; see docs/sandbox.md",
    "refused": "refused: this backend does not start such a command",
}
_COLORS = {
    "held": "green",
    "open": "yellow",
    "refused": "green",
    "not tried": "red",
    "GOT OUT": "red",
}
_COLUMN = 10


def tried(*, as_json: bool) -> bool:
    """Attack, print, and say whether the policy's demand is met."""
    from runner.verbs import doctor_sandbox as verb

    if not as_json:
        render.talk("trying to break out of each sandbox of this machine…")
    with options.project() as project:
        found = verb.doctor_sandbox(project)
    if as_json:
        render.as_json(found)
    else:
        click.echo("\n".join(lines(found)))
    return found.well


def lines(report: Report) -> Iterator[str]:
    """What is said of a report, line by line."""
    word, color = ("ok  ", "green") if report.well else ("fail", "red")
    status = click.style(word, fg=color, bold=True)
    yield render.wrapped(f"{status}  {visible(report.message)}", first=0, rest=6)
    yield render.dim(f"      sandbox.require here: {report.require}")
    if report.fix:
        yield f"      fix: {visible(report.fix)}"
    for trial in report.trials:
        if trial.unavailable and trial.unavailable not in report.message:
            yield render.wrapped(
                f"{trial.kind} is not to be had: {visible(trial.unavailable)}", first=6
            )
    ran = [trial for trial in report.trials if trial.results]
    if ran:
        yield ""
        yield from _table(ran)
        yield from _details(ran)


def _table(trials: list[Trial]) -> Iterator[str]:
    width = max(len(each.title) for each in trials[0].results)
    names = "  ".join(f"{trial.kind:<{_COLUMN}}" for trial in trials)
    yield render.bold(f"case  {'attack':<{width}}  {names}".rstrip())
    for number, first in enumerate(trials[0].results):
        cells = "  ".join(_cell(trial, number) for trial in trials)
        yield f"{first.id:<4}  {first.title:<{width}}  {cells}".rstrip()


def _cell(trial: Trial, number: int) -> str:
    word = _word(trial, number)
    styled = click.style(word, fg=_COLORS[word], bold=_COLORS[word] == "red")
    return styled + " " * (_COLUMN - len(word))


def _word(trial: Trial, number: int) -> str:
    result = trial.results[number]
    if result.name in trial.unheld:
        return "not tried" if result.held is None else "GOT OUT"
    return {True: "held", False: "open", None: "refused"}[result.held]


def _details(trials: list[Trial]) -> Iterator[str]:
    words = {_word(trial, number) for trial in trials for number in range(len(trial.results))}
    legend = [text for word, text in _LEGEND.items() if word in words]
    if legend:
        yield ""
        yield from map(render.dim, legend)
    for trial in trials:
        for each in trial.results:
            if each.name in trial.unheld:
                where = f"{each.id} {each.name}, {trial.kind}"
                yield render.wrapped(f"{where}: {visible(each.detail)}", first=0, rest=4)
