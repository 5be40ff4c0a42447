"""What a step did when it was done again, held against what its record tells."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from runner.core.policy import PLANS_FOLDER
from runner.core.record import Record
from runner.core.text import visible
from runner.git import graph
from runner.git.graph import Change
from runner.git.objects import Entry, ObjectStore
from runner.steps.contract import Output

MOST_LINES = 40
MOST_BYTES = 200_000

What = Literal["step", "question", "status", "error", "exit_code", "files"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where a replay left the record: `recorded` and `replayed` say it in one line each.

    `path` is the first of the files that differ, `diff` what makes it become the replayed one.
    """

    record: str
    step: str
    what: What
    recorded: str
    replayed: str
    path: str = ""
    diff: str = ""


def trees(store: ObjectStore, recorded: str, replayed: str) -> list[Change]:
    """What differs between two trees outside `plans/`, where no step writes."""
    found = graph.diff(store, recorded, replayed)
    return [each for each in found if not each.path.startswith(f"{PLANS_FOLDER}/")]


def outcome(record: Record, output: Output) -> tuple[What, str, str] | None:
    """The first of status, error and exit code that is another one."""
    status = "failed" if output.failure else "completed"
    error = record.error.code if record.error else ""
    if record.status != status:
        return "status", record.status, _because(status, output)
    pairs: tuple[tuple[What, str, str], ...] = (
        ("error", error or "none", output.failure.code if output.failure else "none"),
        ("exit_code", _end(record.exit_code, record.signal), _end(output.exit_code, output.signal)),
    )
    return next((each for each in pairs if each[1] != each[2]), None)


def _because(status: str, output: Output) -> str:
    return f"{status}: {output.failure.code}" if output.failure else status


def _end(exit_code: int | None, signal: int | None) -> str:
    if signal is not None:
        return f"signal {signal}"
    return "none" if exit_code is None else str(exit_code)


def first_file(store: ObjectStore, change: Change) -> tuple[str, str, str]:
    """How a file was and is, and the difference of its lines."""
    was, now = _kind(change.old), _kind(change.new)
    lines = list(_lines(store, change))
    more = [f"… {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else []
    return was, now, "\n".join([*lines[:MOST_LINES], *more])


def _kind(entry: Entry | None) -> str:
    return "absent" if entry is None else f"{entry.mode} {entry.oid[:12]}"


def _lines(store: ObjectStore, change: Change) -> Iterator[str]:
    texts = [_text(store, each) for each in (change.old, change.new)]
    if None in texts:
        return
    old, new = ((text or "").splitlines() for text in texts)
    for line in difflib.unified_diff(old, new, "recorded", "replayed", lineterm=""):
        yield visible(line)


def _text(store: ObjectStore, entry: Entry | None) -> str | None:
    """The text of a file that can be shown; None for what is too large or no text."""
    data = store.blob(entry.oid) if entry else b""
    if len(data) > MOST_BYTES or b"\0" in data:
        return None
    return data.decode("utf-8", "replace")


def output(record: Record, now: Output) -> str:
    """The first line in which the outputs differ; empty where they are the same."""
    was = record.output
    if (was.digest if was else "") == now.digest:
        return ""
    before, after = (was.text if was else "").splitlines(), now.text.splitlines()
    for number, (one, other) in enumerate(zip(before, after, strict=False), start=1):
        if one != other:
            return f"line {number}: {visible(one)[:200]!r}, now {visible(other)[:200]!r}"
    if len(before) != len(after):
        return f"{len(before)} lines, now {len(after)}"
    return "what the record leaves out of the text differs"
