from __future__ import annotations

from typing import Any

import pytest
from gate_cases import address, make_policy
from hypothesis import given, settings
from rule_cases import places

from runner.core.demands import Candidates, Demand, Keys, candidates, demands, summary
from runner.core.policy import Policy
from runner.core.rules import Requirement, Verdict, judge_change

ALL_KEYS: Keys = {address(who): "key" for who in ("ada", "bob", "cleo", "dan")}
PEOPLE = [
    {"principal": address("ada"), "roles": ["maintainer", "security"]},
    {"principal": address("bob"), "roles": ["maintainer"]},
    {"principal": address("cleo"), "roles": ["owner"]},
]


def policy(*rules: dict[str, Any], **fields: Any) -> Policy:
    return make_policy(*rules, **{"people": PEOPLE, **fields}).policy


def rule(name: str = "r", **fields: Any) -> dict[str, Any]:
    return {"name": name, "match": {}, **fields}


def demanded(**fields: Any) -> Demand:
    (found,) = demands(judge_change(policy(rule(**fields)), "a").requirements)
    return found


def could(barred: tuple[str, ...] = (), keys: Keys | None = None, **fields: Any) -> Candidates:
    known = ALL_KEYS if keys is None else keys
    out = [address(who) for who in barred]
    return candidates(demanded(**fields), policy().people, barred=out, keys=known)


class TestTexts:
    @pytest.mark.parametrize(
        "fields,text",
        [
            ({"approvals": 0}, "no approval"),
            ({"approvals": 1}, "1 approval by a person"),
            ({"approvals": 2, "roles": ["maintainer"]}, "2 approvals by a maintainer"),
            ({"approvals": 1, "roles": ["owner", "lead"]}, "1 approval by an owner or lead"),
            ({"quorum": {"maintainer": 2}}, "2 approvals by a maintainer"),
            (
                {"quorum": {"maintainer": 1, "owner": 2, "security": 1}},
                "1 approval by a maintainer and 2 by an owner and 1 by a security",
            ),
        ],
    )
    def test_a_rule_is_told_by_its_places(self, fields: dict[str, Any], text: str) -> None:
        """A quorum is told as it is written, not by the sets of roles that decide it."""
        assert demanded(**fields).text == text

    @settings(deadline=None)
    @given(places)
    def test_every_quorum_is_told_place_by_place(self, quorum: dict[str, int]) -> None:
        """Whatever the places, each is told once."""
        found = demanded(quorum=quorum).places
        assert {each.roles: each.approvals for each in found} == {
            (role,): count for role, count in quorum.items()
        }

    def test_what_several_rules_ask_is_told_once(self) -> None:
        """One approval meets two rules that ask for the same, so it is no sum."""
        first = rule("first", approvals=1)
        maybe = rule("maybe", approvals=1) | {"match": {"path": "A"}}
        assert summary(judge_change(policy(maybe, first), "a")) == (
            "1 approval by a person (maybe, first)"
        )

    def test_different_demands_stand_side_by_side(self) -> None:
        """Each is told with its rule; a free one is left out."""
        maybe = rule("maybe", approvals=2, roles=["owner"]) | {"match": {"path": "A"}}
        free = rule("free", approvals=0) | {"match": {"path": "A"}}
        assert summary(judge_change(policy(maybe, free), "a")) == (
            "2 approvals by an owner (maybe); 1 approval by a person (default edit_file)"
        )
        assert summary(judge_change(policy(rule(approvals=0)), "a")) == "no approval"
        assert summary(Verdict(denied=("a\u202eb", "c"))) == "denied: a\\u202eb; c"


def test_rules_of_one_name_are_added_up() -> None:
    """Where two rules share a name, what each asks is told, and whoever fits either is named."""
    both = [
        Requirement(approvals=1, roles=("owner",), assurance="key", rule="r"),
        Requirement(approvals=1, roles=("owner", "lead"), assurance="key", rule="r"),
        Requirement(approvals=1, assurance="key", rule="r"),
    ]
    (found,) = demands(both)
    assert found.text == "1 approval by an owner and 1 by an owner or lead and 1 by a person"
    assert len(candidates(found, policy().people, keys=ALL_KEYS).people) == 3


class TestCandidates:
    def test_people_without_the_role_are_left_out(self) -> None:
        """Who fills no place is not named."""
        found = could(approvals=1, roles=["maintainer"])
        assert found == Candidates(people=(address("ada"), address("bob")), short="")
        assert could(approvals=1).people == tuple(map(address, ("ada", "bob", "cleo")))

    def test_people_who_may_not_approve_are_left_out(self) -> None:
        """What remains may be too few, which is told."""
        found = could(("ada",), approvals=2, roles=["maintainer"])
        assert found.people == (address("bob"),)
        assert found.short == "asks for 2 people of role maintainer, and only 1 could approve"
        assert could(("ada", "bob"), approvals=2).short == (
            "asks for 2 people, and only 1 could approve"
        )

    def test_one_person_is_not_two(self) -> None:
        """A quorum that only one person with two roles could meet cannot be met."""
        assert could(("bob",), quorum={"maintainer": 1, "security": 1}).short == (
            "asks for 2 people of role maintainer or security, and only 1 could approve"
        )
        assert could(quorum={"maintainer": 1, "security": 1}).short == ""

    def test_a_key_that_is_asked_for_must_be_there(self) -> None:
        """Without a key of that assurance nobody can approve; what is weaker needs none."""
        keys: Keys = {address("bob"): "key", address("cleo"): "hardware"}
        assert could(keys=keys, approvals=1, assurance="key").people == (
            address("bob"),
            address("cleo"),
        )
        assert could(keys=keys, approvals=1, assurance="hardware").people == (address("cleo"),)
        assert len(could(keys={}, approvals=1, assurance="forge").people) == 3
