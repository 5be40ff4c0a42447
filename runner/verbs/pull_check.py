"""`github check`: what a pull request does to plans, and how far its plan is approved."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from runner import schemas
from runner.core import reviews
from runner.core.amendment import is_draft
from runner.core.errors import InvalidDocument, NotFound, Problem
from runner.core.forge import CheckConclusion, PullRequest
from runner.core.gate import SPENDS
from runner.core.plan import Plan
from runner.core.policy import PLANS_FOLDER, SIGNERS_PATH, Policy
from runner.core.values import usd
from runner.git import history, tree_difference
from runner.git.objects import EXECUTABLE, FILE
from runner.github.client import GitHub
from runner.project import Project
from runner.verbs import amended, show, validate
from runner.verbs.pull_request import Reader, plan_of
from runner.verbs.show import PlanView
from runner.verbs.status import PlanStatus, status
from runner.verbs.witness import Seen

_YAML = (".yaml", ".yml")
LONGEST_PATH = 500


@dataclass(frozen=True, kw_only=True)
class PlanAsked:
    """The plan of a pull request: as people read it, as the gate sees it, and what they said.

    `line` is the first line of a review that approves exactly this, `money` says in words what its
    models may cost.
    """

    view: PlanView
    status: PlanStatus
    seen: Seen
    line: str
    money: str

    @property
    def waiting(self) -> tuple[str, ...]:
        return tuple(each.id for each in self.status.steps if each.status == "waiting")

    @property
    def is_due(self) -> bool:
        """Whether something was approved, or nothing has to be, or a run goes on already.

        A run that began with what is free alone would only wait, on a pull request of its own.
        """
        is_open = self.status.run_status in {"awaiting_approval", "paused", "failed", "running"}
        return is_open or not self.waiting or any(each.approvers for each in self.status.steps)

    @property
    def is_in_order(self) -> bool:
        """Whether nothing waits for anybody, and its run did not go wrong."""
        stopped = self.status.run_status in {"failed", "cancelled", "rolled_back"}
        return not (self.waiting or self.seen.weighed.holds or stopped)


@dataclass(frozen=True, kw_only=True)
class PullReport:
    """What a pull request is about: `files` are those it changes below `plans/`.

    `plan` is None where it carries none that could be executed, and `note` says why.
    """

    pull: PullRequest
    files: tuple[str, ...]
    problems: tuple[Problem, ...]
    plan: PlanAsked | None
    note: str = ""

    @property
    def conclusion(self) -> CheckConclusion:
        """Only what is wrong fails: to wait for people must not keep anybody from merging."""
        if self.problems:
            return "failure"
        return "success" if self.plan is None or self.plan.is_in_order else "neutral"

    @property
    def is_worth_telling(self) -> bool:
        """Whether people who look at the pull request should hear of it there."""
        is_of_run = self.pull.head.branch.startswith("planlock/") and not self.pull.is_from_fork
        return bool(self.files) and (bool(self.problems) or not is_of_run)

    @property
    def title(self) -> str:
        if self.problems:
            return wrong(self.problems)
        if self.plan is None:
            return self.note or "no plan is touched"
        if holds := self.plan.seen.weighed.holds:
            return holds[0].message
        return _standing(self.plan)


def wrong(problems: tuple[Problem, ...]) -> str:
    """How many there are, in words."""
    return f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in plans/"


def _standing(plan: PlanAsked) -> str:
    waiting = len(plan.waiting)
    if plan.status.run_status:
        return f"run {plan.status.run}: {plan.status.run_status.replace('_', ' ')}"
    return (
        f"{waiting} of {len(plan.status.steps)} steps wait for approval" if waiting else "approved"
    )


def check(project: Project, forge: GitHub, number: int) -> PullReport:
    """Look at a pull request; of a fork's only the files. Raises ForgeError, GitError."""
    pull = forge.pull_request(number)
    project.home.fetch()
    head = project.home.fetch_pull(number)
    files, problems = changed(project, head)
    name, note = plan_of(pull), ""
    asked = None
    if files and not name:
        note = _why_no_plan(pull)
    elif name and not problems:
        try:
            asked = ask(project, forge, pull)
        except (NotFound, InvalidDocument) as error:
            note = error.message
    return PullReport(pull=pull, files=files, problems=problems, plan=asked, note=note)


