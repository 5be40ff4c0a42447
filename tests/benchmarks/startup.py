"""What starting costs, against an interpreter that does nothing: `python -m tests.benchmarks.startup`.

Times on one machine say little about another; the ratios do.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.benchmarks.lines import Line, compared, seconds, show
from tests.benchmarks.scene import SOURCE

ENTRY = "from runner.cli.main import main; main()"
PLAN = """\
version: 1
id: one
goal: Look
steps:
  - {id: look, step_type: read_file, description: Look, input: {path: utils.py}}
"""
COMMANDS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "python -c pass": (("pass",), ""),
    "planlock --help": ((ENTRY, "--help"), "<= 5"),
    "planlock validate one.yaml": ((ENTRY, "validate", "one.yaml"), "<= 12"),
    "planlock status --help": ((ENTRY, "status", "--help"), ""),
}


def starting(folder: Path, code: tuple[str, ...]) -> Callable[[], object]:
    """Start an interpreter that finds every module compiled, as an installed package is."""
    environment = {name: os.environ[name] for name in ("PATH",)}
    environment |= {"HOME": str(folder), "PYTHONPATH": str(SOURCE)}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    argv = [sys.executable, "-c", *code]
    return lambda: subprocess.run(
        argv, cwd=folder, env=environment, check=True, capture_output=True
    )


def measure(folder: Path, *, times: int = 15) -> Iterator[Line]:
    """Take turns, so that whatever else the machine does befalls all of them alike."""
    (folder / "one.yaml").write_text(PLAN)
    acts = {what: starting(folder, code) for what, (code, _) in COMMANDS.items()}
    for act in acts.values():
        act()
    rounds = [{what: seconds(act) for what, act in acts.items()} for _ in range(times)]
    floor = None
    for what, (_, aim) in COMMANDS.items():
        taken = statistics.median(each[what] for each in rounds)
        line = compared(what, taken, floor, aim=aim) if floor else Line(what=what, seconds=taken)
        floor = floor or line
        yield line


def main() -> None:
    show(measure)


if __name__ == "__main__":
    main()
