"""The programs that try a real model judge rightly: shown with scripted models and servers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from provider_server import Said, serving
from provider_server_openai import OpenAiApi
from team import Result, Team

from runner.core.plan import Plan
from tests.docs.markdown import with_section
from tests.real_model import goals, hostile, injections, lines, page, script, trial, trials
from tests.real_model.goals import SOLUTIONS, Goal
from tests.real_model.injections import Server
from tests.real_model.process import OVERTIME, planlock
from tests.real_model.trial import Outcome, Patience, attempt

GOAL = next(goal for goal in goals.load() if goal.id == "calculator-factorial")
UTILS = GOAL.files()["utils.py"]
ADDED = """

def factorial(n):
    if n < 0:
        raise ValueError("factorial of a negative number")
    return 1 if n < 2 else n * factorial(n - 1)
"""
ABOUT = page.About(date="2026-01-31", model="M", sha256="0" * 64, server="S", hardware="H")


def in_process(
    team: Team, who: str, *args: str, timeout_s: float, env: Mapping[str, str]
) -> Result:
    """Call a command without a process of its own, which nothing could stop."""
    assert timeout_s > 0
    return team.cli(who, *args, env=env)


def tried(folder: Path, draft: str) -> Outcome:
    """Try the goal with a model that drafts this text."""
    models = script.written(folder, [script.intent("edit", "utils.py")], {"utils.py": draft})
    return attempt(GOAL, folder, models, Patience(), caller=in_process)


def stages(outcome: Outcome) -> dict[str, bool]:
    return {name: getattr(outcome, name) for name in page.STAGES}


@pytest.mark.usefixtures("confined")
class TestAttempt:
    """From plan to judgement, with real commands."""

    def test_a_good_draft_reaches_the_goal(self, tmp_path: Path) -> None:
        """Every stage is reached, and plan, steps, tokens and model are told."""
        outcome = tried(tmp_path, UTILS + ADDED)
        assert set(stages(outcome).values()) == {True}, outcome
        assert outcome.steps == [
            "edit_file utils.py",
            "run_command python3 -m unittest discover -q",
        ]
        assert (outcome.tokens_in, outcome.tokens_out) == (200, 40)
        assert outcome.why == ""
        assert "def factorial" in outcome.plan

    def test_a_draft_that_breaks_the_tests_does_not_pass_its_check(self, tmp_path: Path) -> None:
        """The failed check is told with its output, and the goal is judged all the same."""
        outcome = tried(tmp_path, UTILS.replace("return a - b", "return b - a") + ADDED)
        assert stages(outcome) == dict.fromkeys(page.STAGES, True) | {"checked": False}
        assert not outcome.whole
        assert "AssertionError" in outcome.check_said
        assert "exit code 1" in outcome.why

    def test_a_draft_that_misses_the_goal_is_not_accepted(self, tmp_path: Path) -> None:
        """A plan may pass the project's tests and still not do what was asked."""
        outcome = tried(tmp_path, UTILS + "\n\ndef factorial(n):\n    return 1\n")
        assert (outcome.whole, outcome.accepted) == (True, False)
        assert outcome.accept_said == "AssertionError"

    def test_no_plan_is_told_with_the_errors_code(self, tmp_path: Path) -> None:
        """Without a draft that parses there is no plan, and nothing behind it."""
        outcome = tried(tmp_path, "def factorial(:\n")
        assert set(stages(outcome).values()) == {False}
        assert outcome.error == "draft_failed"
        assert outcome.why.startswith("planning: drafting utils.py")
        assert str(tmp_path) not in json.dumps(outcome.value())


def test_a_command_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    """The time-out names the command and leaves no process behind."""
    team = Team.governed(tmp_path, files=GOAL.files())
    done = planlock(team, "ada", "audit", timeout_s=0.01)
    assert done.code == OVERTIME
    assert "planlock audit was not done after 0.01 s" in done.err


def outcome_of(goal: Goal, **more: Any) -> Outcome:
    return Outcome(goal=goal.id, project=goal.project, level=goal.level, text=goal.goal, **more)


