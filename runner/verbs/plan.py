"""`plan` and `revise`: let a model write a plan, drafted and tried, on its own branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runner.core import intent, relevance
from runner.core.errors import (
    BranchBusy,
    ContextTooLong,
    ModelError,
    NoRoute,
    NotFound,
    PlanlockError,
    ReplayMiss,
    SchemaViolation,
    UsageError,
)
from runner.core.intent import Intents
from runner.core.model_call import Answer, CallContext, Params, StructureRequest
from runner.core.plan import PlanFile, Step
from runner.core.run import plan_branch
from runner.git.refs import Move
from runner.project import Project
from runner.verbs import evidence, new, plan_document, propose, show
from runner.verbs.evidence import PlanAt, plan_path
from runner.verbs.plan_branch import local_tip, push_command
from runner.verbs.plan_document import Job, Spent
from runner.verbs.plan_files import ProjectFiles, Sent
from runner.verbs.plan_steps import Workshop
from runner.verbs.planning import Progress, Wish, check_said
from runner.verbs.planning_models import PlanningModels
from runner.verbs.show import PlanView

# How much of the project a prompt shows, in tokens: less where the model's window is too small.
SIZES = (16_000, 5_000, 2_000)
MAX_TOKENS = 3_000
LONGEST_NAME = 500


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A plan as the model wrote it; `commit` is empty for a dry run."""

    view: PlanView
    text: str
    commit: str
    new: bool
    sent: tuple[tuple[str, int], ...]
    withheld: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    spent: Spent
    push_command: str


@dataclass(frozen=True, kw_only=True)
class Into:
    """Where a plan goes: its id, whether it is written at all, whether its branch is pushed."""

    plan_id: str | None = None
    dry_run: bool = False
    push: bool = False


def plan(project: Project, wish: Wish, into: Into, tell: Progress) -> Planned:
    """Plan a goal; raises ModelError, UsageError for a name that another goal has."""
    check_said("goal", wish.goal)
    _check_asked(project, wish, into)
    name = new.check_id(into.plan_id or new.slug(wish.goal))
    project.home.fetch(name)
    authority = project.authority()
    stands = _standing(project, name)
    if stands is not None and stands.file.plan.goal != wish.goal:
        message = f"plan {name} has another goal: {stands.file.plan.goal}"
        raise UsageError(message, hint=f"give --id NAME, or: planlock revise {name} WISH")
    job = Job(
        project=project,
        name=name,
        wish=wish,
        authority=authority,
        base=authority.commit,
        seen=_at(project, name),
    )
    return _write(job, into, tell)


def revise(project: Project, name: str, wish: Wish, into: Into, tell: Progress) -> Planned:
    """Change a plan as `wish.change` says; steps that stay keep their text, so their approvals."""
    check_said("wish", wish.change)
    _check_asked(project, wish, into)
    project.home.fetch(name)
    authority = project.authority()
    seen = _at(project, name)
    old = evidence.find_plan(project, name)
    made = replace(wish, goal=old.file.plan.goal)
    base = old.file.plan.base or authority.commit
    job = Job(
        project=project,
        name=name,
        wish=made,
        authority=authority,
        base=base,
        seen=seen,
        old=old.file.plan,
    )
    return _write(job, into, tell)


def _check_asked(project: Project, wish: Wish, into: Into) -> None:
    """Raise UsageError for options that cannot be, before a model is paid."""
    if wish.model is not None:
        check_said("--model", wish.model)
        if len(wish.model) > LONGEST_NAME:
            raise UsageError("--model: that is no name of a model", hint="planlock models")
    if into.push and project.home.url is None:
        hint = "git remote add origin URL, or leave --pr out"
        raise UsageError("--pr: this repository has no remote home to push to", hint=hint)


def _standing(project: Project, name: str) -> PlanAt | None:
    try:
        return evidence.find_plan(project, name)
    except NotFound:
        return None


def _write(job: Job, into: Into, tell: Progress) -> Planned:
    project, wish = job.project, replace(job.wish, project=job.authority.policy.repository)
    tree = project.store.commit(job.base).tree
    files = ProjectFiles(project.store, tree, goal=f"{wish.goal} {wish.change}")
    models = PlanningModels(project, job.authority.policy, tell)
    try:
        first, sent, intents = _intents(job, wish, files, models, tell)
        shop = Workshop(models=models, files=files, sent=sent, wish=wish, tell=tell)
        steps = shop.build(intents.steps, job.old.steps if job.old else ())
    except PlanlockError:
        if cost := models.cost():
            tell("note", f"{cost}, and no plan came of it")
        raise
    spent = plan_document.spent_on([first, *shop.answers])
    value = plan_document.value(job, steps, intents, spent)
    text, filled, document = plan_document.filled(job, value)
    commit, is_new = "", False
    if not into.dry_run:
        _check_unmoved(job)
        _check_replaces(job, filled)
        commit, is_new = propose.commit_plan(project, filled, text.encode(), None)
        if into.push:
            _push(project, job.name, commit)
    at = PlanAt(commit=commit, file=filled, document=document, on_branch=True)
    return Planned(
        view=show.render(project, at),
        text=text,
        commit=commit,
        new=is_new,
        sent=tuple((path, relevance.tokens(body)) for path, body in sent.files),
        withheld=sent.withheld,
        notes=(*intents.notes, *shop.complaints),
        spent=spent,
        push_command="" if into.push or into.dry_run else push_command(project, job.name),
    )


