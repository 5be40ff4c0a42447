from __future__ import annotations

from typing import Any

import pytest
from gate_cases import PEOPLE, address, make_policy
from hypothesis import given, settings
from rule_cases import matches, steps

from runner.core.demands import Keys
from runner.core.plan import Step
from runner.core.policy import Match
from runner.core.policy_warnings import covers, warnings
from runner.core.rules import rulings

KEYS: Keys = {address(who): "key" for who in PEOPLE}
SAFE = {"plans_signed": True}
EXAMPLES = {"match": ["make"]}


def found(*rules: dict[str, Any], keys: Any = None, **fields: Any) -> list[tuple[str, str]]:
    """Kind and rule of each warning of an otherwise careful policy."""
    policy = make_policy(*rules, **{**SAFE, **fields}).policy
    return [(each.kind, each.rule) for each in warnings(policy, KEYS if keys is None else keys)]


def message(*rules: dict[str, Any], keys: Any = None, **fields: Any) -> str:
    policy = make_policy(*rules, **{**SAFE, **fields}).policy
    (told,) = warnings(policy, KEYS if keys is None else keys)
    assert told.fix
    return told.message


def rule(name: str, /, match: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"name": name, "match": match or {}, **(fields or {"approvals": 1})}


class TestRules:
    def test_a_careful_policy_has_no_warnings(self) -> None:
        """Signed plans, confined commands, keys for everybody, and rules that can decide."""
        tested = rule("tests", {"command": "make **"}, approvals=0, examples=EXAMPLES)
        assert found(tested, rule("rest")) == []

    def test_a_rule_behind_one_that_matches_all_it_does_is_told(self) -> None:
        """The name of the earlier rule says where to look."""
        said = message(rule("all"), rule("late", {"path": "docs/**"}))
        assert said == "never decides: rule 'all' matches all that it does"
        assert found(rule("late", {"path": "docs/**"}), rule("all")) == []

    def test_a_rule_whose_steps_are_all_denied_is_told(self) -> None:
        """A denial does so wherever it stands; a denial behind another rule is not dead."""
        never = rule("never", {"path": "docs/**"}, deny="no")
        docs = rule("docs", {"path": "docs/*.md"})
        for order in ((never, docs), (docs, never)):
            assert message(*order) == "rule 'never' denies all that it decides"
        assert found(rule("all"), never) == []
        assert found(never, {**never, "name": "again"}) == []

    def test_roles_and_people_that_are_not_there_are_told(self) -> None:
        """A rule that nobody can meet stops every plan that it is about."""
        assert message(rule("r", approvals=1, roles=["nobody", "maintainer"])) == (
            "nobody has role nobody"
        )
        assert found(rule("r", quorum={"nobody": 1, "maintainer": 9})) == [("role_of_nobody", "r")]
        assert message(rule("r", approvals=5)) == "asks for 5 people, and only 4 could approve"
        assert message(rule("r", quorum={"maintainer": 4})) == (
            "asks for 4 people of role maintainer, and only 3 could approve"
        )
        assert (
            found(rule("r", {"path": "a"}, quorum={"maintainer": 3}), rule("s", approvals=4)) == []
        )
        assert found(defaults={"run_command": 4}) == []
        assert message(defaults={"run_command": 5}) == (
            "the default for run_command asks for 5 people, and only 4 could approve"
        )

    def test_a_pattern_of_commands_without_examples_is_told(self) -> None:
        """Patterns of commands are easily wrong, and examples are checked."""
        bare = rule("make", {"command": "make **"})
        assert found(bare) == [("no_examples", "make")]
        assert found({**bare, "examples": {"no_match": ["make $x"]}}) == []
        assert found(rule("docs", {"path": "docs/**"})) == []

    def test_names_that_hide_something_are_shown(self) -> None:
        """What a rule's name hides does not reach the reader's terminal."""
        assert found(rule("a\u202eb", approvals=5)) == [("too_few_people", "a\\u202eb")]


