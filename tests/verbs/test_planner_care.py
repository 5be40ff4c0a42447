"""What the planner must not do: send secrets, replace others' work, forget what was spent."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from model_script import PLANNING, code, drafting, intents, write_script
from team import FACTORIAL, UTILS, Team, surroundings

from runner.core.errors import BranchBusy
from runner.core.model_call import CacheWish
from runner.project import Project, real_world
from runner.verbs import plan as verb
from runner.verbs.planning import Wish

TOKEN = "ghp_" + "a1B2" * 9
FILES = {"utils.py": UTILS, "README.md": "# calc\n", ".gitignore": "x\n"}
OTHER = "- {id: other, step_type: read_file, description: Look, input: {path: README.md}}\n"


@pytest.fixture
def calc(tmp_path: Path) -> Team:
    return Team.governed(tmp_path, "bob", files=FILES)


def script(tmp_path: Path, *more: tuple[str, str]) -> dict[str, str]:
    return write_script(
        tmp_path / "model.yaml",
        *more,
        (PLANNING, intents(("edit", "utils.py", "Add factorial()."))),
        (drafting("utils.py"), code(FACTORIAL)),
    )


def stored(team: Team) -> str:
    folder = team.root / ".git/planlock/models"
    return "".join(path.read_text() for path in folder.rglob("*.json"))


@pytest.mark.parametrize(
    "words,why",
    [
        (("plan", f"Use {TOKEN} for x"), "goal holds what looks like a secret"),
        (("plan", " "), "goal is empty"),
        (("plan", "a\x07b"), "goal: "),
        (("plan", "a\u202eb"), "goal: "),
        (("plan", "a\udcffb"), "goal: "),
        (("plan", "x" * 20_001), "at most 20000"),
        (("plan", "!!!"), "no letters in it"),
        (("plan", "Do it", "--model", " "), "--model is empty"),
        (("plan", "Do it", "--model", "m" * 600), "no name of a model"),
        (("plan", "Do it", "--pr"), "no remote home"),
        (("revise", "job", "  "), "wish is empty"),
        (("plan", "job", "--answer", ""), "answer is empty"),
    ],
)
def test_what_cannot_be_planned_is_told_before_a_model_is_paid(
    calc: Team, tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    """Nothing is asked, sent or stored."""
    done = calc.cli("ada", *words, env=script(tmp_path))
    assert done.code == 2, done.text
    assert why in done.err
    assert stored(calc) == ""


def test_a_goal_in_another_script_has_a_name_made_of_its_digest(calc: Team, tmp_path: Path) -> None:
    """The same goal has the same name."""
    goal = "添加阶乘函数"
    for _ in range(2):
        done = calc.cli("ada", "plan", goal, "--json", env=script(tmp_path))
        assert done.code == 0, done.text
    name = f"plan-{hashlib.sha256(goal.encode()).hexdigest()[:8]}"
    assert calc.refs("refs/heads/plan/") == [f"refs/heads/plan/{name}"]


def test_planning_again_does_not_drop_a_revision(calc: Team, tmp_path: Path) -> None:
    """It is refused with both ways to go on; `--live` plans anew in its place."""
    model = script(
        tmp_path,
        ("The wish:", intents(("edit", "README.md", "Say it."))),
        (drafting("README.md"), "# more\n"),
    )
    assert calc.cli("ada", "plan", "Do job", "--id", "job", env=model).code == 0
    assert calc.cli("ada", "revise", "job", "say it", env=model).code == 0
    revised = calc.git("rev-parse", "plan/job")
    done = calc.cli("ada", "plan", "Do job", "--id", "job", env=model)
    assert done.code == 2
    assert "planlock revise job WISH" in done.err
    assert calc.git("rev-parse", "plan/job") == revised
    assert calc.cli("ada", "plan", "Do job", "--id", "job", "--live", env=model).code == 0


def test_a_secret_that_the_plan_itself_writes_is_not_sent_on_revision(
    calc: Team, tmp_path: Path
) -> None:
    """Neither as material nor as the text to begin from, whether or not git knows the file."""
    step = "- id: env\n  step_type: edit_file\n  description: D\n"
    step += f"  input: {{path: conf.py, new_content: 'T = \"{TOKEN}\"'}}\n"
    calc.propose("job", step)
    again = script(
        tmp_path,
        ("The wish:", intents(("keep", "env", "x"), ("edit", "utils.py", "Add factorial()."))),
    )
    done = calc.cli("ada", "revise", "job", "add factorial", env=again)
    assert done.code == 0, done.text
    assert TOKEN not in stored(calc)
    edits = script(tmp_path, ("The wish:", intents(("edit", "conf.py", "Add y."))))
    refused = calc.cli("ada", "revise", "job", "add y", env=edits)
    assert refused.code == 4
    assert "conf.py: it may not be sent to a model" in refused.err
    assert TOKEN not in stored(calc)


def test_a_file_named_as_a_secret_is_never_drafted(calc: Team, tmp_path: Path) -> None:
    """Also where it does not exist yet."""
    model = script(tmp_path, (PLANNING, intents(("edit", ".env", "Add a key."))))
    done = calc.cli("ada", "plan", "Add a key", env=model)
    assert done.code == 4
    assert "its name says that it holds secrets" in done.err


@pytest.mark.parametrize("before", [True, False])
def test_a_plan_that_changed_meanwhile_is_not_replaced(
    calc: Team,
    tmp_path: Path,
    before: bool,  # noqa: FBT001  # a case
) -> None:
    """Whether it was there before or not, what others proposed while the model wrote stays."""
    if before:
        calc.propose("job", OTHER.replace("Look", "See"))
    goal = "Do job"

    def tell(kind: str, text: str) -> None:
        if kind == "phase" and text.startswith("step"):
            calc.propose("job", OTHER, who="bob")

    with (
        surroundings(calc.root, calc.environment("ada", script(tmp_path))),
        Project(real_world()) as project,
        pytest.raises(BranchBusy, match="changed while the model wrote"),
    ):
        verb.plan(
            project, Wish(goal=goal, cache=CacheWish(mode="off")), verb.Into(plan_id="job"), tell
        )
    assert "id: other" in calc.show_file("plan/job", "plans/job/plan.yaml")


def test_an_approval_that_came_meanwhile_does_not_hinder(calc: Team, tmp_path: Path) -> None:
    """Only the plan's own file counts: the decision stays on the branch."""
    assert calc.cli("ada", "plan", "Do job", "--id", "job", env=script(tmp_path)).code == 0

    def tell(kind: str, text: str) -> None:
        if kind == "phase" and text.startswith("step"):
            calc.approve("bob", "job")

    slower = write_script(
        tmp_path / "again.yaml",
        ("The wish:", intents(("edit", "README.md", "Say it."))),
        (drafting("README.md"), "# more\n"),
    )
    with (
        surroundings(calc.root, calc.environment("ada", slower)),
        Project(real_world()) as project,
    ):
        done = verb.revise(project, "job", Wish(goal="", change="say it"), verb.Into(), tell)
    assert done.new
    assert "approvals/" in calc.git("ls-tree", "-r", "--name-only", "plan/job", "plans/job/")


def test_a_planning_that_fails_tells_what_it_cost_and_books_it(calc: Team, tmp_path: Path) -> None:
    """Three questions were paid for; the ledger has them although no plan came of it."""
    model = write_script(
        tmp_path / "model.yaml",
        (PLANNING, intents(("edit", "utils.py", "Add factorial()."))),
        ("utils.py", code("def factorial(:\n")),
        cost="0.25",
    )
    done = calc.cli("ada", "plan", "Do job", env=model)
    assert done.code == 5
    assert "3 questions to a model cost 0.75 USD, and no plan came of it" in done.err
    told = calc.cli("ada", "cost")
    assert "planning: 3 calls, 360 tokens, 0.75 USD (not part of the sum)" in told.out
    calc.policy('budgets: {run_usd: "1.00"}', 'budgets: {project_usd: "0.80"}')
    refused = calc.cli("ada", "plan", "Do job", "--live", env=model)
    assert refused.code == 4
    assert "budget_exceeded" in refused.err
