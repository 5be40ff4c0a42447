"""`show`: a plan as a reviewer wants it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from runner import schemas
from runner.core import demands, doubts, gate, refusals, risks, validation
from runner.core.errors import KeyNotFound, NotFound, NotGoverned
from runner.core.plan import Plan, PlanFile, RunCommandInput, Step, typed_input, undo_step
from runner.core.policy import Policy
from runner.core.risks import Risk
from runner.core.rules import Verdict, judge_step
from runner.core.text import hidden_characters, visible
from runner.git.objects import ObjectStore
from runner.project import Project
from runner.steps import run_command
from runner.steps.contract import Preview
from runner.verbs import propose
from runner.verbs.amended import find_plan
from runner.verbs.evidence import Amended, PlanAt
from runner.verbs.preview import Reached, StepPreview, simulate, unified_diff


@dataclass(frozen=True, kw_only=True)
class StepView:
    """One step: a line, details, the diff against `base`, what it needs, what to look at twice.

    `path` is the file that the diff is about, empty where there is none.
    """

    number: int
    id: str
    step_type: str
    line: str
    description: str
    digest: str
    details: tuple[tuple[str, str], ...]
    path: str
    diff: tuple[str, ...]
    needs: str
    risks: tuple[Risk, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PlanView:
    """A plan rendered; `commit` is empty for a file of the work tree.

    `warnings` are about its own texts; those of a step stand with the step.
    """

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
    warnings: tuple[str, ...]
    assumptions: tuple[str, ...]
    questions: tuple[str, ...]
    steps: tuple[StepView, ...]


def show(project: Project, name: str) -> PlanView:
    """Render a plan by id (its branch, else the trusted ref) or a file by path."""
    file, commit, source, made = _find(project, name)
    return _render(project, file, commit, source, amended=made)


def find(project: Project, name: str) -> tuple[PlanFile, str]:
    """Read a plan by id or path, and say where it was; raises NotFound or InvalidDocument."""
    file, _, source, _ = _find(project, name)
    return file, source


def is_path(name: str) -> bool:
    """Whether a plan's name means a file of the work tree."""
    return "/" in name or name.endswith(".yaml")


def render(project: Project, plan: PlanAt) -> PlanView:
    """Render a plan that has been read."""
    return _render(project, plan.file, plan.commit, _source(project, plan), amended=plan.amended)


def _render(
    project: Project, file: PlanFile, commit: str, source: str, *, amended: Amended | None
) -> PlanView:
    policy, trusted = _policy(project)
    tree = base_tree(project.store, file.plan)
    played = simulate(project.store, tree, file.plan, amended.reached if amended else None)
    views = [
        _view(number, item, file.digests[number], policy, has_base=tree is not None)
        for number, item in enumerate(played)
    ]
    if amended:
        views = [_with_draft(each, amended, policy) for each in views]
    return _plan_view(file.plan, file.digest, commit, source, trusted, views)


def step_lines(store: ObjectStore, plan: PlanAt, names: Collection[str]) -> tuple[str, ...]:
    """Say in a line each what these steps of a plan do."""
    played = simulate(store, base_tree(store, plan.file.plan), plan.file.plan, reached(plan))
    shown = [(each.step, each.preview.line) for each in played if each.step.id in names]
    return tuple(
        f"{step.id}  {step.step_type}  {visible(line)}{_given(step)}" for step, line in shown
    )


def _given(step: Step) -> str:
    """What a command may reach and gets beside the workspace, and the command that undoes it."""
    given, undo = typed_input(step), undo_step(step)
    more = f"; undo: {visible(str(undo.input['command']))}{_given(undo)}" if undo else ""
    if not isinstance(given, RunCommandInput):
        return more
    hosts = f"; may contact {', '.join(given.network)}" if given.network else ""
    secrets = f"; gets secrets {', '.join(given.secrets)}" if given.secrets else ""
    return f"{hosts}{secrets}{more}"


