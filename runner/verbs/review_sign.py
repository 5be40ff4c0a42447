"""`review`: the verdicts about a plan, signed as what was shown."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from runner.core.errors import BranchBusy, Reason, Refused
from runner.project import Project
from runner.verbs import review_plans
from runner.verbs.decide import decide
from runner.verbs.decision_record import Decided, Wish
from runner.verbs.review import PlanReview
from runner.verbs.review_outlook import outlook


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What the caller decided about a plan's steps, and within which limits."""

    approve: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()
    reason: str = ""
    objection: str = ""
    expires: str = ""
    max_usd: str = ""
    max_runs: int = 0


def sign(project: Project, reviewed: PlanReview, verdicts: Verdicts) -> Iterator[Decided]:
    """Sign what was decided: the rejection first, so that the approval knows of it.

    Raises Refused where the plan, or what counts for it, is not what was shown any more, and
    BranchBusy where others were first twice.
    """
    _check_unchanged(project, reviewed)
    if verdicts.reject:
        wish = Wish(
            decision="reject",
            steps=verdicts.reject,
            reason=verdicts.objection,
            digest=reviewed.digest,
        )
        yield _decide(project, reviewed, wish)
    if verdicts.approve:
        wish = Wish(
            decision="approve",
            steps=verdicts.approve,
            reason=verdicts.reason,
            expires=verdicts.expires,
            max_usd=verdicts.max_usd,
            max_runs=verdicts.max_runs,
            digest=reviewed.digest,
        )
        yield _decide(project, reviewed, wish, rejected=verdicts.reject)


def _decide(
    project: Project, reviewed: PlanReview, wish: Wish, *, rejected: Collection[str] = ()
) -> Decided:
    """Decide; where another process was first, look again and try once more."""
    try:
        return decide(project, reviewed.plan, wish)
    except BranchBusy:
        _check_unchanged(project, reviewed, rejected)
        return decide(project, reviewed.plan, wish)


def _check_unchanged(
    project: Project, reviewed: PlanReview, rejected: Collection[str] = ()
) -> None:
    """Refuse where an approval would say more than the reviewer knows; `decide` sees to the plan."""
    plan = review_plans.one(project, reviewed.plan)
    if plan.file.digest != reviewed.digest:
        return
    now = outlook(project, plan)
    skips = set(now.skipped) ^ {*reviewed.skipped, *rejected}
    texts = [f"whether these are left out: {', '.join(sorted(skips))}"] if skips else []
    if now.found.authority.policy_file.execution != reviewed.execution:
        texts.append("the policy's sandbox or plugins")
    if texts:
        fix = f"look at it again: planlock review {reviewed.plan}"
        message = f"since you looked, this changed: {'; '.join(texts)}"
        reason = Reason(code="review_outdated", message=message, fix=fix)
        raise Refused(f"plan {reviewed.plan} is not as it was reviewed", reasons=(reason,))
