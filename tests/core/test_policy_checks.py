from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gate_cases import make_policy
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_cases import asking, denying

from runner.core.errors import InvalidDocument
from runner.core.globs import Hit
from runner.core.plan import Step
from runner.core.policy_checks import SET_BY_SANDBOX, decides, example_hit
from runner.core.rules import judge_change, rulings
from runner.sandbox.contract import Command, Room
from runner.sandbox.proxy import VARIABLES
from runner.sandbox.shell import environment

LINES = ("make", "make x", "make $x", "env make", "curl x; make", "(x)", "echo make", "A=1 make")
PATHS = ("docs/a.md", "DOCS/a.md", "docs", "infra/x/y.tf", "a", ".github/x", "docs/**")


def problems(**rule: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidDocument) as caught:
        make_policy({"name": "r", "match": {}, **rule})
    return [(each.code, each.path) for each in caught.value.problems]


def of_sandbox(**fields: list[str]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidDocument) as caught:
        make_policy(sandbox=fields)
    return [(each.code, each.path) for each in caught.value.problems]


def message(**rule: Any) -> str:
    with pytest.raises(InvalidDocument) as caught:
        make_policy({"name": "r", "match": {}, **rule})
    return caught.value.problems[0].message


class TestRules:
    def test_a_rule_is_about_a_path_or_a_command(self) -> None:
        """No step has both, so such a rule would do nothing unseen."""
        both = {"path": "docs/**", "command": "make"}
        assert problems(match=both, approvals=1) == [("match_mix", "rules[0].match.command")]

    @pytest.mark.parametrize("step_type", ["edit_file", "read_file", "analyze"])
    def test_only_commands_have_a_command(self, step_type: str) -> None:
        """A command of another type of step would match nothing."""
        match = {"step_type": step_type, "command": "make"}
        assert problems(match=match, deny="no") == [("dead_pattern", "rules[0].match.command")]
        assert make_policy({"name": "r", "match": {**match, "step_type": None}, "deny": "no"})

    @pytest.mark.parametrize(
        "pattern", ["make;", "a|b", "a && b", "a > b", "$x", "`x`", "'a'", '"a"', "a\\", "#x", " "]
    )
    def test_a_pattern_of_a_command_is_plain_words(self, pattern: str) -> None:
        """What the shell would read as more than words can be no word of a command."""
        given_ = problems(match={"command": pattern}, deny="no")
        assert given_ == [("dead_pattern", "rules[0].match.command")]

    def test_a_quorum_says_who_counts(self) -> None:
        """Roles beside a quorum would mean nothing; more than four would mean too much."""
        both = problems(quorum={"a": 1}, roles=["a"])
        assert both == [("quorum_roles", "rules[0].roles")]
        (five,) = problems(quorum=dict.fromkeys("abcde", 1))
        assert five[1] == "rules[0].quorum"


