"""The plan as a run goes on with it: what people wrote, with the texts that a model drafted."""

from __future__ import annotations

from dataclasses import replace

from runner import schemas
from runner.core import amendment, validation
from runner.core.errors import AuthorityRefused, GitError, InvalidDocument
from runner.core.plan import PlanFile, step_digests
from runner.core.run import RunFile
from runner.core.run_states import DONE
from runner.project import Project
from runner.verbs import evidence, runs, taking
from runner.verbs.evidence import Amended, PlanAt
from runner.verbs.preview import Reached


def find_plan(project: Project, plan_id: str) -> PlanAt:
    """Read a plan as people are to judge it: with the drafts of its open run; raises NotFound."""
    return with_drafts(project, evidence.find_plan(project, plan_id))


def with_drafts(project: Project, plan: PlanAt) -> PlanAt:
    """Put the drafts of the open run into a plan, as far as they stand.

    A run whose chain or signatures are not in order has no say in what people see.
    """
    known = runs.of_plan(project, plan.id)
    if not known:
        return plan
    number, tip = max(known.items())
    try:
        run = runs.load_run(project.store, tip, plan.id, number)
        own = evidence.plan_at(project.store, tip, plan.id, on_branch=True)
    except (InvalidDocument, GitError):
        return plan  # `run` and the audit tell
    drafts = [each for each in run.drafts if each.draft and each.draft.after]
    if own is None or run.ended or not drafts or not _sound(project, run, tip):
        return plan
    found = continued(own, plan, run)
    models = _models(run, found.file)
    if not models or changed_steps(run, found.file):
        return plan
    reached = Reached(done=_done(run, found.file), tree=project.store.commit(tip).tree)
    made = Amended(run=number, models=models, asked=_asked(plan), reached=reached)
    return replace(found, amended=made)


def _asked(plan: PlanAt) -> dict[str, str]:
    """The instructions of a plan, by step."""
    drafts = filter(amendment.is_draft, plan.file.plan.steps)
    return {step.id: str(step.input["instruction"]) for step in drafts}


def _sound(project: Project, run: RunFile, tip: str) -> bool:
    try:
        taking.check_chain(project, project.authority(), run, tip)
    except AuthorityRefused:
        return False
    return True


def continued(own: PlanAt, newer: PlanAt, run: RunFile) -> PlanAt:
    """The plan that a run goes on with: its own, until the plan's branch has another.

    Of that, what a draft has done already stays done; other drafts are made anew.
    """
    if same(newer.file, own.file):
        return replace(newer, file=own.file, document=own.document)
    recorded = {step.id for step in run.recorded_steps}
    whole = newer.file.digest == run.source
    drafts = [each.draft for each in run.drafts if each.draft]
    kept = [each for each in drafts if whole or each.step in recorded]
    inputs = amendment.carried(newer.document.value, own.file, kept)
    if not inputs:
        return newer
    digests = step_digests(amendment.with_inputs(newer.document.value, inputs))
    if digests == own.file.digests and newer.file.plan.budget == own.file.plan.budget:
        return replace(newer, file=own.file, document=own.document)
    return amended(newer, amendment.rewrite(newer.document, inputs))


def same(one: PlanFile, other: PlanFile) -> bool:
    """Whether two plans have the same steps and the same money."""
    return one.digest == other.digest and one.plan.budget == other.plan.budget


def amended(plan: PlanAt, data: bytes) -> PlanAt:
    """A plan with another text; raises InvalidDocument."""
    document, file = validation.read_plan(
        data, file=plan.document.file, schema=schemas.load("plan")
    )
    return replace(plan, document=document, file=file)


def changed_steps(run: RunFile, plan: PlanFile) -> list[str]:
    """The recorded steps that a plan does not have as they were recorded."""
    digests = {step.id: plan.digests[n] for n, step in enumerate(plan.plan.steps)}
    changed = (each for each in run.recorded_steps if digests.get(each.id) != each.digest)
    return list(dict.fromkeys(step.id for step in changed))


def _models(run: RunFile, plan: PlanFile) -> dict[str, str]:
    """Which model drafted which step of a plan as it is now."""
    by_digest = {
        each.draft.after: f"{each.calls[-1].provider}/{each.calls[-1].model}"
        for each in run.drafts
        if each.draft and each.calls
    }
    pairs = zip(plan.plan.steps, plan.digests, strict=True)
    return {step.id: by_digest[digest] for step, digest in pairs if digest in by_digest}


def _done(run: RunFile, plan: PlanFile) -> int:
    """How many steps a run has behind it."""
    for number, step in enumerate(plan.plan.steps):
        record = run.latest(step.id)
        if record is None or record.status not in DONE:
            return number
    return len(plan.plan.steps)