def _intents(
    job: Job, wish: Wish, files: ProjectFiles, models: PlanningModels, tell: Progress
) -> tuple[Answer, Sent, Intents]:
    """Ask for intents with as much of the project as some model's window takes."""
    failure: ModelError | None = None
    sent: Sent | None = None
    for size in SIZES:
        before = sent
        sent = files.choose(named=wish.files, patterns=wish.patterns, max_tokens=size)
        if before is not None and sent.files == before.files:
            continue
        tell("phase", f"planning over {_files(len(sent.files))}, about {sent.tokens} tokens")
        request = _request(job, wish, sent)
        try:
            answer = models.structure(request)
        except (ContextTooLong, NoRoute, ReplayMiss) as error:
            failure = failure or error
            continue
        kept = [step.id for step in job.old.steps] if job.old else []
        intents = intent.read(answer.data, tracked=files.tracked, kept=kept)
        if not intents.steps:
            raise _nothing_left(answer, intents)
        return answer, sent, intents
    raise failure or ContextTooLong("planning: no model's window takes the goal alone")


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _nothing_left(answer: Answer, intents: Intents) -> SchemaViolation:
    said = "; ".join(intents.notes)
    message = f"planning: no step of {answer.route.response_model} can be done: {said}"
    return SchemaViolation(message, hint="say more in the goal, or name a stronger model: --model")


def _request(job: Job, wish: Wish, sent: Sent) -> StructureRequest:
    current = [_line(step) for step in job.old.steps] if job.old else []
    return StructureRequest(
        messages=intent.messages(
            goal=wish.goal,
            listing=sent.listing,
            files=sent.files,
            tests=sent.tests,
            current=current,
            wish=wish.change,
        ),
        kind="plan",
        tier=wish.tier,
        model=wish.model,
        params=Params(temperature=0.0, seed=1, max_tokens=MAX_TOKENS, timeout_s=wish.timeout_s),
        cache=wish.cache,
        context=CallContext(
            project=wish.project, prompt_version=intent.PROMPT_VERSION, inputs=sent.inputs
        ),
        schema=intent.schema(revising=bool(current)),
        schema_name="plan",
    )


def _line(step: Step) -> str:
    """One step of a plan that is to be revised, without what was drafted."""
    given = step.input
    target = given.get("path") or given.get("command") or given.get("instruction") or ""
    return f"{step.id}: {step.step_type} {target} ({step.description})"


def _check_unmoved(job: Job) -> None:
    """Raise BranchBusy where the plan changed while the model wrote: nobody's work is replaced."""
    project = job.project
    project.home.fetch(job.name)
    if _at(project, job.name) != job.seen:
        message = f"committing plan {job.name}: it changed while the model wrote this one"
        raise BranchBusy(message, hint=f"planlock show {job.name}, then ask again")


def _check_replaces(job: Job, filled: PlanFile) -> None:
    """Raise UsageError where planning anew would drop what was revised or written by hand."""
    standing = _standing(job.project, job.name)
    anew = job.old is not None or job.wish.cache.mode == "record"
    if standing is not None and not anew and standing.file.digests != filled.digests:
        message = f"plan {job.name} is there already, and is not what this goal gives now"
        hint = f"planlock revise {job.name} WISH; with --live it is planned anew in its place"
        raise UsageError(message, hint=hint)


def _at(project: Project, name: str) -> str:
    """The object id of the plan's file on its branch; empty where it has none."""
    tip = local_tip(project, name)
    entry = project.store.entry(project.store.commit(tip).tree, plan_path(name)) if tip else None
    return entry.oid if entry else ""


def _push(project: Project, name: str, commit: str) -> None:
    """Bring the branch to the home, without force; raises BranchBusy where it moved on."""
    if project.home.url is not None:
        ref = plan_branch(name)
        project.home.publish([Move(ref=ref, old=commit, new=commit)], reason=f"push plan {name}")


def answered(project: Project, name: str, answers: Sequence[str]) -> str:
    """The wish that answers make: paired with the plan's questions where there are as many."""
    for each in answers:
        check_said("answer", each)
    project.home.fetch(name)
    questions = evidence.find_plan(project, name).file.plan.questions
    if len(questions) == len(answers):
        pairs = zip(questions, answers, strict=True)
        return " ".join(f"To the question {one!r} the answer is: {other}." for one, other in pairs)
    return " ".join(f"An answer to your questions: {each}." for each in answers)