def ask(project: Project, forge: GitHub, pull: PullRequest) -> PlanAsked:
    """How far the plan of a pull request is approved, what reviewers said there included."""
    reader = Reader(project=project, forge=forge, number=pull.number)
    name = plan_of(pull)
    found = status(project, name, reader.consult)
    plan = amended.find_plan(project, name)
    view = show.render(project, plan)
    skipped = [each.id for each in found.steps if each.status == "skipped"]
    seen = reader.seen[0]
    return PlanAsked(
        view=view,
        status=_without_held(found, seen),
        seen=seen,
        line=reviews.line(view.digest, skipped),
        money=_money(project.authority().policy, plan.file.plan),
    )


def _money(policy: Policy, plan: Plan) -> str:
    """How many steps ask a model, the least of what policy and plan let them cost, and the plan's own.

    What it will be depends on the models of the machine that runs it.
    """
    asking = [each for each in plan.steps if each.step_type in SPENDS or is_draft(each)]
    spent = plan.planner.cost_usd if plan.planner else None
    written = f"; writing the plan cost {spent} USD" if spent else ""
    if not asking:
        return f"no step asks a model: nothing is spent{written}"
    bounds = [Decimal(each) for each in (policy.budgets.run_usd, plan.budget.usd) if each]
    most = f"at most {usd(min(bounds))} USD" if bounds else "without a bound"
    return f"{len(asking)} of {len(plan.steps)} steps ask a model: {most}{written}"


def _without_held(found: PlanStatus, seen: Seen) -> PlanStatus:
    return replace(found, reasons=(*seen.weighed.holds, *found.reasons))


def _why_no_plan(pull: PullRequest) -> str:
    if pull.is_from_fork:
        return "from a fork: files are checked, nothing is executed"
    return f"branch {pull.head.branch} is no plan/…: files are checked, nothing is executed"


def changed(project: Project, head: str) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """The files below `plans/` that differ from where the branch began, and what is wrong."""
    store = project.store
    base = history.merge_base(project.git_dir, project.home.trusted(), head)
    before = store.entry(store.commit(base).tree, PLANS_FOLDER) if base else None
    after = store.entry(store.commit(head).tree, PLANS_FOLDER)
    if after is None or after == before:
        return (), ()
    empty = store.write("tree", b"")
    changed = tree_difference.paths(store, before.oid if before else empty, after.oid)
    paths = sorted(f"{PLANS_FOLDER}/{each}" for each in changed)
    return tuple(paths), tuple(_problems(project, store.commit(head).tree, paths))


def _problems(project: Project, tree: str, paths: list[str]) -> Iterator[Problem]:
    """Check what the paths hold, as `validate` does, apart from everything else."""
    files: dict[str, bytes] = {}
    for path in paths:
        entry = project.store.entry(tree, path)
        if entry is None:
            continue
        if len(path) > LONGEST_PATH:
            message = "has a path that no plan needs"
            yield Problem(file=path[:LONGEST_PATH], code="too_large", message=message)
        elif entry.mode not in {FILE, EXECUTABLE} or {"..", "."} & {*path.split("/")}:
            fix = "put the file itself here"
            yield Problem(file=path, code="symlink", message="is no regular file", fix=fix)
        elif path == SIGNERS_PATH or (path.endswith(_YAML) and "/calls/" not in path):
            files[path] = project.store.blob(entry.oid)
    yield from _validated(files)


def _validated(files: Mapping[str, bytes]) -> Iterator[Problem]:
    with tempfile.TemporaryDirectory(prefix="planlock-check-") as name:
        top = Path(name).resolve()
        for path, data in files.items():
            place = top / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        report = validate.validate([top / path for path in files], load_schema=schemas.load)
    for problem in report.problems:
        yield replace(problem, file=problem.file.removeprefix(f"{top.as_posix()}/"))
