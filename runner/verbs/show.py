"""`show`: a plan as a reviewer wants it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from runner import schemas
from runner.core import validation
from runner.core.errors import KeyNotFound, NotFound, NotGoverned
from runner.core.plan import Plan, PlanFile, Step, typed_input
from runner.core.policy import Policy, Verdict, judge_step
from runner.core.text import unusual_characters, visible
from runner.git.objects import ObjectStore
from runner.project import Project
from runner.steps.run_command import MAY_READ
from runner.verbs import evidence, propose
from runner.verbs.evidence import PlanAt
from runner.verbs.preview import StepPreview, simulate, unified_diff


@dataclass(frozen=True, kw_only=True)
class StepView:
    """One step: a line, details, the diff against `base`, what it needs, what to look at twice."""

    number: int
    id: str
    step_type: str
    line: str
    description: str
    digest: str
    details: tuple[tuple[str, str], ...]
    diff: tuple[str, ...]
    needs: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PlanView:
    """A plan rendered; `commit` is empty for a file of the work tree."""

    id: str
    goal: str
    base: str
    author: str
    planner: str
    budget: str
    digest: str
    commit: str
    source: str
    trusted: str
    assumptions: tuple[str, ...]
    questions: tuple[str, ...]
    steps: tuple[StepView, ...]


def show(project: Project, name: str) -> PlanView:
    """Render a plan by id (its branch, else the trusted ref) or a file by path."""
    file, commit, source = _find(project, name)
    policy, trusted = _policy(project)
    tree = _base_tree(project.store, file.plan)
    played = simulate(project.store, tree, file.plan)
    views = [
        _view(number, item, file.digests[number], policy, has_base=tree is not None)
        for number, item in enumerate(played)
    ]
    return _plan_view(file.plan, file.digest, commit, source, trusted, views)


def step_lines(store: ObjectStore, plan: PlanAt, names: Collection[str]) -> tuple[str, ...]:
    """Say in a line each what these steps of a plan do."""
    played = simulate(store, _base_tree(store, plan.file.plan), plan.file.plan)
    shown = [(each.step, each.preview.line) for each in played if each.step.id in names]
    return tuple(f"{step.id}  {step.step_type}  {visible(line)}" for step, line in shown)


def _base_tree(store: ObjectStore, plan: Plan) -> str | None:
    known = store.look_up(plan.base) if plan.base else None
    return store.commit(known[0]).tree if known and known[1] == "commit" else None


def _find(project: Project, name: str) -> tuple[PlanFile, str, str]:
    if "/" in name or name.endswith(".yaml"):
        path = propose.find_file(project, name)
        data = propose.read_file(path)
        _, file = validation.read_plan(data, file=str(path), schema=schemas.load("plan"))
        return file, "", str(path)
    project.home.fetch(name)
    plan = evidence.find_plan(project, name)
    source = f"branch plan/{name}" if plan.on_branch else project.home.trusted_ref
    return plan.file, plan.commit, source


def _policy(project: Project) -> tuple[Policy | None, str]:
    try:
        authority = project.authority()
    except (NotGoverned, NotFound, KeyNotFound):
        return None, ""
    return authority.policy, str(authority)


def _plan_view(  # noqa: PLR0913, PLR0917  # a rendered plan has these parts
    plan: Plan, digest: str, commit: str, source: str, trusted: str, steps: Sequence[StepView]
) -> PlanView:
    budget = f"{plan.budget.usd} USD" if plan.budget.usd else ""
    return PlanView(
        id=plan.id,
        goal=visible(plan.goal),
        base=plan.base or "",
        author=plan.author or "",
        planner=visible(plan.planner.model) if plan.planner else "",
        budget=budget,
        digest=digest,
        commit=commit,
        source=source,
        trusted=trusted,
        assumptions=tuple(visible(line) for line in plan.assumptions),
        questions=tuple(visible(line) for line in plan.questions),
        steps=tuple(steps),
    )


def _view(
    number: int, item: StepPreview, digest: str, policy: Policy | None, *, has_base: bool
) -> StepView:
    step, preview = item.step, item.preview
    changes = preview.path is not None and not preview.trouble
    diff = unified_diff(str(preview.path), preview.before, preview.after) if changes else []
    return StepView(
        number=number + 1,
        id=step.id,
        step_type=step.step_type,
        line=visible(preview.line),
        description=visible(step.description),
        digest=digest,
        details=tuple((key, visible(value)) for key, value in _details(item, policy)),
        diff=tuple(diff),
        needs=needs(step, policy) if policy else "unknown: no policy found",
        warnings=tuple(_warnings(item, has_base=has_base)),
    )


def _details(item: StepPreview, policy: Policy | None) -> list[tuple[str, str]]:
    """What the step type tells, and what the policy lets every command read."""
    tools = policy.sandbox.tools if policy else ()
    if item.step.step_type != "run_command" or not tools:
        return list(item.preview.details)
    more = f", sandbox.tools: {', '.join(tools)}"
    return [
        (key, value + more if key == MAY_READ else value) for key, value in item.preview.details
    ]


def needs(step: Step, policy: Policy) -> str:
    """Say in one line what the policy asks of a step."""
    return needs_text(judge_step(policy, step.step_type, typed_input(step)))


def needs_text(verdict: Verdict) -> str:
    if verdict.denied:
        return "denied: " + "; ".join(verdict.denied)
    asked = [each for each in verdict.requirements if each.approvals]
    if not asked:
        return "no approval"
    parts = []
    for each in asked:
        kind = " or ".join(each.roles) or "person"
        plural = "s" if each.approvals > 1 else ""
        parts.append(f"{each.approvals} approval{plural} by a {kind} ({each.rule})")
    return " and ".join(parts)


def _warnings(item: StepPreview, *, has_base: bool) -> list[str]:
    found = []
    if item.preview.trouble and has_base:
        found.append(item.preview.trouble)
    if not has_base and item.preview.path:
        found.append("no base yet, so the diff is against nothing: planlock propose fills it in")
    if not item.certain:
        found.append("an earlier command may change this file first; the diff is a guess")
    return found + list(homoglyph_warnings(item.step))


def homoglyph_warnings(step: Step) -> list[str]:
    """Name every character beyond ASCII in what is executed or addressed (B04)."""
    found = []
    for field in ("command", "path", "working_dir", "network", "writes", "reads", "env"):
        value = step.input.get(field)
        found += [
            f"{field} contains U+{char.code_point:04X} {char.name}"
            for char in unusual_characters(_flat(value))
        ]
    return list(dict.fromkeys(found))


def _flat(value: object) -> str:
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    if isinstance(value, dict):
        return " ".join(f"{key} {item}" for key, item in value.items())
    return value if isinstance(value, str) else ""