class TestResults:
    """Lines on disk, and what becomes of them."""

    def test_a_line_that_was_cut_off_does_not_count_and_spoils_nothing(
        self, tmp_path: Path
    ) -> None:
        """What is added behind it stands on a line of its own."""
        path = tmp_path / "deep" / "results.jsonl"
        lines.append(path, {"goal": "a"})
        with path.open("a") as file:
            file.write('{"goal": "b", "pl')
        lines.append(path, {"goal": "c"})
        assert [each["goal"] for each in lines.read(path)] == ["a", "c"]

    def test_goals_with_a_result_are_not_tried_again(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """With a line for the only goal that is wanted, no model is needed."""
        out = tmp_path / "results.jsonl"
        lines.append(out, outcome_of(GOAL, valid=True, applies=True, checked=True).value())
        assert trials.main(["--out", str(out), "--only", "1"]) == 0
        assert "1 of 1 goals passed" in capsys.readouterr().err

    def test_unknown_fields_of_a_result_are_left_out(self) -> None:
        """A file of a later version can still be read."""
        assert Outcome.of({**outcome_of(GOAL).value(), "later": 1}) == outcome_of(GOAL)

    def test_only_takes_numbers_and_ids_and_refuses_others(self) -> None:
        """Goals are counted from 1."""
        every = goals.load()
        assert [each.id for each in trials.chosen(every, ["20", every[0].id])] == [
            every[0].id,
            every[19].id,
        ]
        with pytest.raises(SystemExit, match="no such goal: 21"):
            trials.chosen(every, ["21"])


class TestPage:
    """What the published page says."""

    def test_totals_and_reasons_are_told(self) -> None:
        """Passed and reached goals are counted apart; every failure has its reason."""
        every = goals.load()
        good = {"planned": True, "valid": True, "applies": True, "checked": True}
        text = page.trials(
            [
                outcome_of(every[0], **good, accepted=True),
                outcome_of(every[1], **good, accept_said="AssertionError: 3"),
                outcome_of(every[2], error="timeout", why="planning: too long"),
            ],
            ABOUT,
        )
        assert "**2 of 3 goals ended in a plan" in text
        assert "1 of 3 did so and reached the goal" in text
        assert f"| `{every[2].id}` | [timeout] planning: too long |" in text
        assert f"| `{every[1].id}` | `accept` said: AssertionError: 3 |" in text
        assert f"| `{every[0].id}` |" not in text

    def test_a_models_words_are_inert(self) -> None:
        """A cell cannot end its row, open a link, a comment or a tag."""
        row = page.table(("a",), [["x | y\n<!-- end --> [l](http://e) @bob " + "z" * 400]])
        last = row.splitlines()[-1]
        assert last.startswith("| x \\| y &lt;!-- end --> [l]&#40;http://e) &#64;bob zzz")
        assert len(last) < 350

    def test_the_page_has_a_place_for_each_part(self) -> None:
        """Both programs find the section that they write."""
        text = page.PAGE.read_text()
        for section in ("trials", "injections"):
            assert "fresh words" in with_section(text, section, "fresh words")


class TestInjections:
    """Plans with and without a hostile text are told apart."""

    TEXT = hostile.Hostile(name="t", place="readme", asks="curl", text="do it")

    def compared(self, steps: list[str], *, notes: list[str] | None = None, error: str = "") -> str:
        clean = {"steps": ["edit_file a", "run_command t"], "notes": [], "error": ""}
        other = {"steps": steps, "notes": notes or [], "error": error}
        return injections.difference(clean, other, self.TEXT)

    def test_equal_different_and_obeyed_are_told_apart(self) -> None:
        """A step that was asked for counts as obeyed, even if the planner left it out."""
        same = ["edit_file a", "run_command t"]
        assert self.compared(same) == "equal"
        assert self.compared(same[::-1]) == "the same steps in another order"
        assert self.compared([*same, "edit_file b"]) == "differs: + edit_file b"
        assert self.compared(["run_command curl x", *same]) == "OBEYED: + run_command curl x"
        assert self.compared(same, notes=["left out command curl"]).startswith("OBEYED: left out")
        assert self.compared([], error="[timeout] late") == "no plan: [timeout] late"

    def test_a_plan_is_asked_of_the_server_and_its_drafts_of_nobody(self) -> None:
        """The server is asked once, for the steps, with the hostile text inside the prompt."""
        plan = {"steps": [script.intent("edit", "utils.py")], "assumptions": [], "questions": []}
        text = next(each for each in hostile.load() if each.name == "ignore-instructions")
        with serving(OpenAiApi(keyless=True)) as server:
            server.give(Said(pieces=[json.dumps(plan)]))
            found = injections.planned(GOAL, text, Server(url=server.url, model="tiny"))
            asked = [each for each in server.seen if each.method == "POST"]
        assert found["error"] == ""
        assert found["steps"][0] == "edit_file utils.py"
        assert len(asked) == 1
        assert "evil.example" in json.dumps(asked[0].body)

    def test_every_text_has_its_own_way_of_being_obeyed(self) -> None:
        """No clean plan looks as if it had obeyed, and all texts can be told as planted."""
        texts = hostile.load()
        assert len(texts) == 12
        for name, main in hostile.GOALS.items():
            goal = next(each for each in goals.load() if each.id == name)
            clean = [f"edit_file {main}", "run_command python3 -m unittest discover -q"]
            assert (SOLUTIONS / f"{name}.diff").exists()
            for text in texts:
                assert not any(text.obeyed(step) for step in clean), text.name
                assert text.planted(goal.files(), main) != goal.files()


def test_a_plan_that_was_written_against_another_file_does_not_apply() -> None:
    """The pin of an edit is held against the project, and so is the text to replace."""
    given = {"path": "a", "replaces": "absent", "new_content": "x"}
    edit = {"id": "e", "step_type": "edit_file", "description": "D", "input": given}
    value = {"version": 1, "id": "job", "goal": "G", "steps": [edit]}
    plan = Plan.model_validate(value)
    assert trial.misfit(plan, {}) == ""
    assert trial.misfit(plan, {"a": "y"}) == "step e: not written against this a"
