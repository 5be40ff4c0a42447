"""One goal, from the words of a developer to a changed project that is accepted or not."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from forging import answer
from team import Result, Team

from runner import schemas
from runner.core import validation
from runner.core.errors import PlanlockError
from runner.core.plan import EditFileInput, Plan, Step, typed_input
from runner.steps import edit_file
from tests.real_model.goals import Goal
from tests.real_model.process import planlock

SHORT_S = 120
TAIL = 1_500
TEST_WORDS = ("unittest", "pytest")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a planning, a question to the model and a run may take, in seconds."""

    plan_s: int = 1_500
    ask_s: int = 600
    run_s: int = 900


@dataclass(kw_only=True)
class Outcome:
    """How far a goal got; `why` says what stopped it. Stages that nothing reached are false."""

    goal: str
    project: str
    level: str
    text: str
    planned: bool = False
    valid: bool = False
    applies: bool = False
    checked: bool = False
    accepted: bool = False
    error: str = ""
    why: str = ""
    accept_said: str = ""
    check_said: str = ""
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    plan_seconds: float = 0.0
    seconds: float = 0.0
    steps: list[str] = field(default_factory=list)
    statuses: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    plan: str = ""

    @property
    def whole(self) -> bool:
        """Whether the plan validates, applies and passes its check."""
        return self.valid and self.applies and self.checked

    def value(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Outcome:
        """Read what `value` wrote; fields of later versions are left out."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: item for name, item in value.items() if name in known})


class Caller(Protocol):
    """Runs a command of planlock as a person, with a bound of time."""

    def __call__(
        self, team: Team, who: str, *args: str, timeout_s: float, env: Mapping[str, str]
    ) -> Result: ...


def attempt(
    goal: Goal,
    folder: Path,
    models: Mapping[str, str],
    patience: Patience,
    *,
    caller: Caller = planlock,
) -> Outcome:
    """Plan, validate, approve, run and judge one goal in a new repository in `folder`."""
    outcome = Outcome(goal=goal.id, project=goal.project, level=goal.level, text=goal.goal)
    team = Team.governed(folder, "bob", files=goal.files())
    start = time.monotonic()
    try:
        _stages(_Trial(goal, team, outcome, models, patience, caller))
    finally:
        outcome.seconds = round(time.monotonic() - start, 1)
    for name in ("why", "accept_said", "check_said"):
        setattr(outcome, name, getattr(outcome, name).replace(str(folder), "…"))
    return outcome


@dataclass(frozen=True)
class _Trial:
    goal: Goal
    team: Team
    outcome: Outcome
    models: Mapping[str, str]
    patience: Patience
    caller: Caller

    def call(self, who: str, *args: str, timeout_s: float = SHORT_S) -> Result:
        return self.caller(self.team, who, *args, timeout_s=timeout_s, env=self.models)


def _stages(trial: _Trial) -> None:
    """Go on as long as the stage before succeeded; a run that stops is judged all the same."""
    if not _plan(trial) or not _valid(trial):
        return
    _applies(trial)
    approved = trial.call("bob", "approve", trial.goal.id, "--json")
    if approved.code:
        stopped(trial.outcome, "approving", approved)
        return
    _run(trial)
    _accept(trial)


def _plan(trial: _Trial) -> bool:
    outcome, patience = trial.outcome, trial.patience
    args = ("--id", trial.goal.id, "--timeout", str(patience.ask_s), "--json")
    start = time.monotonic()
    done = trial.call("ada", "plan", trial.goal.goal, *args, timeout_s=patience.plan_s)
    outcome.plan_seconds = round(time.monotonic() - start, 1)
    if done.code:
        stopped(outcome, "planning", done)
        outcome.tokens_in, outcome.tokens_out = _kept_tokens(trial.team)
        return False
    said = done.json
    outcome.planned, outcome.plan, outcome.notes = True, said["text"], list(said["notes"])
    outcome.model = said["spent"]["model"]
    outcome.tokens_in = said["spent"]["input_tokens"]
    outcome.tokens_out = said["spent"]["output_tokens"]
    return True


def _kept_tokens(team: Team) -> tuple[int, int]:
    """What the answers took that are kept although no plan came of them."""
    answers = [
        json.loads(path.read_bytes()).get("answer", {}).get("usage", {})
        for path in (team.root / ".git/planlock/models").rglob("*.json")
    ]
    totals = [sum(each.get(f"{way}_tokens", 0) for each in answers) for way in ("input", "output")]
    return totals[0], totals[1]


def _valid(trial: _Trial) -> bool:
    path = trial.team.base / "seen" / "plans" / trial.goal.id / "plan.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(trial.outcome.plan, encoding="utf-8")
    done = trial.call("ada", "validate", str(path), "--json")
    trial.outcome.valid = done.code == 0
    if done.code:
        problems = answer(done).get("problems", [{}])
        trial.outcome.error = problems[0].get("code", "")
        trial.outcome.why = f"validating: {problems[0].get('message', done.err)}"
    return trial.outcome.valid


def _applies(trial: _Trial) -> None:
    data = trial.outcome.plan.encode()
    name = f"plans/{trial.goal.id}/plan.yaml"
    plan = validation.read_plan(data, file=name, schema=schemas.load("plan"))[1].plan
    trial.outcome.steps = [described(step) for step in plan.steps]
    complaint = misfit(plan, trial.goal.files())
    trial.outcome.applies = not complaint
    trial.outcome.why = complaint


def described(step: Step) -> str:
    """A step's type and what it is about."""
    given = step.input
    target = given.get("path") or given.get("command") or ""
    return f"{step.step_type} {target}".strip()


def misfit(plan: Plan, files: Mapping[str, str]) -> str:
    """Why an edit of the plan does not apply, one after the other; empty where all do."""
    tree: dict[str, bytes | None] = {path: text.encode() for path, text in files.items()}
    for step in plan.steps:
        given = typed_input(step)
        if not isinstance(given, EditFileInput):
            continue
        before = tree.get(given.path)
        if given.replaces is not None and given.replaces != edit_file.pin(before):
            return f"step {step.id}: not written against this {given.path}"
        try:
            tree[given.path] = edit_file.apply(given, before)
        except PlanlockError as error:
            return f"step {step.id}: {error.message}"
    return ""


def _run(trial: _Trial) -> None:
    """Run the plan; its check is its last command that runs tests."""
    outcome = trial.outcome
    done = trial.call("ada", "run", trial.goal.id, "--json", timeout_s=trial.patience.run_s)
    events = [json.loads(line) for line in done.out.splitlines() if line.startswith("{")]
    report = next((each for each in events if each.get("kind") == "report"), None)
    if report is None:
        stopped(outcome, "running", done)
        return
    outcome.statuses = dict(report["steps"])
    checks = [
        name
        for name, said in zip(outcome.statuses, outcome.steps, strict=False)
        if said.startswith("run_command") and any(word in said for word in TEST_WORDS)
    ]
    outcome.checked = bool(checks) and outcome.statuses[checks[-1]] == "completed"
    if not outcome.checked:
        output = [each["text"] for each in events if each.get("kind") == "output"]
        outcome.check_said = "".join(output)[-TAIL:]
        why = [report["message"], *(each["message"] for each in report["reasons"])]
        said = "; ".join(each for each in why if each) or "the plan has no check"
        outcome.why = outcome.why or f"running: {report['stopped_at']}: {said}"


def _accept(trial: _Trial) -> None:
    """Judge the tree that the run left, or say that there is none."""
    branch = f"planlock/{trial.goal.id}/1"
    if f"refs/heads/{branch}" not in trial.team.refs("refs/heads/planlock"):
        trial.outcome.accept_said = "there is no run"
        return
    tree = trial.team.base / "tree"
    laid_out(trial.team, branch, tree)
    trial.outcome.accept_said = trial.goal.accepts(tree)
    trial.outcome.accepted = not trial.outcome.accept_said


def laid_out(team: Team, branch: str, folder: Path) -> None:
    """Write the files of a branch into a folder."""
    folder.mkdir()
    archive = folder.with_suffix(".tar")
    team.git("archive", f"--output={archive}", branch)
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as members:
        members.extractall(folder, filter="data")


def stopped(outcome: Outcome, doing: str, done: Result) -> None:
    """Keep the error's code and message of a command that did not do its work."""
    try:
        error = answer(done).get("error") or {}
    except ValueError:
        error = {}
    lines = done.err.strip().splitlines()
    outcome.error = error.get("code", f"exit {done.code}")
    message = error.get("message") or (lines[-1] if lines else f"exit {done.code}")
    outcome.why = f"{doing}: {message}"
