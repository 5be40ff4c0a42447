"""`planlock plan`: a goal becomes a plan that validates, applies and passes its check."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from model_script import PLANNING, code, drafting, intents, write_script
from team import FACTORIAL, Team

from runner.core.documents import parse
from runner.sandbox.contract import Backend

ROOT = Path(__file__).parents[2]
GOAL = "Add a factorial function to utils.py"
NAME = "add-a-factorial-function-to-utils-py"
TEST = "import unittest\n\nimport utils\n\n\nclass T(unittest.TestCase):\n    def test_add(self):\n"
TEST += "        self.assertEqual(utils.add(1, 2), 3)\n"
FILES = {
    "utils.py": "def add(a, b):\n    return a + b\n",
    "test_utils.py": TEST,
    "README.md": "# calc\n",
    ".env": "TOKEN=x\n",
    "secret_notes.txt": "key AKIAIOSFODNN7EXAMPLE here\n",
    ".gitignore": "__pycache__/\n",
}
EDIT = ("edit", "utils.py", "Add factorial(n) with a doctest.")


@pytest.fixture
def calc(tmp_path: Path) -> Team:
    return Team.governed(tmp_path, "bob", files=FILES)


@pytest.fixture
def model(tmp_path: Path) -> dict[str, str]:
    return write_script(
        tmp_path / "model.yaml",
        (PLANNING, intents(EDIT, assumptions=("n is a whole number",))),
        (drafting("utils.py"), code(FACTORIAL)),
    )


def ask(team: Team, model: Mapping[str, str], *words: str) -> dict[str, object]:
    done = team.cli("ada", "plan", *words, "--json", env=model)
    assert done.code == 0, done.text
    value = done.json
    assert isinstance(value, dict)
    return value


def test_a_goal_becomes_a_plan_on_its_branch(calc: Team, model: dict[str, str]) -> None:
    """The edit is drafted and pinned, the project's tests are added, tokens and cost are told."""
    done = ask(calc, model, GOAL)
    text = calc.show_file(f"plan/{NAME}", f"plans/{NAME}/plan.yaml")
    plan = parse(text.encode(), file="plan").value
    assert done["commit"] == calc.git("rev-parse", f"plan/{NAME}")
    assert [(step["id"], step["step_type"]) for step in plan["steps"]] == [
        ("edit-utils", "edit_file"),
        ("test", "run_command"),
    ]
    assert plan["steps"][0]["input"]["new_content"] == FACTORIAL
    assert plan["steps"][0]["input"]["replaces"].startswith("sha256:")
    assert plan["steps"][1]["input"]["command"] == "python3 -m unittest discover -q"
    assert plan["author"] == "ada@example.com"
    assert plan["base"] == calc.git("rev-parse", "main")
    assert plan["planner"]["model"] == "scripted/scripted-1"
    assert plan["planner"]["tokens"] == {"input": 200, "output": 40}
    assert plan["planner"]["cost_usd"] == "0.002"
    assert plan["assumptions"] == ["n is a whole number"]
    assert calc.git("status", "--porcelain") == ""
    assert calc.cli("ada", "show", NAME).code == 0


def test_what_was_sent_is_told_and_secrets_are_not(calc: Team, model: dict[str, str]) -> None:
    """Names and shapes of secrets keep a file out of the prompt, and it says so."""
    done = calc.cli("ada", "plan", GOAL, env=model)
    assert done.code == 0, done.text
    assert "utils.py" in done.err
    assert "secret_notes.txt: holds what looks like a secret" in done.err
    stored = "".join(
        path.read_text() for path in (calc.root / ".git/planlock/models").rglob("*.json")
    )
    assert "def add" in stored
    assert "AKIAIOSFODNN7EXAMPLE" not in stored
    assert "TOKEN=x" not in stored


def test_the_same_goal_gives_the_same_plan_at_no_cost(calc: Team, model: dict[str, str]) -> None:
    """A second time nothing is asked: without the model the plan is the same to the byte."""
    first = ask(calc, model, GOAL)
    again = ask(calc, {}, GOAL)
    assert (again["text"], again["commit"], again["new"]) == (
        first["text"],
        first["commit"],
        False,
    )
    spent = again["spent"]
    assert isinstance(spent, dict)
    assert spent["cached"] is True