class TestExamples:
    def test_examples_need_a_pattern(self) -> None:
        """A rule without command and path decides nothing about a line."""
        rule = {"match": {"risk": "network"}, "approvals": 1, "examples": {"match": ["a", "b"]}}
        assert problems(**rule) == [
            ("example_misfit", "rules[0].examples.match[0]"),
            ("example_misfit", "rules[0].examples.match[1]"),
        ]

    def test_an_example_that_differs_is_named_with_its_place(self) -> None:
        """Each list is checked, each entry for itself."""
        examples = {"match": ["make", "make $x", "curl"], "no_match": ["make x", "curl"]}
        rule = {"match": {"command": "make **"}, "approvals": 0, "examples": examples}
        assert problems(**rule) == [
            ("example_differs", "rules[0].examples.match[1]"),
            ("example_differs", "rules[0].examples.match[2]"),
            ("example_differs", "rules[0].examples.no_match[0]"),
        ]

    def test_what_keeps_a_line_from_being_read_is_told(self) -> None:
        """A person sees why an example is in doubt."""
        rule = {"match": {"command": "make **"}, "approvals": 0}
        said = message(**rule, examples={"match": ["make $(x)"]})
        assert said == "'make $(x)' may match (it has `$(`), but stands under `match`"
        said = message(**rule, examples={"no_match": ["make"]})
        assert said == "'make' matches, but stands under `no_match`"

    def test_in_doubt_a_denial_decides_and_nothing_else(self) -> None:
        """An example that may match belongs to `match` of a rule that denies, else to `no_match`."""
        match = {"command": "make **"}
        assert make_policy(
            {"name": "r", "match": match, "deny": "no", "examples": {"match": ["env make"]}},
            {"name": "r", "match": match, "approvals": 0, "examples": {"no_match": ["env make"]}},
        )
        assert problems(match=match, deny="no", examples={"no_match": ["env make"]})

    @settings(deadline=None)
    @given(st.one_of(asking(), denying()), st.sampled_from(LINES))
    def test_an_example_of_a_command_says_what_the_rule_does(
        self, rule: dict[str, Any], line: str
    ) -> None:
        """An example is decided as a step with that line would be, other terms of `match` apart."""
        pattern = rule["match"].get("command")
        if pattern is None:
            return
        alone = {**rule, "match": {"command": pattern}}
        policy = make_policy(alone).policy
        step = Step(
            id="s", step_type="run_command", description="d", input={"command": line, "writes": []}
        )
        effects = {each.effect for each in rulings(policy, step) if each.rule == rule["name"]}
        hit = example_hit(rule["match"], line)
        assert hit is not None
        assert decides(hit, denies="deny" in rule) is bool(effects & {"decides", "denies"})

    @settings(deadline=None)
    @given(st.one_of(asking(), denying()), st.sampled_from(PATHS))
    def test_an_example_of_a_path_says_what_the_rule_does(
        self, rule: dict[str, Any], path: str
    ) -> None:
        """An example is decided as a change of that path, or glob, would be."""
        pattern = rule["match"].get("path")
        if pattern is None:
            return
        policy = make_policy({**rule, "name": "r", "match": {"path": pattern}}).policy
        verdict = judge_change(policy, path)
        surely = example_hit({"path": pattern}, path) is Hit.YES
        if "deny" in rule:
            assert bool(verdict.denied) is (example_hit({"path": pattern}, path) is not Hit.NO)
        else:
            assert ({each.rule for each in verdict.requirements} == {"r"}) is surely


class TestSandbox:
    @pytest.mark.parametrize("tool", ["~", "~/", "~/.", "~bob", "/", "//"])
    def test_no_command_sees_a_whole_home(self, tool: str) -> None:
        """Nor the whole machine; a folder below is a tool like others."""
        assert of_sandbox(tools=[".venv", tool]) == [("tool_too_wide", "sandbox.tools[1]")]
        assert make_policy(sandbox={"tools": [f"{tool}/x", "/opt", "."]})

    def test_what_the_sandbox_sets_is_no_secret(self, tmp_path: Path) -> None:
        """A secret of that name would take the place of the sandbox's own value."""
        room = Room(workspace=tmp_path, mount_at=tmp_path)
        own = environment(Command(script=":"), room, home="h", tmp="t")
        assert {*own, *VARIABLES} == SET_BY_SANDBOX
        for name in sorted(SET_BY_SANDBOX):
            assert of_sandbox(secrets=[name]) == [("reserved_secret", "sandbox.secrets[0]")]
        assert make_policy(sandbox={"secrets": ["PATHS", "path"]})

    def test_hosts_that_are_never_connected_to_are_refused(self) -> None:
        """Beside others that may be listed, private addresses among them."""
        listed = ["pypi.org", "10.0.0.5:80", "169.254.169.254", "pypi.org."]
        at = "sandbox.network"
        assert of_sandbox(network=listed) == [
            ("unusable_host", f"{at}[2]"),
            ("unusable_host", f"{at}[3]"),
        ]
