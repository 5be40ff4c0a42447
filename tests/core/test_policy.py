from __future__ import annotations

from typing import Any, ClassVar

import pytest
from gate_cases import PEOPLE, address, make_policy
from hypothesis import given
from hypothesis import strategies as st

from runner.core import policy_checks
from runner.core.errors import InvalidDocument
from runner.core.plan import Step
from runner.core.rules import Verdict, judge_change, judge_step

DOCS = {"name": "docs", "match": {"step_type": "edit_file", "path": "docs/**"}, "approvals": 0}
INFRA = {"name": "infra", "match": {"path": "infra/**"}, "approvals": 2, "roles": ["maintainer"]}
WORKFLOWS = {"name": "ci", "match": {"path": ".github/**"}, "deny": "by hand"}


def step(step_type: str, **given_: Any) -> Step:
    return Step(id="s", step_type=step_type, description="d", input=given_)


def edit(path: str, *rules: dict[str, Any], **fields: Any) -> Verdict:
    changed = step("edit_file", path=path, new_content="")
    return judge_step(make_policy(*rules, **fields).policy, changed)


def command(*writes: str, rules: tuple[dict[str, Any], ...] = (), **fields: Any) -> Verdict:
    run = step("run_command", command="x", writes=list(writes))
    return judge_step(make_policy(*rules, **fields).policy, run)


def asked(verdict: Verdict) -> dict[str, int]:
    return {each.rule: each.approvals for each in verdict.requirements}


def refused(value: dict[str, Any]) -> set[tuple[str, str]]:
    with pytest.raises(InvalidDocument) as caught:
        make_policy(**value)
    return {(each.code, each.path) for each in caught.value.problems}


class TestRules:
    def test_the_first_matching_rule_wins(self) -> None:
        """A later rule that also matches asks for nothing more."""
        both = [DOCS, {"name": "all", "match": {"path": "**"}, "approvals": 3}]
        assert asked(edit("docs/a.md", *both)) == {"docs": 0}
        assert asked(edit("src/a.py", *both)) == {"all": 3}

    def test_a_deny_anywhere_wins(self) -> None:
        """A deny counts even behind a rule that matched before."""
        free = {"name": "free", "match": {}, "approvals": 0}
        verdict = edit(".github/x.yml", free, WORKFLOWS)
        assert verdict.denied == ("rule 'ci': by hand",)

    @pytest.mark.parametrize(
        "step_type,expected", [("read_file", 0), ("edit_file", 1), ("run_command", 1), ("odd", 1)]
    )
    def test_without_a_rule_the_default_of_the_type_holds(
        self, step_type: str, expected: int
    ) -> None:
        """No match means the type's default, and an unknown type needs one approval."""
        verdict = judge_step(make_policy().policy, step(step_type))
        assert asked(verdict) == {f"default {step_type}": expected}

    def test_the_policy_can_set_defaults(self) -> None:
        """A default in the policy goes before the built-in one."""
        assert asked(edit("a", defaults={"edit_file": 4})) == {"default edit_file": 4}

    def test_a_requirement_carries_the_rules_terms(self) -> None:
        """Roles and assurance come from the rule, the assurance else from the policy."""
        (needed,) = edit("infra/a.tf", INFRA).requirements
        assert (needed.roles, needed.assurance) == (("maintainer",), "key")
        hard = {**INFRA, "assurance": "hardware"}
        assert edit("infra/a.tf", hard).requirements[0].assurance == "hardware"

    def test_a_rule_by_type_matches_any_path(self) -> None:
        """A rule that names only a type holds for all its steps and for no other type."""
        rule = {"name": "cmd", "match": {"step_type": "run_command"}, "approvals": 2}
        assert asked(command(rules=(rule,))) == {"cmd": 2}
        assert asked(edit("a", rule)) == {"default edit_file": 1}

    def test_a_path_without_a_type_means_changes(self) -> None:
        """Reading a path is not covered by a rule about changing it, unless the rule says so."""
        read = step("read_file", path="infra/a.tf")
        assert asked(judge_step(make_policy(INFRA).policy, read)) == {"default read_file": 0}
        secret = {"name": "s", "match": {"step_type": "read_file", "path": "**"}, "deny": "no"}
        assert judge_step(make_policy(secret).policy, read).denied

    def test_case_is_no_way_around_a_rule(self) -> None:
        """A path that equals a rule's only where case is ignored gets the rule's terms as well."""
        assert asked(edit("INFRA/a.tf", INFRA)) == {"infra": 2, "default edit_file": 1}
        assert edit(".GitHub/x", WORKFLOWS).denied


class TestCommands:
    def test_a_command_that_writes_nothing_is_judged_by_type(self) -> None:
        """Without `writes` only the rules of its type hold."""
        assert asked(command()) == {"default run_command": 1}

    def test_A33_each_declared_glob_is_judged_as_a_change(self) -> None:
        """A glob that may touch a guarded path asks for what that path's rule asks."""
        verdict = command("build/**", "infra/*.tf", rules=(INFRA,))
        assert asked(verdict) == {"default run_command": 1, "default edit_file": 1, "infra": 2}
        assert asked(command("in*/*.tf", rules=(INFRA,))) == {
            "default run_command": 1,
            "infra": 2,
            "default edit_file": 1,
        }
        assert command(".git*/x.yml", rules=(WORKFLOWS,)).denied == ("rule 'ci': by hand",)

    @pytest.mark.parametrize(
        "glob", ["plans/**", "plans", "pl*/policy.yaml", "PLANS/x", "p?ans/a/b"]
    )
    def test_no_glob_may_reach_the_authority_files(self, glob: str) -> None:
        """Whatever could touch plans/ is denied, whatever the rules say."""
        free = {"name": "free", "match": {}, "approvals": 0}
        assert command(glob, rules=(free,)).denied


