"""Try the goals with a real model: `PLANLOCK_MODEL_URL=… python -m tests.real_model.trials`.

Each result is a JSON line as soon as it is there; goals that have one are skipped, so an
interrupted trial goes on where it was. With `--date` the page docs/real-model.md is written.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from tests.real_model import goals, lines, page
from tests.real_model.goals import Goal
from tests.real_model.trial import Outcome, Patience, attempt

RESULTS: Final = goals.HERE / "results" / "trials.jsonl"
PASSED_ON: Final = ("PLANLOCK_MODEL_URL", "PLANLOCK_MODELS")
INTERRUPTED: Final = 130


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    models = {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}
    wanted = chosen(goals.load(), options.only)
    done = {each["goal"] for each in lines.read(options.out)}
    open_goals = [goal for goal in wanted if goal.id not in done]
    if open_goals and not models:
        sys.stderr.write("name a model's server: PLANLOCK_MODEL_URL=http://127.0.0.1:8080/v1\n")
        return 2
    patience = Patience(plan_s=options.plan_timeout, ask_s=options.ask_timeout)
    try:
        for number, goal in enumerate(open_goals, start=1):
            sys.stderr.write(f"[{number}/{len(open_goals)}] {goal.id}: {goal.goal}\n")
            outcome = tried(goal, models, patience)
            lines.append(options.out, outcome.value())
            sys.stderr.write(f"    {told(outcome)}\n")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on with the next goal\n")
        return INTERRUPTED
    outcomes = in_order(options.out)
    sys.stderr.write(f"{sum(each.whole for each in outcomes)} of {len(outcomes)} goals passed\n")
    if options.date:
        page.write("trials", page.trials(outcomes, page.about(options)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests.real_model.trials", description=__doc__)
    parser.add_argument("--only", action="append", default=[], help="a goal's number or id")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file of results")
    parser.add_argument("--plan-timeout", type=int, default=Patience.plan_s, help="seconds")
    parser.add_argument("--ask-timeout", type=int, default=Patience.ask_s, help="seconds")
    page.add_options(parser)
    return parser


def chosen(every: Sequence[Goal], only: Sequence[str]) -> list[Goal]:
    """The goals meant by number, counted from 1, or by id; all where none is named."""
    names = {str(number): goal.id for number, goal in enumerate(every, start=1)}
    wanted = {names.get(each, each) for each in only}
    unknown = wanted - {goal.id for goal in every}
    if unknown:
        raise SystemExit(f"no such goal: {', '.join(sorted(unknown))}")
    return [goal for goal in every if not wanted or goal.id in wanted]


def tried(goal: Goal, models: Mapping[str, str], patience: Patience) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="planlock-trial-") as folder:
        return attempt(goal, Path(folder), models, patience)


def told(outcome: Outcome) -> str:
    stages = [name for name in page.STAGES if getattr(outcome, name)]
    why = outcome.why or outcome.accept_said
    return f"{', '.join(stages) or 'nothing'} in {outcome.seconds:.0f} s{': ' if why else ''}{why}"


def in_order(out: Path) -> list[Outcome]:
    """The results in the order of the goals."""
    found = {value["goal"]: Outcome.of(value) for value in lines.read(out)}
    return [found[goal.id] for goal in goals.load() if goal.id in found]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
