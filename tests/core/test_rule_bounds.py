"""Where rules, risks and patterns end: what they just reach, and what they just do not."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from gate_cases import make_policy
from rule_cases import step

from runner.core import risks
from runner.core.rules import judge_change, judge_step, rulings

WORKFLOW = ".github/workflows/x.yml"
LINT = {"name": "lint", "match": {"command": "make lint"}, "approvals": 1}
TWO = {"name": "two", "match": {}, "approvals": 2}


def denied(target: str, *rules: dict[str, Any]) -> tuple[str, ...]:
    return judge_change(make_policy(*rules).policy, target).denied


class TestWhatIsDenied:
    @pytest.mark.parametrize(
        "path,pattern",
        [
            (WORKFLOW, ".github/**"),
            (WORKFLOW, ".GitHub/**"),
            (".github/CODEOWNERS", ".github/*"),
            ("a/b/.gitmodules", "**/.gitmodules"),
        ],
    )
    def test_C09_a_rule_in_whose_letters_a_protected_path_stands_opens_it(
        self, path: str, pattern: str
    ) -> None:
        """However deep the path lies, a pattern that says what it is about is enough."""
        named = {"name": "named", "match": {"path": pattern}, "approvals": 1}
        assert denied(path, named) == ()
        wide = {**named, "match": {"path": "**"}}
        assert denied(path, wide) == (f"{path} is protected: a rule must name it",)

    @pytest.mark.parametrize(
        "path,pattern", [("docs/CODEOWNERS", "docs/**"), ("src/.gitattributes", "src/**")]
    )
    def test_C09_a_rule_for_a_folder_opens_no_protected_file_in_it(
        self, path: str, pattern: str
    ) -> None:
        """Who frees a folder of documents does not mean the file that says who reviews."""
        folder = {"name": "folder", "match": {"path": pattern}, "approvals": 1}
        assert denied(path, folder)
        exact = {**folder, "match": {"path": path}}
        assert denied(path, exact) == ()
        assert denied(path, {**exact, "match": {"path": path, "step_type": "read_file"}})

    @pytest.mark.parametrize("glob", ["**", "*", "**/*.py", "*/a"])
    def test_A33_a_glob_of_everything_is_judged_by_what_then_changes(self, glob: str) -> None:
        """It may be declared; what it lets a command change under plans/ is denied then."""
        assert denied(glob) == ()
        command = step("run_command", command="x", writes=[glob])
        assert judge_step(make_policy().policy, command).denied == ()
        assert denied("plans/policy.yaml")

    @pytest.mark.parametrize("glob", ["*s/**", "p*/x", "pl**/x", "?lans"])
    def test_a_glob_with_a_letter_of_plans_is_denied(self, glob: str) -> None:
        """A first part that is more than stars, and may be `plans`, names it."""
        assert denied(glob)


class TestHowSure:
    @pytest.mark.parametrize(
        "line,expected",
        [
            ("make lint", [("lint", True), ("two", True)]),
            ("make lint > f", [("lint", False), ("two", True)]),
            ("npm", [("two", True)]),
        ],
    )
    def test_a_ruling_says_whether_the_rule_surely_matches(
        self, line: str, expected: list[tuple[str, bool]]
    ) -> None:
        """A rule that only may match is told as such."""
        found = rulings(make_policy(LINT, TWO).policy, step("run_command", command=line))
        assert [(each.rule, each.sure) for each in found] == expected

    @pytest.mark.parametrize("path", ["plans/x", ".gitmodules"])
    def test_what_planlock_denies_by_itself_is_told_with_its_subject(self, path: str) -> None:
        """Among many rulings a reader finds the change that is meant."""
        found = rulings(make_policy(TWO).policy, step("edit_file", path=path, new_content="x"))
        denials = [each for each in found if each.denied]
        assert [(each.rule, each.about) for each in denials] == [("planlock", f"changing {path}")]


class TestRisks:
    @pytest.mark.parametrize("step_type", ["edit_file", "run_command", "read_file", "analyze"])
    def test_a_built_in_step_that_cannot_be_read_is_as_risky_as_a_plugins(
        self, step_type: str
    ) -> None:
        """What its input means is unknown, so nothing is taken for granted."""
        assert "plugin" in risks.labels(step(step_type, odd=["x"]))

    @pytest.mark.parametrize("glob", ["docs/*/a", "docs/**/a/b", "a/?/c"])
    def test_a_wildcard_below_the_first_folder_is_not_wide(self, glob: str) -> None:
        """Only a wildcard in the very first part leaves the place open."""
        assert risks.labels(step("run_command", command="x", writes=[glob])) == {"command"}

    @pytest.mark.parametrize(
        "path,expected",
        [
            ("docs/a", set()),
            ("docs/*/a", set()),
            ("**", {"wide_writes"}),
            ("*/a", {"wide_writes"}),
            ("docs/\u0430", {"unusual_characters"}),
            (WORKFLOW, {"protected_path"}),
        ],
    )
    def test_a_path_is_a_risk_by_its_name(self, path: str, expected: set[str]) -> None:
        """Rules about risks hold for what a command changed as for what it declared."""
        assert risks.of_path(path) == expected

    @pytest.mark.parametrize(
        "gone,mode,expected",
        [
            (False, "100644", set()),
            (False, None, set()),
            (False, "100755", {"executable"}),
            (True, None, {"delete"}),
            (True, "100755", {"delete"}),
        ],
    )
    def test_what_a_command_did_to_a_file_is_a_risk(
        self,
        gone: bool,  # noqa: FBT001  # pytest passes by name
        mode: str | None,
        expected: set[str],
    ) -> None:
        """What is gone was deleted; what is a program now was made one."""
        assert risks.of_change(gone=gone, mode=mode) == expected

    @pytest.mark.parametrize(
        "given_",
        [
            {"new_content": "p\u0430ypal"},
            {"edits": [{"search": "x", "replace": "y"}, {"search": "z", "replace": "p\u0430y"}]},
        ],
    )
    def test_B04_a_word_of_mixed_letters_in_new_content_is_named(
        self, given_: dict[str, Any]
    ) -> None:
        """One word in letters of two scripts passes for another; words of one script do not."""
        (found,) = risks.of(step("edit_file", path="a", **given_))
        assert found.label == "unusual_characters"
        assert found.detail.startswith("a word of the new content mixes in U+0430")
        assert risks.of(step("edit_file", path="a", new_content="\u043c\u0438\u0440 peace")) == ()


class TestRisksOfChanges:
    GUARDED: ClassVar = {"name": "guarded", "match": {"risk": "network", "path": "infra/**"}}

    def asked(self, rule: dict[str, Any], *writes: str, **given_: Any) -> set[tuple[str, str]]:
        """What each ruling about a command of these terms is about, and by which rule."""
        command = step("run_command", command="x", writes=list(writes), **given_)
        return {(each.about, each.rule) for each in rulings(make_policy(rule).policy, command)}

    def test_a_rule_of_a_risk_and_a_path_holds_for_what_such_a_command_declares(self) -> None:
        """A command with a network may be asked more where it changes infra/."""
        rule = {**self.GUARDED, "approvals": 3}
        with_network = self.asked(rule, "infra/x", "docs/x", network=["a.org"])
        assert ("changing infra/x", "guarded") in with_network
        assert ("changing docs/x", "default edit_file") in with_network
        assert ("changing infra/x", "default edit_file") in self.asked(rule, "infra/x")

    def test_a_rule_of_a_risk_alone_frees_no_change_of_such_a_command(self) -> None:
        """A rule that lets commands with a network run says nothing about their changes."""
        free = {"name": "free", "match": {"risk": "network"}, "approvals": 0}
        assert self.asked(free, "infra/x", network=["a.org"]) == {
            ("the command", "free"),
            ("changing infra/x", "default edit_file"),
        }

    def test_an_actual_change_is_judged_with_its_own_risks_and_those_of_its_command(self) -> None:
        """Both kinds of risk reach the rules, each in its own way."""
        deleting = {"name": "deleting", "match": {"risk": "delete"}, "approvals": 2}
        policy = make_policy(deleting, {**self.GUARDED, "deny": "by hand"}).policy
        gone = judge_change(policy, "infra/x", labels=frozenset({"delete"}))
        assert [each.rule for each in gone.requirements] == ["deleting"]
        assert not gone.denied
        assert judge_change(policy, "infra/x", of_step=frozenset({"network"})).denied
        plain = judge_change(policy, "infra/x", of_step=frozenset({"delete"}))
        assert [each.rule for each in plain.requirements] == ["default edit_file"]
