"""A planlock in a process of its own, to be killed, frozen or interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from team import Team

# whatever started the tests may ignore hang-ups, and a child would inherit that
MAIN = (
    "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL);"
    " from runner.cli.main import main; main(sys.argv[1:])"
)
SOURCE = str(Path(__file__).parents[2])


@contextmanager
def started(
    team: Team, *args: str, main: Sequence[str] = ("-c", MAIN), **more: str
) -> Iterator[subprocess.Popen[str]]:
    """A planlock of its own, gone at the end; `more` is added to its environment."""
    environment = {**team.environment("ada"), "PYTHONPATH": SOURCE, **more}
    with subprocess.Popen(
        [sys.executable, *main, *args],
        cwd=team.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()


def until(process: subprocess.Popen[str], kind: str, *, step: str = "") -> dict[str, Any]:
    """Read events until one of a kind; fails where the process ends before it."""
    assert process.stdout is not None
    for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["kind"] == kind and step in {"", event.get("step")}:
            return event
    raise AssertionError(f"no {kind}: {process.stderr.read() if process.stderr else ''}")


def approved(team: Team, steps: str) -> None:
    team.propose("job", steps)
    team.approve("bob", "job")


def expire_lease(team: Team) -> None:
    """Put a link into the lease whose holder is elsewhere and out of time."""
    ref = "refs/planlock/leases/job/1"
    old = team.git("log", "-1", "--format=%B", ref)
    lines = []
    for line in old.splitlines():
        name = line.partition(":")[0]
        new = {"Holder": "elsewhere/0/1/1", "Expires-At": "2026-01-01T00:00:00Z"}.get(name)
        lines.append(f"{name}: {new}" if new else line)
    text = "\n".join(lines)
    link = team.git("commit-tree", f"{ref}^{{tree}}", "-p", ref, "-F", "-", stdin=text)
    team.git("update-ref", ref, link)


def running(word: str) -> list[str]:
    """The processes of this machine that have the word among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        found += [str(path)] if word.encode() in words else []
    return found


def press_once(process: subprocess.Popen[str]) -> None:
    """Press Ctrl-C and wait until it has been noticed."""
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    while "Ctrl-C again cancels" not in process.stderr.readline():
        assert process.poll() is None