def test_another_machine_makes_the_same_plan_from_the_exported_store(
    calc: Team, model: dict[str, str], tmp_path: Path
) -> None:
    """Another folder, process, hash seed, language and time zone, and no model: equal bytes."""
    first = ask(calc, model, GOAL, "--dry-run")
    archive = str(tmp_path / "store.zip")
    assert calc.cli("ada", "models", "export", archive).code == 0
    other = Team(base=tmp_path / "elsewhere", root=tmp_path / "elsewhere/clone", keys=calc.keys)
    other.base.mkdir()
    calc.git("clone", "-q", str(calc.root), str(other.root))
    assert other.cli("ada", "models", "import", archive).code == 0
    surroundings = {"PYTHONHASHSEED": "7", "LANG": "C", "LC_ALL": "C", "TZ": "Asia/Tokyo"}
    argv = [sys.executable, "-c", "from runner.cli.main import main; main()"]
    done = subprocess.run(
        [*argv, "plan", GOAL, "--dry-run"],
        cwd=other.root,
        env=other.environment("ada", {"PYTHONPATH": str(ROOT), **surroundings}),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == first["text"]
    assert b"nothing was spent now" in done.stderr


def test_live_asks_again(calc: Team, model: dict[str, str], tmp_path: Path) -> None:
    """`--live` takes a new answer, which is what is stored from then on."""
    first = ask(calc, model, GOAL)
    slower = FACTORIAL.replace("n < 2", "n <= 1")
    other = write_script(
        tmp_path / "other.yaml",
        (PLANNING, intents(EDIT)),
        (drafting("utils.py"), code(slower)),
    )
    assert ask(calc, other, GOAL)["text"] == first["text"]
    live = ask(calc, other, GOAL, "--live")
    assert "n <= 1" in str(live["text"])
    assert ask(calc, {}, GOAL)["text"] == live["text"]


def test_the_plan_passes_its_check(
    calc: Team,
    model: dict[str, str],
    confined: Backend,  # noqa: ARG001  # its step is a command
) -> None:
    """Approved and run, the drafted edit is there and the project's tests pass."""
    ask(calc, model, GOAL)
    refused = calc.cli("ada", "run", NAME)
    assert refused.code == 4
    calc.approve("bob", NAME)
    done = calc.cli("ada", "run", NAME)
    assert done.code == 0, done.text
    assert calc.show_file(f"planlock/{NAME}/1", "utils.py") == FACTORIAL.rstrip("\n")
    assert calc.cli("ada", "audit").code == 0


def test_a_draft_that_does_not_apply_is_asked_for_again(calc: Team, tmp_path: Path) -> None:
    """The model is told why, and every answer is paid for and counted."""
    model = write_script(
        tmp_path / "model.yaml",
        (PLANNING, intents(EDIT)),
        ("is not valid: line 1", code(FACTORIAL)),
        (drafting("utils.py"), code("def factorial(:\n")),
    )
    done = ask(calc, model, GOAL)
    assert "def factorial(n)" in str(done["text"])
    spent = done["spent"]
    assert isinstance(spent, dict)
    assert spent["input_tokens"] == 300


def test_a_model_that_never_writes_a_fitting_draft_leaves_no_plan(
    calc: Team, tmp_path: Path
) -> None:
    """The error names the file and the cause, and no branch appears."""
    model = write_script(
        tmp_path / "model.yaml",
        (PLANNING, intents(EDIT)),
        ("utils.py", code("def factorial(:\n")),
    )
    done = calc.cli("ada", "plan", GOAL, env=model)
    assert done.code == 5
    assert "drafting utils.py" in done.err
    assert "--model" in done.err
    assert calc.refs("refs/heads/plan/") == []


def test_a_dry_run_prints_the_plan_and_writes_nothing(calc: Team, model: dict[str, str]) -> None:
    """What goes to stdout is the plan file as it would be committed."""
    done = calc.cli("ada", "plan", GOAL, "--dry-run", env=model)
    assert done.code == 0, done.text
    assert parse(done.out.encode(), file="plan").value["id"] == NAME
    assert calc.refs("refs/heads/plan/") == []


def test_a_name_that_another_goal_has_is_refused(calc: Team, model: dict[str, str]) -> None:
    """A plan is never replaced by one with another purpose."""
    ask(calc, model, GOAL, "--id", "one")
    done = calc.cli("ada", "plan", "Something else", "--id", "one", env=model)
    assert done.code == 2
    assert "another goal" in done.err


@pytest.mark.parametrize(
    "words",
    [("--file", "absent.py"), ("--context", "lib/**")],
)
def test_files_that_are_not_tracked_are_refused(
    calc: Team, model: dict[str, str], words: tuple[str, str]
) -> None:
    """A slip in a name is told before any model is asked."""
    done = calc.cli("ada", "plan", GOAL, *words, env=model)
    assert done.code == 2
    assert words[1] in done.err
    assert not (calc.root / ".git/planlock/models").exists()


def test_a_file_with_a_secret_is_not_sent_even_for_an_edit(calc: Team, tmp_path: Path) -> None:
    """The planner says which file it is, and that the edit is to be written by hand."""
    model = write_script(
        tmp_path / "model.yaml",
        (PLANNING, intents(("edit", "secret_notes.txt", "Add a line."))),
        (drafting("secret_notes.txt"), "x\n"),
    )
    done = calc.cli("ada", "plan", "Add a line to the notes", env=model)
    assert done.code == 4
    assert "secret_notes.txt" in done.err


def test_without_a_model_it_says_what_to_set(calc: Team) -> None:
    """Nothing configured is an answer with the next step, not a failure of the tool."""
    done = calc.cli("ada", "plan", GOAL)
    assert done.code == 3
    assert "no_route" in done.err
    assert "planlock doctor" in done.err


def bound(team: Team, budgets: str) -> None:
    """Let the policy bind money otherwise than `init` wrote it."""
    team.policy('budgets: {run_usd: "1.00"}', f"budgets: {{{budgets}}}")


def test_planning_is_refused_where_the_day_has_too_little_left(
    calc: Team, model: dict[str, str]
) -> None:
    """Nothing is asked, nothing written, and the refusal says what to raise."""
    bound(calc, 'day_usd: "0.0005"')
    done = calc.cli("ada", "plan", GOAL, env=model)
    assert done.code == 4
    assert "budget_exceeded" in done.err
    assert "budgets.day_usd" in done.err
    assert calc.refs("refs/heads/plan/") == []


def test_what_planning_cost_counts_for_the_day(
    calc: Team, model: dict[str, str], tmp_path: Path
) -> None:
    """A second plan finds less left; one from stored answers costs nothing and is made."""
    bound(calc, 'day_usd: "0.0025"')
    ask(calc, model, GOAL)
    other = write_script(
        tmp_path / "other.yaml",
        (PLANNING, intents(("edit", "README.md", "Say hello."))),
        (drafting("README.md"), "# hello\n"),
    )
    refused = calc.cli("ada", "plan", "Say hello in the README", env=other)
    assert refused.code == 4
    assert "budget_exceeded" in refused.err
    assert ask(calc, {}, GOAL)["new"] is False


def test_the_branch_can_be_pushed_for_a_pull_request(
    calc: Team, model: dict[str, str], tmp_path: Path
) -> None:
    """With a remote home, `--pr` brings the plan's branch there, without force."""
    home = tmp_path / "home.git"
    calc.git("clone", "-q", "--bare", str(calc.root), str(home))
    calc.git("remote", "add", "origin", str(home))
    calc.git("config", "planlock.home", str(home))
    local = ask(calc, model, GOAL, "--id", "here")
    assert str(home) in str(local["push_command"])
    done = ask(calc, model, GOAL, "--id", "there", "--pr")
    assert done["push_command"] == ""
    there = calc.git("for-each-ref", "--format=%(objectname)", "refs/heads/plan/", cwd=home)
    assert there == done["commit"]
