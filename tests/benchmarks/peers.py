"""What a step that does nothing costs, here and in peers that keep SQLite alone: `python -m tests.benchmarks.peers`.

Each step of ours is a signed commit too. The peers may be installed for another interpreter, named
by `--peers-python`; times on one machine say little about another, the ratios do.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.benchmarks import scene
from tests.benchmarks.lines import Line, Note, show

PEERS = {"langgraph": "LangGraph, SqliteSaver", "dbos": "DBOS, SQLite"}


def peer(name: str, python: str, folder: Path, steps: int) -> float | None:
    """Give the seconds that a peer takes for all steps; None where it is not installed."""
    script = Path(__file__).with_name(f"peer_{name}.py")
    argv = [python, str(script), str(steps), str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=folder)
    if "ModuleNotFoundError" in done.stderr:
        return None
    if done.returncode:
        raise RuntimeError(done.stderr)
    last = done.stdout.strip().splitlines()[-1]
    return float(last.removeprefix("seconds "))


def measure(folder: Path, *, steps: int, python: str) -> Iterator[Line | Note]:
    team = scene.repository(folder / "team", files=1)
    for name, length in (("first", 1), ("job", steps)):
        team.propose(name, scene.reads(length))
    scene.run(team, "first")  # everything is imported once, as it is for the peers
    ours = scene.run(team, "job").run / steps
    yield Line(what=f"a step of {steps} that do nothing: planlock", seconds=ours)
    for name, title in PEERS.items():
        taken = peer(name, python, folder, steps)
        if taken is None:
            yield Note(text=f"{title}: not installed: {python} -m pip install '.[peers]'")
        else:
            each = taken / steps
            yield Line(
                what=f"a step of {steps} that do nothing: {title}",
                seconds=each,
                against="planlock",
                ratio=each / ours,
                aim=">= 1",
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--peers-python", default=sys.executable)
    chosen = parser.parse_args()
    show(partial(measure, steps=chosen.steps, python=chosen.peers_python))


if __name__ == "__main__":
    main()
