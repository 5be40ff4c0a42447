"""Which warnings are just due, which just not, and what each of them holds."""

from __future__ import annotations

from typing import Any

import pytest
from gate_cases import PEOPLE, address, make_policy

from runner.core.demands import Keys
from runner.core.policy import Match
from runner.core.policy_warnings import Caution, covers, warnings

KEYS: Keys = {address(who): "key" for who in PEOPLE}
ALL = {"name": "all", "match": {}, "approvals": 1}
MAKE = {"name": "make", "match": {"command": "make **"}, "approvals": 1}

CASES: dict[str, dict[str, Any]] = {
    "dead_rule": {"rules": [ALL, {**ALL, "name": "late"}], "about": "late"},
    "role_of_nobody": {"rules": [{**ALL, "roles": ["none"]}], "about": "all"},
    "too_few_people": {"rules": [{**ALL, "approvals": 9}], "about": "all"},
    "no_examples": {"rules": [MAKE], "about": "make"},
    "no_hardware_key": {"rules": [{**ALL, "assurance": "hardware"}], "about": "all"},
    "self_approval": {"self_approval": True},
    "unsigned_plans": {"plans_signed": False},
    "unconfined": {"sandbox": {"require": "none"}},
}


def told(*rules: dict[str, Any], keys: Keys = KEYS, **fields: Any) -> list[Caution]:
    policy = make_policy(*rules, **{"plans_signed": True, **fields}).policy
    return list(warnings(policy, keys))


class TestEachWarning:
    @pytest.mark.parametrize("kind", CASES)
    def test_a_warning_says_what_it_is_about_and_what_would_mend_it(self, kind: str) -> None:
        """Kind, rule, message and fix are all there, and nothing else is warned of."""
        fields = dict(CASES[kind])
        rules, about = fields.pop("rules", []), fields.pop("about", "")
        (found,) = told(*rules, **fields)
        assert (found.kind, found.rule) == (kind, about)
        assert found.message
        assert found.fix

    @pytest.mark.parametrize(
        "fields,kind",
        [
            ({"defaults": {"edit_file": 5}}, "too_few_people"),
            ({"assurance": "hardware"}, "no_hardware_key"),
            ({"keys": {key: "key" for key in KEYS if key != address("dan")}}, "person_without_key"),
        ],
    )
    def test_a_warning_about_the_whole_policy_names_no_rule(
        self, fields: dict[str, Any], kind: str
    ) -> None:
        """What no rule says is told without one."""
        (found,) = told(**fields)
        assert (found.kind, found.rule) == (kind, "")
        assert found.message
        assert found.fix


class TestBounds:
    @pytest.mark.parametrize("count,expected", [(3, []), (4, []), (5, ["too_few_people"])])
    def test_a_default_may_ask_for_as_many_as_there_are(
        self, count: int, expected: list[str]
    ) -> None:
        """Four people are enough for a default of four."""
        assert [each.kind for each in told(defaults={"edit_file": count})] == expected

    def test_missing_keys_of_any_kind_are_no_missing_hardware(self) -> None:
        """Only a rule that asks for hardware misses keys of hardware."""
        assert {each.kind for each in told(ALL, keys={})} == {"person_without_key"}

    @pytest.mark.parametrize(
        "wide,narrow,expected",
        [
            ("make * **", "make t*", True),
            ("make * **", "make t* x", True),
            ("make a* b **", "make a*", False),
            ("make t?x **", "make t*x **", False),
            ("make a **", "make b *", False),
            ("make a **", "make a *", True),
        ],
    )
    def test_a_pattern_of_commands_covers_what_it_surely_matches(
        self,
        wide: str,
        narrow: str,
        expected: bool,  # noqa: FBT001  # pytest passes by name
    ) -> None:
        """Word by word, and with no fewer words than it names."""
        assert covers(Match(command=wide), Match(command=narrow)) is expected
