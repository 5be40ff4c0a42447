"""Text and JSON of results, on stdout; talk and errors on stderr."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from runner.core import inert
from runner.core.errors import InvalidDocument, PlanlockError, Problem, Reason, Refused

NARROWEST, WIDEST = 20, 100
INDENT = 8


def plain(value: Any) -> Any:
    """Turn a result into what JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return {key: plain(item) for key, item in asdict(value).items()}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Decimal | Path) else value


def json_of(value: Any, *, one_line: bool = False) -> str:
    """JSON that is safe to look at, with the meaning that it has."""
    indent = None if one_line else 2
    return inert.json_text(json.dumps(plain(value), ensure_ascii=False, indent=indent))


def as_json(value: Any) -> None:
    click.echo(json_of(value))


def below(text: str, *, limit: int = inert.LIMIT) -> str:
    """Untrusted text in a line of ours; its later lines are indented, to pass for none of ours."""
    return inert.terminal(text, limit=limit).replace("\n", f"\n{' ' * INDENT}")


def talk(text: str) -> None:
    click.echo(text, err=True)


def error(failure: PlanlockError, *, as_json: bool, one_line: bool = False) -> None:
    """Say what is wrong, where, and how to fix it; on one line where stdout is JSON lines."""
    if as_json:
        click.echo(json_of({"error": error_value(failure)}, one_line=one_line))
        return
    if isinstance(failure, InvalidDocument):
        for problem in failure.problems:
            click.echo(problem_text(problem), err=True)
        return
    label = click.style(f"{_kind(failure)}[{failure.code}]", fg="red", bold=True)
    click.echo(f"{label}: {below(failure.message)}", err=True)
    if isinstance(failure, Refused):
        for reason in failure.reasons:
            click.echo(reason_text(reason), err=True)
    if failure.hint:
        click.echo(f"  hint: {below(failure.hint)}", err=True)


def _kind(failure: PlanlockError) -> str:
    return "refused" if isinstance(failure, Refused) else "error"


def error_value(failure: PlanlockError) -> dict[str, Any]:
    value: dict[str, Any] = {
        "code": failure.code,
        "message": failure.message,
        "hint": failure.hint,
        "exit_code": failure.exit_code,
    }
    if isinstance(failure, InvalidDocument):
        value["problems"] = plain(failure.problems)
    if isinstance(failure, Refused):
        value["reasons"] = plain(failure.reasons)
    return value


def reason_text(reason: Reason, indent: str = "  ") -> str:
    text = f"{indent}- {below(reason.message)} [{reason.code}]"
    return f"{text}\n{indent}  fix: {below(reason.fix)}" if reason.fix else text


def problem_text(problem: Problem) -> str:
    """`file:line:column: path: message [code]`, with the fix on a line of its own."""
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    path = f" {problem.path}:" if problem.path else ""
    text = below(f"{place}:{path} {problem.message} [{problem.code}]")
    return f"{text}\n  fix: {below(problem.fix)}" if problem.fix else text


MARKS = {
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "interrupted": ("!", "red"),
    "skipped": ("↷", "yellow"),
    "rejected": ("↷", "yellow"),
    "ready": ("●", "green"),
    "waiting": ("○", "yellow"),
    "awaiting_approval": ("○", "yellow"),
    "pending": ("·", "white"),
    "running": ("▶", "cyan"),
    "rolled_back": ("↶", "yellow"),
    "cancelled": ("✗", "yellow"),
    "paused": ("‖", "yellow"),
}


def mark(status: str) -> str:
    char, color = MARKS.get(status, ("?", "white"))
    return click.style(char, fg=color)


def bold(text: str) -> str:
    return click.style(text, bold=True)


def dim(text: str) -> str:
    return click.style(text, dim=True)


def width() -> int:
    """How wide lines of text may be."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))


def wrapped(text: str, *, first: int = 4, rest: int | None = None) -> str:
    """Break a text, styled or not, between words; a longer word stays whole, so it can be copied.

    Its first line is indented by `first`, the later ones by `rest`.
    """
    indent = first if rest is None else rest
    lines, length = [" " * first], first
    for part in re.split(r"(?<= )(?=[^ ])", text.replace("\n", " ")):
        shown = click.unstyle(part)
        if length + len(shown.rstrip()) > width() and length > indent:
            lines.append(" " * indent)
            length = indent
        lines[-1] += part
        length += len(shown)
    return "\n".join(line.rstrip() for line in lines)


def rows(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Names and values, each value below itself where it takes several lines; no empty ones."""
    return [wrapped(f"{name:<8} {value}", first=2, rest=11) for name, value in pairs if value]


def cut(text: str, *, taken: int = 0) -> str:
    """One line that fits beside what is `taken` of it; `…` says that there is more."""
    first, room = text.split("\n", 1)[0], max(1, width() - taken)
    return first if first == text and len(text) <= room else f"{first[: room - 1]}…"


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Align columns by width; `right` names the columns of numbers."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
