"""Whether a step's undo command may run now: what the step itself needs, now."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from runner.core import gate
from runner.core.approval import Vote
from runner.core.gate import Decision, Question, SoFar
from runner.core.policy import Policy


def decide(question: Question) -> Decision:
    """Answer as for the step, but for what only time and money have changed.

    Who approved the step approved its undo command for as long as what it did is there. So an
    approval counts that is merely older than its term, or whose money is spent: a command costs
    none. A rejection, a withdrawal, a key or a policy that allows it no longer bars it.
    """
    lasting = replace(
        question,
        policy=replace(question.policy, policy=_without_terms(question.policy.policy)),
        votes=tuple(map(_lasting, question.votes)),
        so_far=_before(question),
    )
    return gate.decide(lasting)


def _without_terms(policy: Policy) -> Policy:
    rules = [rule.model_copy(update={"expires_after": None}) for rule in policy.rules]
    return policy.model_copy(update={"approvals_expire_after": None, "rules": rules})


def _lasting(vote: Vote) -> Vote:
    return replace(vote, record=vote.record.model_copy(update={"expires_at": None}))


def _before(question: Question) -> SoFar:
    """The run as it was when the step's turn had come: later skips say nothing about the step."""
    places = question.plan.places
    skipped = tuple(name for name in question.so_far.skipped if places[name] < question.step)
    return replace(question.so_far, skipped=skipped, spent=Decimal(0), tokens=0, spent_under={})