class TestPeopleAndSettings:
    def test_hardware_that_nobody_has_is_told(self) -> None:
        """The rule that asks for it, or the policy."""
        hard = rule("hard", approvals=1, assurance="hardware")
        assert message(hard) == (
            "asks for 1 person, and nobody could approve with a key of type sk-*"
        )
        assert found(assurance="hardware") == [("no_hardware_key", "")]
        one = {**KEYS, address("bob"): "hardware"}
        assert found(hard, keys=one, assurance="hardware") == []
        assert found({**hard, "approvals": 2}, keys=one) == [("no_hardware_key", "hard")]
        assert found({**hard, "approvals": 0}) == []
        assert {kind for kind, _ in found(rule("soft"), keys={})} == {"person_without_key"}

    def test_people_without_a_key_are_told(self) -> None:
        """Somebody who cannot sign cannot approve."""
        keys = {name: level for name, level in KEYS.items() if name != address("dan")}
        assert message(keys=keys) == (
            "dan@example.com has no key in allowed_signers that can approve now"
        )

    @pytest.mark.parametrize(
        "fields,kind",
        [
            ({"self_approval": True}, "self_approval"),
            ({"plans_signed": False}, "unsigned_plans"),
            ({"sandbox": {"require": "none"}}, "unconfined"),
        ],
    )
    def test_settings_that_weaken_are_told(self, fields: dict[str, Any], kind: str) -> None:
        """They are allowed, and should be known."""
        assert found(**fields) == [(kind, "")]


class TestCovers:
    @pytest.mark.parametrize(
        "wide,narrow",
        [
            ({}, {"step_type": "deploy"}),
            ({}, {"command": "make", "risk": "network"}),
            ({"path": "docs/**"}, {"path": "docs/a/*.md", "step_type": "edit_file"}),
            ({"step_type": "edit_file"}, {"path": "docs/**"}),
            ({"step_type": "edit_file"}, {"path": "docs/**", "step_type": "run_command"}),
            ({"step_type": "run_command"}, {"command": "make"}),
            ({"step_type": "read_file"}, {"step_type": "read_file", "path": "a"}),
            ({"command": "make **"}, {"command": "make test"}),
            ({"command": "make **"}, {"command": "make test **"}),
            ({"command": "make * **"}, {"command": "make test **"}),
            ({"command": "make t* **"}, {"command": "make test **"}),
            ({"command": "**"}, {"command": "make * x"}),
            ({"command": "make * x"}, {"command": "make * x"}),
            ({"risk": "delete"}, {"risk": "delete", "path": "docs/**"}),
        ],
    )
    def test_a_match_that_covers(self, wide: dict[str, Any], narrow: dict[str, Any]) -> None:
        """Whatever the second surely matches, the first does too."""
        assert covers(Match(**wide), Match(**narrow))

    @pytest.mark.parametrize(
        "wide,narrow",
        [
            ({"path": "docs/**"}, {}),
            ({"path": "docs/*"}, {"path": "docs/**"}),
            ({"path": "docs/**"}, {"path": "docs/**", "step_type": "read_file"}),
            ({"path": "**", "step_type": "run_command"}, {"path": "docs/**"}),
            ({"step_type": "run_command"}, {"path": "docs/**", "step_type": "run_command"}),
            ({"command": "make"}, {"step_type": "run_command"}),
            ({"command": "make test"}, {"command": "make **"}),
            ({"command": "make * **"}, {"command": "make **"}),
            ({"command": "make t* **"}, {"command": "make * **"}),
            ({"command": "* test"}, {"command": "make *"}),
            ({"command": "make **"}, {"command": "** test"}),
            ({"command": "make t* **"}, {"command": "make lint **"}),
            ({"command": "* test **"}, {"command": "mak*"}),
            ({"risk": "delete"}, {"risk": "network"}),
            ({"risk": "delete"}, {"path": "docs/**"}),
        ],
    )
    def test_a_match_that_does_not_cover(
        self, wide: dict[str, Any], narrow: dict[str, Any]
    ) -> None:
        """In doubt nothing is said of the later rule."""
        assert not covers(Match(**wide), Match(**narrow))

    @settings(deadline=None, max_examples=300)
    @given(matches(), matches(), steps)
    def test_a_covered_rule_never_decides(
        self, wide: dict[str, Any], narrow: dict[str, Any], step_: Step
    ) -> None:
        """Behind a rule that covers it, a rule decides about nothing in any step."""
        if not covers(Match(**wide), Match(**narrow)):
            return
        policy = make_policy(rule("first", wide), rule("second", narrow)).policy
        effects = [each.effect for each in rulings(policy, step_) if each.rule == "second"]
        assert "decides" not in effects
