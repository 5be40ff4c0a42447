"""What a reviewer is told about signing: what will be signed, what was, and what was not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from runner.cli import limits, plan_text, render
from runner.cli.review_screen import rule
from runner.core.errors import BranchBusy, Refused
from runner.core.inert import terminal
from runner.core.values import parse_duration

if TYPE_CHECKING:
    from runner.verbs.decision_record import Decided
    from runner.verbs.review import PlanReview
    from runner.verbs.review_sign import Verdicts


# The hint where another process was first, and there is nothing to be mended.
OVERTAKEN = "try again"


class Outcome(NamedTuple):
    """What the walk through a plan came to; `left` are the steps that were asked in vain."""

    review: PlanReview
    verdicts: Verdicts
    left: Sequence[str]


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """What will be signed, plan by plan."""
    shown = ["", rule("to be signed")]
    for each in outcomes:
        shown.append(plan_text.title(each.review.plan, each.review.view.goal))
        shown += render.rows(_signed(each))
    return shown


def _signed(outcome: Outcome) -> list[tuple[str, str]]:
    review, verdicts, left = outcome
    skipped = (*review.skipped, *verdicts.reject) if verdicts.approve else ()
    bounds = limits.within(verdicts.max_usd, verdicts.max_runs)
    return [
        ("approve", ", ".join(verdicts.approve)),
        ("knowing", f"left out: {', '.join(dict.fromkeys(skipped))}" if skipped else ""),
        ("for", _term(review, verdicts) if verdicts.approve else ""),
        ("within", bounds if verdicts.approve else ""),
        ("reject", ", ".join(verdicts.reject)),
        ("because", terminal(verdicts.objection)),
        ("left", ", ".join(left)),
        ("as", review.person),
        ("digest", review.digest),
    ]


def _term(review: PlanReview, verdicts: Verdicts) -> str:
    """How long the approval will live: the shorter of what is asked and what is allowed."""
    terms = [each for each in (verdicts.expires, review.term) if each]
    if not terms:
        return "ever: neither you nor the policy set an end"
    text = min(terms, key=parse_duration)
    return f"{text} (the policy's term)" if text == review.term else text


def signed(done: Decided, told: Collection[str] = ()) -> list[str]:
    """The record that was made, with the notes that were not `told` before."""
    word = {"approve": "approved", "reject": "rejected"}.get(done.decision, done.decision)
    title = f"{render.mark('completed')} {word} {render.bold(done.plan)}: {', '.join(done.steps)}"
    facts = [
        ("until", done.expires_at),
        ("knowing", f"left out: {', '.join(done.skipped)}" if done.skipped else ""),
        ("record", f"{done.id} in commit {done.commit[:12]}"),
        *(("note", terminal(note)) for note in done.notes if note not in told),
    ]
    # in one piece, to be copied
    push = [f"  push     {done.push_command}"] if done.push_command else []
    return [render.wrapped(title, first=0, rest=4), *render.rows(facts), *push]


def again(error: Refused, plan: str) -> Refused:
    """A refusal to sign; whoever was overtaken is sent back to the review."""
    if isinstance(error, BranchBusy) and error.hint == OVERTAKEN:
        return BranchBusy(error.message, hint=f"planlock review {plan}")
    return error


def unsigned(outcome: Outcome, made: Collection[str]) -> list[str]:
    """What was decided and is not in the records that were made, so that it is not lost."""
    verdicts = outcome.verdicts
    lost = [
        ("approve", "" if "approve" in made else ", ".join(verdicts.approve)),
        ("reject", "" if "reject" in made else ", ".join(verdicts.reject)),
        ("because", "" if "reject" in made else terminal(verdicts.objection)),
    ]
    return [f"not signed for {render.bold(outcome.review.plan)}:", *render.rows(lost)]
