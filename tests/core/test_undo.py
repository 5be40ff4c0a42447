"""An undo command is part of its step: judged as a command, shown, digested and compared."""

from __future__ import annotations

from typing import Any

import pytest
from gate_cases import EDIT, PLAN, READ, ask, codes, make_plan, make_policy, vote
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_cases import policy_of, rules, step, steps

from runner.core import plan_diff, refusals, risks
from runner.core.errors import InvalidDocument
from runner.core.plan import Step, UndoCommand, commands, undo_step
from runner.core.rules import judge_step, rulings

calm = settings(deadline=None)
FREE = {"edit_file": 0, "run_command": 1}
undos = st.builds(
    UndoCommand,
    command=st.sampled_from(["make", "curl x", "make; rm x", "$x"]),
    network=st.sampled_from([[], ["a.org"]]),
    env=st.sampled_from([{}, {"A": "1"}]),
    secrets=st.sampled_from([[], ["TOKEN"]]),
)


def undone(step_type: str, undo: dict[str, Any], **given_: Any) -> Step:
    return step(step_type, **given_).model_copy(update={"undo": UndoCommand(**undo)})


def edit(**undo: Any) -> Step:
    return undone("edit_file", {"command": "make", **undo}, path="a", new_content="x")


class TestRules:
    @given(given_=rules, one=steps, undo=undos)
    @calm
    def test_step_and_undo_are_judged_each_for_itself(
        self, given_: list[dict[str, Any]], one: Step, undo: UndoCommand
    ) -> None:
        """What is asked and denied is the union: neither frees the other of anything."""
        policy = policy_of(given_)
        both = judge_step(policy, one.model_copy(update={"undo": undo}))
        command = step("run_command", **undo.model_dump(exclude_unset=True))
        alone = [judge_step(policy, each) for each in (one, command)]
        assert {*both.requirements} == {each for found in alone for each in found.requirements}
        assert {*both.denied} == {each for found in alone for each in found.denied}

    def test_a_free_step_with_an_undo_needs_what_a_command_needs(self) -> None:
        """An undo is the only command of the plan, and yet somebody must approve it."""
        policy = make_policy(defaults=FREE).policy
        asked = judge_step(policy, edit()).requirements
        assert {each.rule: each.approvals for each in asked} == {
            "default edit_file": 0,
            "default run_command": 1,
        }

    def test_a_rule_that_frees_commands_does_not_free_the_edit_before_them(self) -> None:
        """The risk of the undo is not one of the step."""
        free = {"name": "free", "match": {"risk": "command"}, "approvals": 0}
        asked = judge_step(make_policy(free).policy, edit()).requirements
        assert {each.rule: each.approvals for each in asked} == {"free": 0, "default edit_file": 1}

    @pytest.mark.parametrize("match", [{"command": "curl **"}, {"risk": "network"}])
    def test_a_denied_undo_denies_the_step(self, match: dict[str, str]) -> None:
        """A step of which the undo may not run may not run."""
        never = {"name": "never", "match": match, "deny": "by hand"}
        verdict = judge_step(make_policy(never).policy, edit(command="curl x", network=["a.org"]))
        assert verdict.denied == ("rule 'never': by hand",)

    def test_the_rulings_name_the_undo_command(self) -> None:
        """A reader can tell which of two commands a rule is about."""
        both = undone("run_command", {"command": "make"}, command="make")
        about = [each.about for each in rulings(make_policy().policy, both)]
        assert about == ["the command", "the undo command"]


class TestRefusals:
    def test_hosts_and_secrets_of_an_undo_must_be_listed(self) -> None:
        """The policy's sandbox bounds an undo as any command."""
        wants = edit(network=["a.org"], secrets=["TOKEN"], env={"TOKEN": "x"})
        assert [each.code for each in refusals.of_step(make_policy().policy, wants)] == [
            "network_not_allowed",
            "secret_not_allowed",
            "secret_overridden",
        ]

    def test_the_gate_refuses_a_step_for_its_undo(self) -> None:
        """No approval mends what the policy never gives."""
        plan = make_plan(READ, {**EDIT, "undo": {"command": "x", "network": ["a.org"]}})
        assert codes(ask(vote("bob", plan_file=plan), plan=plan)) == ["network_not_allowed"]


class TestRisks:
    def test_risks_of_an_undo_are_told_as_such(self) -> None:
        """A reviewer sees them, and rules hold them against the undo alone."""
        found = edit(network=["a.org"], command="rм x")
        assert [(each.label, each.detail.partition(": ")[0]) for each in risks.of(found)] == [
            ("command", "undo"),
            ("network", "undo"),
            ("unusual_characters", "undo"),
        ]
        assert risks.labels(found) == frozenset()


class TestPlan:
    def test_an_undo_is_part_of_the_steps_digest(self) -> None:
        """To slip one in changes the digest of the step and of all that follow."""
        changed = make_plan(READ, {**EDIT, "undo": {"command": "x"}}, *[])
        assert changed.digests[0] == PLAN.digests[0]
        assert changed.digests[1] != PLAN.digests[1]

    @pytest.mark.parametrize(
        "undo,code",
        [
            ({"command": "x", "writes": ["a"]}, "schema"),
            ({"command": "x", "reads": ["a"]}, "schema"),
            ({}, "schema"),
            ({"command": "x", "working_dir": "../x"}, "path_parent"),
            ({"command": "x", "network": ["*"]}, "schema"),
            ({"command": "x", "network": ["a.org:0"]}, "unusable_host"),
        ],
    )
    def test_an_undo_that_cannot_be_is_told(self, undo: dict[str, Any], code: str) -> None:
        """It names no files, and a folder and hosts as a command may."""
        with pytest.raises(InvalidDocument) as caught:
            make_plan(READ, {**EDIT, "undo": undo})
        assert code in {each.code for each in caught.value.problems}

    def test_a_step_of_any_type_has_the_undo_as_a_command(self) -> None:
        """It is the step's own, but of type run_command and without an undo."""
        found = undo_step(edit(timeout_s=5))
        assert found is not None
        assert (found.id, found.step_type, found.undo) == ("s", "run_command", None)
        assert [each.timeout_s for each in commands(edit(timeout_s=5))] == [5]
        assert undo_step(found) is None

    def test_a_changed_undo_is_a_changed_step(self) -> None:
        """Who approved the step before sees what is new in its undo."""
        old, new = edit(), edit(network=["a.org"])
        assert not plan_diff.same_content(old, new)
        fields = plan_diff.field_changes(plan_diff.step_fields(old), plan_diff.step_fields(new))
        assert [(each.field, each.now) for each in fields] == [("undo.network", "a.org")]
