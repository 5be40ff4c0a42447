"""Whether approvals that count are enough for what the rules ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from runner.core import code_owners
from runner.core.approval import Vote
from runner.core.policy import LEVELS, Person, Policy
from runner.core.rules import Requirement
from runner.core.values import parse_duration, parse_time


@dataclass(frozen=True, kw_only=True)
class Quorum:
    """Approvals that count, held against requirements under a policy at a moment."""

    policy: Policy
    now: datetime
    votes: Sequence[Vote]

    def fitting(self, needed: Requirement) -> frozenset[str]:
        """The distinct people whose approvals meet a requirement."""
        return frozenset(
            vote.record.approver for vote in self.votes if not self._misfit(needed, vote)
        )

    def lacking(self, needed: Requirement) -> int:
        return max(0, needed.approvals - len(self.fitting(needed)))

    def missing(self, requirements: Sequence[Requirement]) -> tuple[Requirement, ...]:
        """What is not met; of a quorum only the smallest sets of roles, which others follow."""
        found = [each for each in requirements if self.lacking(each)]
        return tuple(each for each in found if not any(_within(other, each) for other in found))

    def misfits(self, requirements: Sequence[Requirement]) -> tuple[str, ...]:
        """Say of each approval that meets nothing of what a rule asks why it does not."""
        rules: dict[str, list[Requirement]] = {}
        for needed in requirements:
            rules.setdefault(needed.rule, []).append(needed)
        texts: dict[str, None] = {}
        for rule, group in rules.items():
            for vote in self.votes:
                whys = [self._misfit(needed, vote) for needed in group]
                if all(whys):
                    # the last of a quorum's sets of roles is that of all of them
                    texts[f"{vote.record.approver}'s approval {whys[-1]} ({rule})"] = None
        return tuple(texts)

    def _misfit(self, needed: Requirement, vote: Vote) -> str:
        person = self.policy.person(vote.record.approver)
        if vote.assurance is None or LEVELS.index(vote.assurance) < LEVELS.index(needed.assurance):
            return f"has assurance {vote.assurance}, and {needed.assurance} is asked"
        if person is None:
            return "is by nobody of the policy"
        if needed.roles and not set(needed.roles) & set(person.roles):
            return f"is by nobody of role {' or '.join(needed.roles)}"
        if needed.owners and not any(_owns(each, person, vote) for each in needed.owners):
            return f"is by no code owner ({', '.join(needed.owners)})"
        term = needed.expires_after
        if term and self.now >= parse_time(vote.record.made_at) + parse_duration(term):
            return f"is older than {term}"
        return ""


def _owns(owner: str, person: Person, vote: Vote) -> bool:
    """Whether somebody is an owner; teams are known of reviews alone, where the forge told them."""
    seen = vote.record.review
    return code_owners.owns(
        owner,
        principal=person.principal,
        login=person.github.login if person.github else "",
        teams=tuple(seen.teams) if seen and vote.witness else (),
    )


def _within(smaller: Requirement, larger: Requirement) -> bool:
    """Whether both come from one rule's quorum, the first for a part of the second's roles."""
    roles = set(smaller.roles)
    return bool(roles) and smaller.rule == larger.rule and roles < set(larger.roles)
