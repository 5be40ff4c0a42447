from __future__ import annotations

from typing import Any

import pytest
from gate_cases import make_policy
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_cases import asking, denying, policy_of, rules, step, steps

from runner.core.plan import Step
from runner.core.rules import Requirement, Verdict, judge_change, judge_step, rulings

TESTS = {"name": "tests", "match": {"command": "make **"}, "approvals": 0}
NO_CURL = {"name": "no curl", "match": {"command": "curl **"}, "deny": "nothing is fetched"}
calm = settings(deadline=None)
PROTECTED = ".github/workflows/x.yml"
TWO = {"name": "two", "match": {}, "approvals": 2}


def rule(name: str, /, match: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"name": name, "match": match or {}, **(fields or {"approvals": 3})}


def run(command: str, **given_: Any) -> Step:
    return step("run_command", command=command, **given_)


def judged(step_: Step, *given_: dict[str, Any], **fields: Any) -> Verdict:
    return judge_step(make_policy(*given_, **fields).policy, step_)


def asked(verdict: Verdict) -> dict[str, int]:
    return {each.rule: each.approvals for each in verdict.requirements}


def told(step_: Step, *given_: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = rulings(make_policy(*given_).policy, step_)
    return [(each.about, each.rule, each.effect) for each in found]


class TestCommands:
    def test_a_command_that_surely_matches_gets_the_rules_terms(self) -> None:
        """A line of matching commands alone needs what the rule says, and no default."""
        assert asked(judged(run("make test && make lint"), TESTS)) == {"tests": 0}
        assert asked(judged(run("npm test"), TESTS)) == {"default run_command": 1}

    @pytest.mark.parametrize("line", ["make $x", "make > f", "npm x; make y", "(make)", "env make"])
    def test_in_doubt_a_rule_adds_what_it_asks(self, line: str) -> None:
        """A command that may match needs what the rule asks, and what would hold without it."""
        three = {**TESTS, "approvals": 3}
        assert asked(judged(run(line), three)) == {"tests": 3, "default run_command": 1}

    @pytest.mark.parametrize("line", ["curl x", "make; curl x", "env curl x", "$fetch x", "`x`"])
    def test_a_denial_holds_in_doubt(self, line: str) -> None:
        """What may be the forbidden command is denied, whatever allows the rest."""
        verdict = judged(run(line), TESTS, NO_CURL)
        assert verdict.denied == ("rule 'no curl': nothing is fetched",)

    @pytest.mark.parametrize(
        "given_", [{"env": {"A": "1"}}, {"working_dir": "sub"}, {"network": ["a.org"]}]
    )
    def test_another_room_makes_another_command_of_the_same_words(
        self, given_: dict[str, Any]
    ) -> None:
        """With variables, a folder or a network of its own a command only may match."""
        assert asked(judged(run("make x", **given_), TESTS)) == {
            "tests": 0,
            "default run_command": 1,
        }
        assert not judged(run("make x", **given_), NO_CURL).denied
        assert judged(run("curl x", **given_), NO_CURL).denied

    def test_a_variable_that_steers_the_shell_may_make_any_command_of_it(self) -> None:
        """`BASH_ENV` runs a file before the first word of the line."""
        assert judged(run("make x", env={"BASH_ENV": "x"}), NO_CURL).denied

    def test_a_rule_about_commands_says_nothing_about_what_they_change(self) -> None:
        """A free command still needs what the rules ask for its changes."""
        infra = rule("infra", {"path": "infra/**"})
        needed = judged(run("make x", writes=["infra/*", "out/**"]), TESTS, infra)
        assert asked(needed) == {"tests": 0, "infra": 3, "default edit_file": 1}

    def test_a_rule_about_commands_is_not_about_other_steps(self) -> None:
        """An edit has no command, so even a pattern of all commands does not match it."""
        every = {"name": "every", "match": {"command": "**"}, "deny": "no"}
        assert not judged(step("edit_file", path="a", new_content=""), every).denied
        assert not judged(step("analyze", instruction="x"), every).denied
        assert not judge_change(make_policy(every).policy, "a").denied


class TestRisks:
    def test_a_rule_about_a_risk_matches_the_steps_that_have_it(self) -> None:
        """A risk counts as it is, without doubts."""
        alone = rule("network", {"risk": "network"})
        assert asked(judged(run("x", network=["a.org"]), alone)) == {"network": 3}
        assert asked(judged(run("x"), alone)) == {"default run_command": 1}

    def test_a_risk_and_a_command_must_both_match(self) -> None:
        """All that a rule names must be there; the weakest part says how surely."""
        both = rule("both", {"risk": "environment", "command": "make **"})
        assert asked(judged(run("make"), both)) == {"default run_command": 1}
        assert asked(judged(run("npm", env={"A": "1"}), both)) == {"default run_command": 1}
        assert asked(judged(run("make", env={"A": "1"}), both)) == {
            "both": 3,
            "default run_command": 1,
        }

    @pytest.mark.parametrize(
        "risk,given_",
        [("delete", {"delete": True}), ("executable", {"new_content": "x", "mode": "0755"})],
    )
    def test_a_risk_of_an_edit_is_one_of_the_change(
        self, risk: str, given_: dict[str, Any]
    ) -> None:
        """A rule can ask more for deleting a file, or making a program of it."""
        risky = rule("risky", {"risk": risk, "path": "src/**"})
        assert asked(judged(step("edit_file", path="src/a", **given_), risky)) == {"risky": 3}
        plain = step("edit_file", path="src/a", new_content="x")
        assert asked(judged(plain, risky)) == {"default edit_file": 1}

    def test_a_protected_path_is_a_risk_of_every_change_of_it(self) -> None:
        """The risk is there in an edit, in what a command declares and in what it changed."""
        careful = rule("careful", {"risk": "protected_path"})
        named = rule("named", {"path": ".github/**"})
        policy = make_policy(careful, named).policy
        edited = step("edit_file", path=PROTECTED, new_content="x")
        assert asked(judge_step(policy, edited)) == {"careful": 3}
        assert judge_step(policy, edited).denied == ()
        assert asked(judge_step(policy, run("x", writes=[PROTECTED]))) == {"careful": 3}
        assert asked(judge_change(policy, PROTECTED)) == {"careful": 3}
        assert asked(judge_change(policy, "src/x")) == {"default edit_file": 1}

    def test_C09_only_a_rule_about_the_change_names_a_protected_path(self) -> None:
        """A rule that names it for reading, or where it is deleted, does not open it for edits."""
        edited = step("edit_file", path=PROTECTED, new_content="x")
        for match in ({"step_type": "read_file"}, {"risk": "delete"}):
            named = rule("named", {"path": ".github/**", **match}, approvals=0)
            (denied,) = judged(edited, named).denied
            assert denied == f"{PROTECTED} is protected: a rule must name it"

    def test_a_step_from_a_plugin_is_a_risk(self) -> None:
        """A rule can ask for more wherever a step type is not built in."""
        odd = rule("odd", {"risk": "plugin"})
        assert asked(judged(step("deploy", where="x"), odd)) == {"odd": 3}


class TestTerms:
    def test_a_rule_can_say_how_old_an_approval_may_be(self) -> None:
        """The term stands in the requirement, with all else that the rule asks."""
        verdict = judged(run("x"), rule("fresh", approvals=1, expires_after="4h"))
        assert verdict.requirements == (
            Requirement(approvals=1, rule="fresh", assurance="key", expires_after="4h"),
        )

    def test_a_quorum_is_asked_of_every_set_of_its_roles(self) -> None:
        """Each set of roles needs as many people as its places together."""
        verdict = judged(run("x"), rule("both", quorum={"maintainer": 2, "security": 1}))
        assert [(each.roles, each.approvals) for each in verdict.requirements] == [
            (("maintainer",), 2),
            (("security",), 1),
            (("maintainer", "security"), 3),
        ]

    def test_a_quorum_of_four_roles_is_asked_of_fifteen_sets(self) -> None:
        """The most roles that a quorum may have keep the requirements few."""
        verdict = judged(run("x"), rule("four", quorum=dict.fromkeys("abcd", 1)))
        assert len(verdict.requirements) == 15


class TestRulings:
    def test_what_each_rule_says_is_told_in_order(self) -> None:
        """Rules that may match add, the first that surely matches decides, the rest is too late."""
        first = rule("maybe", {"command": "make lint"}, approvals=1)
        assert told(run("make lint > f"), NO_CURL, first, TWO, TESTS) == [
            ("the command", "maybe", "adds"),
            ("the command", "two", "decides"),
            ("the command", "tests", "comes too late"),
        ]

    def test_a_denial_is_told_wherever_it_stands(self) -> None:
        """A rule that denies never comes too late."""
        assert told(run("curl x"), TWO, NO_CURL) == [
            ("the command", "two", "decides"),
            ("the command", "no curl", "denies"),
        ]

    def test_how_surely_a_rule_matches_is_told(self) -> None:
        """A rule that only may match, a denial too, is told as such."""
        found = rulings(make_policy(NO_CURL, TESTS, TWO).policy, run("make $x"))
        assert [(each.rule, each.sure) for each in found] == [("tests", False), ("two", True)]
        for line, sure in (("curl x", True), ("curl $x", False)):
            assert rulings(make_policy(NO_CURL).policy, run(line))[0].sure is sure
        assert rulings(make_policy().policy, run("x"))[0].sure

    def test_each_subject_is_told_apart(self) -> None:
        """A command and each of its globs, an edit, a reading and any other step."""
        assert told(run("x", writes=["a/*", "b"])) == [
            ("the command", "default run_command", "decides"),
            ("changing a/*", "default edit_file", "decides"),
            ("changing b", "default edit_file", "decides"),
        ]
        assert told(step("read_file", path="a"), TWO) == [("reading a", "two", "decides")]
        assert told(step("analyze", instruction="x"), TWO) == [("the step", "two", "decides")]

    def test_a_denial_that_no_rule_asks_for_is_planlocks(self) -> None:
        """What is always denied is told as such, with the reason."""
        (found,) = rulings(make_policy(TWO).policy, run("x", writes=["plans/x"]))[1:]
        assert (found.rule, found.effect) == ("planlock", "denies")
        assert "may touch plans/" in found.denied
        edited = step("edit_file", path=".gitmodules", new_content="x")
        assert [each[1:] for each in told(edited, TWO)] == [
            ("two", "decides"),
            ("planlock", "denies"),
        ]

    def test_what_a_path_hides_is_shown(self) -> None:
        """A path that turns text around is told with what it holds."""
        ((about, *_),) = told(step("read_file", path="a\u202eb"))
        assert about == "reading a\\u202eb"


def kept(verdict: Verdict) -> set[Requirement]:
    """What rules ask for, without the defaults that hold where none decides."""
    return {each for each in verdict.requirements if not each.rule.startswith("default ")}


class TestProperties:
    @calm
    @given(rules, steps)
    def test_every_step_gets_an_answer(self, given_: list[dict[str, Any]], step_: Step) -> None:
        """Whatever the policy and the step, something decides about each subject, or denies it."""
        policy = policy_of(given_)
        found = rulings(policy, step_)
        about = {each.about for each in found}
        assert about
        for subject in about:
            effects = [each.effect for each in found if each.about == subject]
            assert "decides" in effects or "denies" in effects
        verdict = judge_step(policy, step_)
        assert verdict.denied or verdict.requirements

    @calm
    @given(rules, denying(), steps, st.integers(0, 5))
    def test_one_more_denial_never_allows_more(
        self, given_: list[dict[str, Any]], deny: dict[str, Any], step_: Step, at: int
    ) -> None:
        """A rule that denies, put anywhere, lets no denied step pass and lowers no requirement."""
        before = judge_step(policy_of(given_), step_)
        after = judge_step(policy_of([*given_[:at], deny, *given_[at:]]), step_)
        assert bool(after.denied) >= bool(before.denied)
        assert set(after.requirements) >= set(before.requirements)

    @calm
    @given(rules, asking(), steps)
    def test_a_rule_put_behind_never_lowers_what_rules_ask(
        self, given_: list[dict[str, Any]], last: dict[str, Any], step_: Step
    ) -> None:
        """What earlier rules ask stays asked: a later rule only takes the place of defaults."""
        before = judge_step(policy_of(given_), step_)
        after = judge_step(policy_of([*given_, last]), step_)
        assert kept(after) >= kept(before)

    @calm
    @given(rules, steps, st.integers(0, 9))
    def test_a_rule_for_everything_decides_about_all_that_follow(
        self, given_: list[dict[str, Any]], step_: Step, count: int
    ) -> None:
        """Behind a rule that matches everything only denials matter."""
        first = rule("first", {}, approvals=count)
        verdict = judge_step(policy_of([first, *given_]), step_)
        assert asked(verdict) in ({"first": count}, {})
