"""What confining a command costs, against the same argv as a plain process: `python -m tests.benchmarks.commands`.

Times on one machine say little about another; the ratios do.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from runner.core.errors import SandboxUnavailable
from runner.sandbox.commands import Backend, Command, Room, find_backend
from runner.sandbox.landlock import Landlock
from tests.benchmarks.lines import Line, each, show

FLOOR = "a plain process"
SECRETS = {f"KEY_{number}": f"not-so-secret-{number:08}" for number in range(3)}
SIZES = {"64 KiB": 64 << 10, "10 MiB": 10 << 20}
# As programs print: lines, with something here and there that is to be taken out.
PRINTING = 'yes "a line of output as programs print them, of some length" | head -c {size}'


def plain(script: str, folder: Path) -> Callable[[], object]:
    """Run a script as one without planlock would, its output read to the end."""
    argv = ["bash", "--noprofile", "--norc", "-c", script]
    return lambda: subprocess.run(argv, cwd=folder, check=True, capture_output=True)


def confined(backend: Backend, command: Command, room: Room) -> Callable[[], object]:
    """Run a command as a step does."""

    def act() -> object:
        outcome = backend.run(command, room, on_output=lambda _: None, cancelled=lambda: False)
        assert outcome.exit_code == 0, outcome.output
        return outcome

    return act


def backends() -> Iterator[Backend]:
    """Give those that this machine has."""
    finds: tuple[Callable[[], Backend], ...] = (
        partial(find_backend, "none"),
        Landlock,
        partial(find_backend, "confined"),
    )
    for find in finds:
        try:
            yield find()
        except SandboxUnavailable as error:
            sys.stderr.write(f"{error.message}\n")


def ways() -> Iterator[tuple[str, Backend, Command]]:
    """Name each backend, and bubblewrap once more with a network."""
    true = Command(script="true")
    for backend in backends():
        yield backend.name, backend, true
        if backend.name.startswith("bubblewrap"):
            yield f"{backend.name} with a network", backend, replace(true, network=("a.invalid",))


def measure(folder: Path, *, times: int) -> list[Line]:
    room = Room(workspace=folder, mount_at=folder)
    floor = each(plain("true", folder), times)
    lines = [Line(what=f"true: {FLOOR}", seconds=floor, against=FLOOR, ratio=1.0)]
    for name, backend, command in ways():
        seconds = each(confined(backend, command, room), times)
        lines.append(
            Line(what=f"true: {name}", seconds=seconds, against=FLOOR, ratio=seconds / floor)
        )
    seconds = each(lambda: find_backend("confined"), times)
    lines.append(
        Line(
            what="find bubblewrap, and try it",
            seconds=seconds,
            against=FLOOR,
            ratio=seconds / floor,
        )
    )
    for size, number in SIZES.items():
        lines += outputs(size, PRINTING.format(size=number), room, max(3, times // 10))
    return lines


def outputs(size: str, script: str, room: Room, times: int) -> Iterator[Line]:
    """Compare the reading of an output with that of one from which secrets are taken."""
    floor = each(plain(script, room.workspace), times)
    yield Line(what=f"{size} of output: {FLOOR}", seconds=floor, against=FLOOR, ratio=1.0)
    for backend in backends():
        for secrets, words in (({}, ""), (SECRETS, ", 3 secrets taken out")):
            command = Command(script=script, secrets=secrets)
            seconds = each(confined(backend, command, room), times)
            what = f"{size} of output: {backend.name}{words}"
            yield Line(what=what, seconds=seconds, against=FLOOR, ratio=seconds / floor)


def main() -> None:
    show(partial(measure, times=50))


if __name__ == "__main__":
    main()