def reached(plan: PlanAt) -> Reached | None:
    """How far the run is whose drafts a plan has."""
    return plan.amended.reached if plan.amended else None


def base_tree(store: ObjectStore, plan: Plan) -> str | None:
    """The tree that a plan was written against; None where it is not here."""
    known = store.look_up(plan.base) if plan.base else None
    return store.commit(known[0]).tree if known and known[1] == "commit" else None


def _find(project: Project, name: str) -> tuple[PlanFile, str, str, Amended | None]:
    if is_path(name):
        path = propose.find_file(project, name)
        data = propose.read_file(path)
        _, file = validation.read_plan(data, file=str(path), schema=schemas.load("plan"))
        return file, "", str(path), None
    project.home.fetch(name)
    plan = find_plan(project, name)
    return plan.file, plan.commit, _source(project, plan), plan.amended


def _source(project: Project, plan: PlanAt) -> str:
    where = f"branch plan/{plan.id}" if plan.on_branch else project.home.trusted_ref
    return visible(f"{where}, {plan.amended.story}") if plan.amended else where


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
        warnings=doubts.of_plan(plan),
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
        path=visible(str(preview.path)) if preview.path else "",
        diff=tuple(diff),
        needs=demands.summary(judge_step(policy, step)) if policy else "unknown: no policy found",
        risks=risks.of(step),
        warnings=(*_barred(item.step, policy), *_warnings(item, has_base=has_base)),
    )


def _with_draft(view: StepView, amended: Amended, policy: Policy | None) -> StepView:
    """Say of a drafted step who wrote it, for which instruction, and that somebody must look."""
    if view.id not in amended.models:
        return view
    told = [("drafted by", f"{amended.models[view.id]} in run {amended.run}")]
    told += [("instruction", amended.asked[view.id])] if view.id in amended.asked else []
    details = tuple((key, visible(value)) for key, value in told)
    needs = view.needs
    if policy and needs == demands.NONE:
        needs = demands.summary(Verdict(requirements=(gate.draft_requirement(policy),)))
    return replace(view, details=(*details, *view.details), needs=needs)


def _details(item: StepPreview, policy: Policy | None) -> list[tuple[str, str]]:
    """What the step type tells, what the policy lets every command read, and what undoes it."""
    details, undo = list(item.preview.details), undo_step(item.step)
    if undo is not None:
        details += run_command.undoing(undo)
    tools = policy.sandbox.tools if policy else ()
    if not tools:
        return details
    more = f", sandbox.tools: {', '.join(tools)}"
    return [(key, value + more if key in run_command.READERS else value) for key, value in details]


def _barred(step: Step, policy: Policy | None) -> Iterator[str]:
    """Tell what keeps a step from running whoever approves it."""
    for reason in refusals.of_step(policy, step) if policy else ():
        yield f"cannot run: {reason.message}"


def _warnings(item: StepPreview, *, has_base: bool) -> list[str]:
    found = []
    if item.preview.trouble and has_base:
        found.append(item.preview.trouble)
    if not has_base and item.preview.path:
        found.append("no base yet, so the diff is against nothing: planlock propose fills it in")
    if not item.certain:
        found.append("an earlier command or draft may change this file first; the diff is a guess")
    found += _hidden(item.preview)
    found += doubts.of_step(item.step)
    return found + [
        each.detail for each in risks.of(item.step) if each.label == "unusual_characters"
    ]


def _hidden(preview: Preview) -> Iterator[str]:
    """Tell that a file holds what a reader cannot see; diffs show it escaped."""
    for when, content in (("leaves", preview.after), ("finds", preview.before)):
        found = hidden_characters(_text(content))
        if found:
            names = ", ".join(dict.fromkeys(each.name for each in found[:3]))
            yield f"{when} hidden characters in {preview.path}, shown escaped: {names}"
            return


def _text(content: bytes | None) -> str:
    """A file's text with plain line ends; nothing of a binary file."""
    try:
        return (content or b"").decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        return ""