class TestAlwaysDenied:
    @pytest.mark.parametrize("path", ["plans/policy.yaml", "plans/job/plan.yaml", "Plans/x"])
    def test_plans_are_changed_by_people_only(self, path: str) -> None:
        """No rule can let a step change what lies under plans/."""
        assert edit(path, {"name": "all", "match": {"path": "**"}, "approvals": 0}).denied

    @pytest.mark.parametrize(
        "path", [".github/workflows/a.yml", ".GITHUB/Workflows/a.yml", ".gitmodules", "CODEOWNERS"]
    )
    def test_C09_protected_paths_need_a_rule_that_names_them(self, path: str) -> None:
        """A rule with wildcards only does not name a protected path."""
        wide = {"name": "all", "match": {"path": "**"}, "approvals": 1}
        assert edit(path, wide).denied == (f"{path} is protected: a rule must name it",)
        exact = {"name": "named", "match": {"path": path}, "approvals": 1}
        assert edit(path, exact).denied == ()

    def test_a_rule_that_names_the_folder_is_enough(self) -> None:
        """`.github/**` names what lies in it, and its terms hold."""
        rule = {"name": "ci", "match": {"path": ".github/**"}, "approvals": 2}
        assert asked(edit(".github/workflows/a.yml", rule)) == {"ci": 2}


class TestFile:
    def test_a_person_is_listed_once(self) -> None:
        """Neither a principal nor an account may stand there twice: one would count as two."""
        people = [
            {"principal": "a@x", "github": {"login": "a", "id": 1}},
            {"principal": "a@x"},
            {"principal": "b@x", "github": {"login": "b", "id": 1}},
        ]
        assert refused({"people": people}) == {
            ("duplicate_person", "people[1].principal"),
            ("duplicate_person", "people[2].github.id"),
        }

    @pytest.mark.parametrize(
        "rule,code,path",
        [
            ({"approvals": 1, "deny": "no"}, "exactly_one", "rules[0]"),
            ({}, "exactly_one", "rules[0]"),
            ({"deny": "no", "roles": ["x"]}, "deny_extras", "rules[0]"),
        ],
    )
    def test_a_rule_says_one_thing(self, rule: dict[str, Any], code: str, path: str) -> None:
        """A rule has a count or a denial, and a denial has no terms."""
        whole = {"name": "r", "match": {}, **rule}
        assert refused({"rules": [whole]}) == {(code, path)}

    @pytest.mark.parametrize("pattern", ["/etc/**", "docs//x", "../x", "a/./b", "docs/"])
    def test_a_pattern_that_can_match_nothing_is_refused(self, pattern: str) -> None:
        """A dead pattern would deny nothing, without a word."""
        rule = {"name": "r", "match": {"path": pattern}, "deny": "no"}
        assert refused({"rules": [rule]}) == {("dead_pattern", "rules[0].match.path")}

    def test_a_rule_may_name_git(self) -> None:
        """`.git/**` can match nothing that a step may touch, but says what is meant."""
        rule = {"name": "r", "match": {"path": ".git/**"}, "deny": "no"}
        assert make_policy(rule).policy.rules[0].deny == "no"

    def test_types_are_strict(self) -> None:
        """Nothing is coerced, and unknown fields are errors."""
        assert refused({"self_approval": "yes"}) == {("schema", "self_approval")}
        assert refused({"selfapproval": True}) == {("schema", "selfapproval")}

    @pytest.mark.parametrize("value", [None, [], {"people": "ada", "rules": [3]}, {"people": [{}]}])
    def test_cross_checks_take_broken_policies(self, value: Any) -> None:
        """What is of a wrong type is left to the schema, and crashes nothing."""
        assert list(policy_checks.cross_checks(value)) == []

    def test_people_are_found_by_principal(self) -> None:
        """Only a listed principal is a person."""
        found = make_policy().policy
        assert [found.person(address(who)) is not None for who in (*PEOPLE, "eve")] == [
            *[True] * 4,
            False,
        ]


@given(
    st.lists(st.sampled_from(["docs", "infra", ".github", "x"]), min_size=1, max_size=3),
    st.permutations([DOCS, INFRA]),
)
def test_a_deny_holds_in_any_order_of_rules(names: list[str], rules: list[dict[str, Any]]) -> None:
    """Wherever the denying rule stands, exactly the paths that it matches are denied."""
    path = "/".join(names) + "/f"
    inside = names[0] == ".github"
    for at in range(3):
        ordered = [*rules[:at], WORKFLOWS, *rules[at:]]
        assert bool(judge_change(make_policy(*ordered).policy, path).denied) is inside


class TestRulesForCommandsThatNamePaths:
    DENY: ClassVar = {
        "name": "infra",
        "match": {"step_type": "run_command", "path": "infra/**"},
        "deny": "by hand",
    }

    def test_A33_a_deny_for_commands_binds_what_they_declare_and_change(self) -> None:
        """A rule for commands with a path is held against declared globs and actual changes."""
        denied = ("rule 'infra': by hand",)
        assert command("infra/**", rules=(self.DENY,)).denied == denied
        policy = make_policy(self.DENY).policy
        assert judge_change(policy, "infra/x.tf").denied == denied
        assert not judge_change(policy, "infra/x.tf", by="edit_file").denied
        assert not edit("infra/x.tf", self.DENY).denied

    def test_free_commands_do_not_make_changes_free(self) -> None:
        """A rule for commands without a path says nothing about the paths that they change."""
        free = {"name": "free", "match": {"step_type": "run_command"}, "approvals": 0}
        assert asked(command("src/**", rules=(free,))) == {"free": 0, "default edit_file": 1}
