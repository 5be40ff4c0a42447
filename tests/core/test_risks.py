from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from rule_cases import step, steps

from runner.core import risks
from runner.core.plan import Step
from runner.core.policy import Match
from runner.core.risks import LABELS, MEANINGS


def found(step_type: str, **given_: Any) -> list[tuple[str, str]]:
    return [(each.label, each.detail) for each in risks.of(step(step_type, **given_))]


class TestCommands:
    def test_every_command_is_one(self) -> None:
        """A command is a risk in itself, told with its line."""
        assert found("run_command", command="make") == [("command", "make")]

    def test_hosts_and_variables_are_named(self) -> None:
        """A network and an environment are told with all that they hold, by name."""
        given_ = {"network": ["a.org", "b.org:443"], "env": {"A": "secret", "B": "2"}}
        assert found("run_command", command="x", **given_) == [
            ("command", "x"),
            ("network", "a.org, b.org:443"),
            ("environment", "A, B"),
        ]

    @pytest.mark.parametrize("glob", ["**", "*", "*.py", "?x/a", "**/a", "a*/b", "do?s/**"])
    def test_a_glob_that_begins_with_a_wildcard_is_wide(self, glob: str) -> None:
        """What has no plain first folder may change things anywhere."""
        assert ("wide_writes", glob) in found("run_command", command="x", writes=[glob])

    @pytest.mark.parametrize("glob", ["docs/**", "a.py", "docs/*.md"])
    def test_a_glob_below_a_folder_is_not_wide(self, glob: str) -> None:
        """Wildcards below a plain folder stay there."""
        assert found("run_command", command="x", writes=[glob]) == [("command", "x")]

    def test_each_glob_is_told(self) -> None:
        """One label may be earned more than once."""
        assert found("run_command", command="x", writes=["*", ".gitmodules", "**"])[1:] == [
            ("wide_writes", "*"),
            ("wide_writes", "**"),
            ("protected_path", ".gitmodules"),
        ]


class TestEdits:
    def test_an_ordinary_edit_has_no_risk(self) -> None:
        """What a reviewer sees in the diff needs no label."""
        assert found("edit_file", path="a", new_content="x") == []
        assert found("edit_file", path="a", new_content="x", mode="0644") == []

    @pytest.mark.parametrize(
        "given_,label",
        [
            ({"path": "a", "delete": True}, "delete"),
            ({"path": "a", "new_content": "x", "mode": "0755"}, "executable"),
            ({"path": ".gitattributes", "new_content": "x"}, "protected_path"),
            ({"path": ".GitHub/Workflows/a.yml", "new_content": "x"}, "protected_path"),
        ],
    )
    def test_deletions_programs_and_protected_paths_are_named(
        self, given_: dict[str, Any], label: str
    ) -> None:
        """Each is told with the path."""
        assert found("edit_file", **given_) == [(label, given_["path"])]


class TestOthers:
    @pytest.mark.parametrize("step_type", ["analyze", "summarize"])
    def test_questions_to_models_have_none(self, step_type: str) -> None:
        """They touch nothing."""
        assert found(step_type, instruction="Why?") == []
        assert found("read_file", path="a") == []

    def test_a_plugins_step_is_one(self) -> None:
        """What is not built in is told by its type."""
        assert found("deploy", where="x") == [("plugin", "deploy")]

    @pytest.mark.parametrize(
        "given_,field",
        [
            ({"command": "curl ex\u0430mple.com"}, "command"),
            ({"command": "x", "working_dir": "\u0430"}, "working_dir"),
            ({"command": "x", "writes": ["\u0430"]}, "writes"),
            ({"command": "x", "reads": ["\u0430"]}, "reads"),
            ({"command": "x", "env": {"A": "\u0430"}}, "env"),
        ],
    )
    def test_B04_letters_that_look_like_others_are_named(
        self, given_: dict[str, Any], field: str
    ) -> None:
        """A character beyond ASCII in what is executed or addressed is told by name, once."""
        labels = [each for each in found("run_command", **given_) if each[0] != "environment"]
        assert labels[1:] == [
            ("unusual_characters", f"{field} contains U+0430 CYRILLIC SMALL LETTER A")
        ]

    def test_what_is_told_is_safe_to_show(self) -> None:
        """A command that turns text around is told with what it holds."""
        (told, *_) = found("run_command", command="a\u202eb\x1b[31m")
        assert told == ("command", "a\\u202eb\\x1b[31m")


class TestLabels:
    def test_each_label_has_a_meaning_and_can_be_named_by_a_rule(self) -> None:
        """Labels, their meanings and what a rule accepts are the same."""
        assert tuple(MEANINGS) == LABELS
        assert [Match(risk=label).risk for label in LABELS] == list(LABELS)

    @settings(deadline=None)
    @given(steps)
    def test_risks_of_any_step_are_told_in_one_order(self, step_: Step) -> None:
        """Whatever the step, its risks stand in the order of the labels."""
        order = [LABELS.index(each.label) for each in risks.of(step_)]
        assert order == sorted(order)
        assert risks.labels(step_) == {each.label for each in risks.of(step_)}
