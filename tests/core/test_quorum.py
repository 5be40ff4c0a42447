from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import pytest
from gate_cases import HOUR, NOW, address, make_policy, vote
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.approval import Vote
from runner.core.quorum import Quorum
from runner.core.rules import Requirement, judge_change
from runner.core.values import time_text

ROLES = ("maintainer", "security", "owner")
NAMES = ("ada", "bob", "cleo", "dan", "eve")
ONE = Requirement(approvals=1, assurance="key", rule="r")


def quorum(
    people: Mapping[str, Sequence[str]], votes: Sequence[Vote], *rules: dict[str, Any]
) -> Quorum:
    listed = [{"principal": address(who), "roles": list(roles)} for who, roles in people.items()]
    return Quorum(policy=make_policy(*rules, people=listed).policy, now=NOW, votes=votes)


def missing(
    places: Mapping[str, int], people: Mapping[str, Sequence[str]], voters: Sequence[str]
) -> list[tuple[tuple[str, ...], int]]:
    """What a quorum lacks: roles, and how many of them are left to find."""
    rule = {"name": "r", "match": {}, "quorum": dict(places)}
    held = quorum(people, [vote(who) for who in voters], rule)
    needed = judge_change(held.policy, "a").requirements
    return [(each.roles, held.lacking(each)) for each in held.missing(needed)]


def can_seat(
    places: Mapping[str, int], people: Mapping[str, Sequence[str]], voters: Sequence[str]
) -> bool:
    """Try every way to give each place to another voter who has its role."""
    seats = [role for role, count in places.items() for _ in range(count)]
    return any(
        all(role in people[who] for role, who in zip(seats, order, strict=True))
        for order in permutations(sorted(set(voters)), len(seats))
    )


roles = st.lists(st.sampled_from(ROLES), max_size=3, unique=True)
teams = st.fixed_dictionaries(dict.fromkeys(NAMES, roles))
places = st.dictionaries(st.sampled_from(ROLES), st.integers(1, 2), min_size=1)


class TestRoles:
    @settings(deadline=None, max_examples=300)
    @given(places, teams, st.lists(st.sampled_from(NAMES), max_size=5))
    def test_a_quorum_is_met_exactly_where_everybody_can_have_a_place_of_their_own(
        self, places_: dict[str, int], people: dict[str, list[str]], voters: list[str]
    ) -> None:
        """Whoever has which roles, nothing is missing if and only if some seating fills them."""
        assert (not missing(places_, people, voters)) is can_seat(places_, people, voters)

    def test_nobody_counts_for_two_roles(self) -> None:
        """One person with both roles fills one place, whichever is needed."""
        both = {"ada": ["maintainer", "security"], "bob": ["maintainer"], "cleo": ["security"]}
        needed = {"maintainer": 1, "security": 1}
        assert missing(needed, both, ["ada"]) == [(("maintainer", "security"), 1)]
        assert missing(needed, both, ["ada", "bob"]) == []
        assert missing(needed, both, ["ada", "cleo"]) == []
        assert missing(needed, both, ["bob"]) == [(("security",), 1)]

    def test_only_the_smallest_sets_of_roles_are_told(self) -> None:
        """What follows from a missing role is not told a second time."""
        people = {"ada": ["maintainer"], "bob": ["owner"]}
        needed = {"maintainer": 1, "security": 2}
        assert missing(needed, people, []) == [(("maintainer",), 1), (("security",), 2)]
        assert missing(needed, people, ["ada"]) == [(("security",), 2)]

    def test_sets_of_roles_of_other_rules_are_told(self) -> None:
        """Two rules that ask for the same roles are two requirements."""
        wide = Requirement(approvals=2, roles=("a", "b"), assurance="key", rule="wide")
        narrow = Requirement(approvals=1, roles=("a",), assurance="key", rule="narrow")
        assert quorum({"ada": []}, []).missing([wide, narrow]) == (wide, narrow)

    def test_two_votes_of_one_person_are_one(self) -> None:
        """A person has one place, however many approvals."""
        people = {"ada": ["maintainer"], "bob": ["maintainer"]}
        assert missing({"maintainer": 2}, people, ["ada", "ada"]) == [(("maintainer",), 1)]


class TestFitting:
    @pytest.mark.parametrize("age,fits", [(0, True), (3, True), (4, False), (5, False)], ids=str)
    def test_an_approval_may_be_too_old_for_a_rule(self, age: int, fits: bool) -> None:  # noqa: FBT001  # pytest passes by name
        """At the very end of the term it no longer counts, and the answer says why."""
        given_ = vote("bob", made_at=time_text(NOW - age * HOUR))
        held = quorum({"bob": []}, [given_])
        needed = Requirement(approvals=1, assurance="key", rule="fresh", expires_after="4h")
        assert (held.lacking(needed) == 0) is fits
        old = f"{address('bob')}'s approval is older than 4h (fresh)"
        assert held.misfits([needed]) == (() if fits else (old,))
        assert held.lacking(ONE) == 0

    def test_a_weaker_proof_and_another_role_are_told(self) -> None:
        """Each approval that does not fit is named with what it lacks."""
        weak, other = vote("bob", assurance="forge"), vote("cleo")
        held = quorum({"bob": ["owner"], "cleo": []}, [weak, other, weak])
        needed = Requirement(approvals=1, roles=("owner", "security"), assurance="key", rule="r")
        assert held.fitting(needed) == frozenset()
        assert held.misfits([needed]) == (
            f"{address('bob')}'s approval has assurance forge, and key is asked (r)",
            f"{address('cleo')}'s approval is by nobody of role owner or security (r)",
        )

    def test_a_person_who_is_no_longer_listed_fits_nothing(self) -> None:
        """Even where no role is asked for, the policy must know the person."""
        held = quorum({"ada": []}, [vote("bob")])
        assert held.lacking(ONE) == 1
        assert held.misfits([ONE]) == (
            f"{address('bob')}'s approval is by nobody of the policy (r)",
        )

    def test_nothing_is_lacking_where_nothing_is_asked(self) -> None:
        """A rule that asks for nobody is met by nobody."""
        assert quorum({"ada": []}, []).missing([Requirement(approvals=0)]) == ()
