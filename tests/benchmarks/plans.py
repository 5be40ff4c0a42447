"""What long plans cost, and whether the cost grows with them: `python -m tests.benchmarks.plans`.

Times on one machine say little about another; the growth does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.benchmarks import scene
from tests.benchmarks.lines import Line, seconds, show
from tests.benchmarks.scene import Team

AIM = "about 1: linear"


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What acts on a plan of so many steps took, by the act's name."""

    steps: int
    seconds: Mapping[str, float]

    def a_further_step(self, shorter: Taken, act: str) -> float:
        return (self.seconds[act] - shorter.seconds[act]) / (self.steps - shorter.steps)


def asking(team: Team, *args: str) -> Callable[[], None]:
    """Call planlock in this process, its imports done."""

    def act() -> None:
        done = team.cli("ada", *args)
        if done.code:
            raise RuntimeError(done.text)

    return act


def acted(team: Team, steps: int) -> Taken:
    name = f"steps-{steps}"
    team.propose(name, scene.reads(steps))
    acts: Mapping[str, Callable[[], object]] = {
        "validate": asking(team, "validate", f"plans/{name}/plan.yaml"),
        "show": asking(team, "show", name),
        "status": asking(team, "status", name),
        "run": partial(scene.run, team, name),
    }
    return Taken(steps=steps, seconds={what: seconds(act) for what, act in acts.items()})


def measure(folder: Path, *, steps: Sequence[int] = (100, 300, 1000)) -> Iterator[Line]:
    """Time each act on each length; of the longest, how much more a further step costs."""
    team = scene.repository(folder / "team", files=1)
    acted(team, 2)  # everything is imported once
    every = [acted(team, number) for number in steps]
    for act in every[0].seconds:
        for taken in every:
            what = f"{act} a plan of {taken.steps} steps"
            yield Line(what=what, seconds=taken.seconds[act])
        yield _growth(act, *every[-3:])


def _growth(act: str, short: Taken, middle: Taken, long: Taken) -> Line:
    before, after = middle.a_further_step(short, act), long.a_further_step(middle, act)
    what = f"{act}: a further step, {middle.steps} to {long.steps}"
    against = f"one of {short.steps} to {middle.steps}"
    return Line(what=what, seconds=after, against=against, ratio=after / before, aim=AIM)


def main() -> None:
    show(measure)


if __name__ == "__main__":
    main()
