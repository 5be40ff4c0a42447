"""`diff`: what changed in a plan since a person approved it, so that nobody reads it twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.core import doubts, plan_diff
from runner.core.approval import NAMESPACE, Vote
from runner.core.errors import NotFound, Reason
from runner.core.plan import PlanFile
from runner.core.plan_diff import FieldChange
from runner.core.policy import Policy
from runner.core.text import visible
from runner.project import Authority, Project
from runner.verbs import amended, diff_steps, diff_versions, show
from runner.verbs.diff_steps import Standing, StepChange
from runner.verbs.diff_versions import Approved
from runner.verbs.evidence import Evidence, PlanAt
from runner.verbs.review_outlook import Outlook, objections, outlook, own
from runner.verbs.show import PlanView


@dataclass(frozen=True, kw_only=True)
class Given:
    """The approval that is compared with; `reasons` say why it does not count where it could.

    `execution` has what changed in the policy's `sandbox` and `plugins`, which voids it.
    """

    by: str
    id: str
    made_at: str
    expires_at: str
    reasons: tuple[Reason, ...]
    execution: tuple[FieldChange, ...]


@dataclass(frozen=True, kw_only=True)
class PlanDiff:
    """What differs; `then` is empty where the version that was approved is not here.

    `given` is None where a version was asked for and not a person's approval. A change of
    `header` voids every approval; `notes` are outside of what is approved; `warnings` are about
    the plan's own texts as they are now.
    """

    plan: str
    goal: str
    then: str
    now: str
    commit: str
    given: Given | None
    header: tuple[FieldChange, ...]
    notes: tuple[FieldChange, ...]
    warnings: tuple[str, ...]
    steps: tuple[StepChange, ...]


def diff(project: Project, plan_id: str, *, by: str = "", since: str = "") -> PlanDiff:
    """Compare a plan with what a person approved last, or with the version of a digest."""
    project.home.fetch(plan_id)
    plan = amended.find_plan(project, plan_id)
    view = show.render(project, plan)
    if since:
        return _since_version(project, plan, view, since)
    stand = outlook(project, plan)
    who = by or caller(project, stand.found.authority)
    found = last_approval(project, view, stand, who)
    if found is None:
        message = f"looking for an approval of plan {plan_id} by {visible(who)}: there is none"
        raise NotFound(message, hint=f"planlock show {plan_id}")
    return found


def caller(project: Project, authority: Authority) -> str:
    """The person whose key the caller has, valid or not; raises NotFound."""
    key, signers = project.person.credential, authority.signers
    verdict = signers.find(key, namespace=NAMESPACE, at=project.world.now())
    who = verdict.principal or signers.listed(key)
    if who is None:
        message = f"looking for approvals of yours: {verdict.reason}"
        raise NotFound(message, hint="planlock diff PLAN --by NAME")
    return who


def _since_version(project: Project, plan: PlanAt, view: PlanView, since: str) -> PlanDiff:
    versions = diff_versions.of_plan(project, plan)
    then = next((each for each in versions if each.digest.startswith(since)), None)
    if then is None:
        message = f"looking for a version of plan {plan.id} with digest {since}: there is none"
        raise NotFound(message, hint=f"planlock show {plan.id}")
    pairs = zip(then.plan.steps, then.digests, strict=True)
    read = {step.id: frozenset({digest}) for step, digest in pairs}
    return _compare(project, plan, view, then, given=None, read=read, standing={})


def last_approval(project: Project, view: PlanView, stand: Outlook, who: str) -> PlanDiff | None:
    """What changed since a person's last approval, with what the ones before it covered.

    None where they have given none.
    """
    decisions = own(stand.found.votes, stand.steps[0].question, who)
    votes = [vote for vote in decisions if vote.record.decision == "approve"]
    if not votes:
        return None
    read, plan = _covered(votes), stand.found.plan
    given, standing = _given(project, stand, votes[-1]), _standing(stand, votes)
    then = diff_versions.fitting(project, stand.found, votes[-1])
    if then is None:
        steps = diff_steps.by_digest(view, read, standing)
        return _plan_diff(plan, "", given=given, steps=tuple(steps))
    return _compare(project, plan, view, then, given=given, read=read, standing=standing)


def _covered(votes: Sequence[Vote]) -> dict[str, frozenset[str]]:
    """The digests that approvals name, by step."""
    found: dict[str, frozenset[str]] = {}
    for vote in votes:
        for name, digest in vote.record.steps.items():
            found[name] = found.get(name, frozenset()) | {digest}
    return found


def _standing(stand: Outlook, votes: Sequence[Vote]) -> Standing:
    """How the approvals stand that name what a step is now."""
    found: dict[str, tuple[Reason, ...]] = {}
    for step in stand.steps:
        name = step.step.id
        alike = [vote for vote in votes if vote.record.steps.get(name) == step.digest]
        if alike:
            against = [objections(step, vote) for vote in alike]
            found[name] = against[-1] if all(against) else ()
    return found


def _given(project: Project, stand: Outlook, vote: Vote) -> Given:
    record = vote.record
    alike = [each for each in stand.steps if record.steps.get(each.step.id) == each.digest]
    found = (reason for each in alike for reason in objections(each, vote))
    return Given(
        by=record.approver,
        id=record.id,
        made_at=record.made_at,
        expires_at=record.expires_at or "",
        reasons=tuple(dict.fromkeys(found)),
        execution=_execution(project, stand.found, record.execution),
    )


def _execution(project: Project, found: Evidence, then: str) -> tuple[FieldChange, ...]:
    """What the policy's `sandbox` and `plugins` said then and say now."""
    now = found.authority.policy_file
    if then == now.execution:
        return ()
    old = diff_versions.policy_of(project, found, then)
    new = _settings(now.policy)
    changes = plan_diff.field_changes(_settings(old.policy), new) if old else ()
    # written otherwise, though it says the same: the digest is of what is written
    return changes or (FieldChange(field="sandbox and plugins", then=then, now=now.execution),)


def _settings(policy: Policy) -> dict[str, object]:
    fields = policy.sandbox.model_dump()
    return {**{f"sandbox.{key}": fields[key] for key in fields}, "plugins": policy.plugins}


def _compare(  # noqa: PLR0913  # a comparison has two sides, a reader and what they approved
    project: Project,
    plan: PlanAt,
    view: PlanView,
    then: PlanFile,
    *,
    given: Given | None,
    read: Approved,
    standing: Standing,
) -> PlanDiff:
    steps = diff_steps.compare(
        project.store, then, plan, view=view, approved=read, standing=standing
    )
    return _plan_diff(
        plan,
        then.digest,
        given=given,
        steps=steps,
        header=plan_diff.header_changes(then.plan, plan.file.plan),
        notes=plan_diff.note_changes(then.plan, plan.file.plan),
    )


def _plan_diff(  # noqa: PLR0913  # a comparison has these parts
    plan: PlanAt,
    then: str,
    *,
    given: Given | None,
    steps: tuple[StepChange, ...],
    header: tuple[FieldChange, ...] = (),
    notes: tuple[FieldChange, ...] = (),
) -> PlanDiff:
    return PlanDiff(
        plan=plan.id,
        goal=visible(plan.file.plan.goal),
        then=then,
        now=plan.file.digest,
        commit=plan.commit,
        given=given,
        header=header,
        notes=notes,
        warnings=doubts.of_plan(plan.file.plan),
        steps=steps,
    )
