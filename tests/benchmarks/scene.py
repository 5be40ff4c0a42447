"""Governed repositories of any size, plans of any length, and runs of them that are timed."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from team import Team

from runner.project import Project, World, real_world
from runner.verbs import execute, publishing
from runner.verbs.events import Event

__all__ = ["SOURCE", "Team", "Timing", "approved", "edits", "opened", "reads", "repository", "run"]

SOURCE = Path(__file__).resolve().parents[2]
LIMITS = "limits: {steps: 50, changed_files: 100, changed_bytes: 1000000}"
WIDE = "limits: {steps: 1000, changed_files: 1000, changed_bytes: 100000000}"


def file_name(number: int) -> str:
    return f"src/{number // 1000}/{number // 100 % 10}/{number}.txt"


def repository(base: Path, *, files: int) -> Team:
    """Make a repository governed by ada and bob, with so many files checked out on `main`."""
    team = Team.governed(base, "bob")
    team.policy(LIMITS, WIDE)
    head = f"commit refs/heads/main\ncommitter ada <ada@example.com> {int(time.time())} +0000\n"
    parts = [head, "data 5\nFill\n", "from refs/heads/main^0\n"]
    for number in range(files):
        text = f"This is file {number}.\n"
        parts.append(f"M 100644 inline {file_name(number)}\ndata {len(text)}\n{text}")
    team.git("fast-import", "--quiet", "--force", stdin="".join(parts))
    team.git("reset", "-q", "--hard")
    return team


def edits(count: int) -> str:
    """Steps of a plan that give each its own file a new content."""
    return "".join(
        f"- {{id: s{n}, step_type: edit_file, description: Edit a file,"
        f' input: {{path: {file_name(n)}, new_content: "Now {n}.\\n"}}}}\n'
        for n in range(count)
    )


def reads(count: int) -> str:
    """Steps of a plan that change nothing."""
    return "".join(
        f"- {{id: s{n}, step_type: read_file, description: Look, input: {{path: utils.py}}}}\n"
        for n in range(count)
    )


def approved(team: Team, plan: str, steps: str) -> None:
    team.propose(plan, steps)
    team.approve("bob", plan)


@contextmanager
def opened(team: Team, who: str = "ada") -> Iterator[Project]:
    world = real_world()
    environment = team.environment(who)
    with Project(
        World(now=world.now, random=world.random, environment=environment, folder=team.root)
    ) as project:
        yield project


@dataclass
class Timing:
    """Seconds of a whole run, of each of its steps, and of the recording of each."""

    run: float = 0.0
    finished: list[float] = field(default_factory=list)
    recorded: list[float] = field(default_factory=list)

    @property
    def step(self) -> float:
        """The median from the end of one step to the end of the next, gate and all."""
        return statistics.median(after - before for before, after in pairwise(self.finished))

    @property
    def record(self) -> float:
        """The median of what it takes to write a step down: record, commit, refs and row."""
        return statistics.median(self.recorded)

    def listen(self, event: Event) -> None:
        if event.kind == "step_finished":
            self.finished.append(time.perf_counter())


def run(team: Team, plan: str) -> Timing:
    """Run a plan to its end as `planlock run` does."""
    timing = Timing()
    with opened(team) as project, _timed_records(timing):
        start = time.perf_counter()
        report = execute.run(project, plan, execute.Options(), timing.listen)
        timing.run = time.perf_counter() - start
    if report.status != "completed":
        raise RuntimeError(f"{report.status}: {report.message} {report.reasons}")
    return timing


@contextmanager
def _timed_records(timing: Timing) -> Iterator[None]:
    """Take the time of each call from outside; production code knows nothing of clocks."""
    publish = publishing.publish_record

    def timed(*args: Any, **options: Any) -> None:
        start = time.perf_counter()
        publish(*args, **options)
        timing.recorded.append(time.perf_counter() - start)

    publishing.publish_record = timed
    try:
        yield
    finally:
        publishing.publish_record = publish
