"""What rules ask, as a person reads it: how many people of which roles, and who they could be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from runner.core.policy import LEVELS, Assurance, Person
from runner.core.rules import Requirement, Verdict
from runner.core.text import visible

NONE = "no approval"
Keys = Mapping[str, Assurance]


@dataclass(frozen=True, kw_only=True)
class Place:
    """So many people, each of one of these roles, or code owners; of any where there are none."""

    approvals: int
    roles: tuple[str, ...]
    owners: tuple[str, ...] = ()

    @property
    def who(self) -> str:
        if self.owners:
            return f"one of {', '.join(self.owners)}"
        kind = " or ".join(self.roles) or "person"
        return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What one rule asks: nobody takes two of its places."""

    rule: str
    places: tuple[Place, ...]
    assurance: Assurance
    expires_after: str
    requirements: tuple[Requirement, ...]

    @property
    def text(self) -> str:
        """How many must approve, and who they must be."""
        found = [each for each in self.places if each.approvals]
        if not found:
            return NONE
        first, *others = found
        plural = "s" if first.approvals > 1 else ""
        parts = [f"{first.approvals} approval{plural} by {first.who}"]
        return " and ".join([*parts, *(f"{each.approvals} by {each.who}" for each in others)])

    @property
    def asks(self) -> bool:
        """Whether anybody is needed at all."""
        return any(each.approvals for each in self.places)


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """People who could meet a demand; `short` says what they are too few for."""

    people: tuple[str, ...]
    short: str


def demands(requirements: Iterable[Requirement]) -> tuple[Demand, ...]:
    """Put together what one rule asks, a quorum by its places and not by sets of its roles."""
    groups: dict[tuple[str, Assurance, str], list[Requirement]] = {}
    for each in dict.fromkeys(requirements):
        groups.setdefault((each.rule, each.assurance, each.expires_after), []).append(each)
    return tuple(_demand(group) for group in groups.values())


def _demand(group: Sequence[Requirement]) -> Demand:
    single = {each.roles[0]: each.approvals for each in group if len(each.roles) == 1}
    return Demand(
        rule=group[0].rule,
        places=tuple(
            Place(approvals=each.approvals, roles=each.roles, owners=each.owners)
            for each in group
            if not _follows(each, single)
        ),
        assurance=group[0].assurance,
        expires_after=group[0].expires_after,
        requirements=tuple(group),
    )


def _follows(needed: Requirement, single: Mapping[str, int]) -> bool:
    """Whether it says no more than that the places of its roles are for different people."""
    several = len(needed.roles) > 1 and all(role in single for role in needed.roles)
    return several and needed.approvals == sum(single[role] for role in needed.roles)


def summary(verdict: Verdict) -> str:
    """Say in one line what the rules ask of a step; one approval counts for each that it fits."""
    if verdict.denied:
        return "denied: " + visible("; ".join(verdict.denied))
    rules: dict[str, list[str]] = {}
    for each in demands(verdict.requirements):
        if each.asks:
            rules.setdefault(each.text, []).append(visible(each.rule))
    return "; ".join(f"{text} ({', '.join(by)})" for text, by in rules.items()) or NONE


def candidates(
    demand: Demand, people: Sequence[Person], *, barred: Iterable[str] = (), keys: Keys
) -> Candidates:
    """Who of the people could approve, by role and by the keys that `keys` gives them."""
    out = set(barred)
    able = [
        each
        for each in people
        if each.principal not in out and _has_key(each, demand.assurance, keys)
    ]
    wanted = {role for place in demand.places for role in place.roles}
    anyone = any(place.approvals and not place.roles for place in demand.places)
    fitting = [each for each in able if anyone or wanted & set(each.roles)]
    return Candidates(
        people=tuple(visible(each.principal) for each in fitting), short=_short(demand, fitting)
    )


def _has_key(person: Person, assurance: Assurance, keys: Keys) -> bool:
    """What is weaker than a key is vouched for by a machine's."""
    if LEVELS.index(assurance) < LEVELS.index("key"):
        return True
    best = keys.get(person.principal)
    return best is not None and LEVELS.index(best) >= LEVELS.index(assurance)


def _short(demand: Demand, people: Sequence[Person]) -> str:
    for needed in demand.requirements:
        found = [each for each in people if not needed.roles or set(needed.roles) & set(each.roles)]
        if len(found) < needed.approvals:
            kind = "person" if needed.approvals == 1 else "people"
            kind += f" of role {' or '.join(needed.roles)}" if needed.roles else ""
            left = f"only {len(found)}" if found else "nobody"
            return f"asks for {needed.approvals} {kind}, and {left} could approve"
    return ""
