"""`planlock revise` and `plan --answer`: a new version that keeps what nobody asked to change."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_script import PLANNING, code, drafting, intents, write_script
from team import FACTORIAL, UTILS, Team

from runner.core.documents import dump, parse

GOAL = "Add factorial"
NAME = "add-factorial"
LOOP = UTILS + "\n\ndef factorial(n):\n    result = 1\n    while n > 1:\n        result *= n\n"
LOOP += "        n -= 1\n    return result\n"
README = "# calc\n\nIt has factorial().\n"


@pytest.fixture
def planned(tmp_path: Path) -> Team:
    """A plan that edits README.md, then utils.py, and asks one question; bob approved the first."""
    team = Team.governed(
        tmp_path, "bob", files={"utils.py": UTILS, "README.md": "# calc\n", ".gitignore": "x\n"}
    )
    model = write_script(
        tmp_path / "model.yaml",
        (
            PLANNING,
            intents(
                ("edit", "README.md", "Mention factorial()."),
                ("edit", "utils.py", "Add factorial()."),
                questions=("Recursion or a loop?",),
            ),
        ),
        (drafting("README.md"), README),
        (drafting("utils.py"), code(FACTORIAL)),
    )
    done = team.cli("ada", "plan", GOAL, env=model)
    assert done.code == 0, done.text
    team.approve("bob", NAME, "--step", "edit-readme")
    return team


def revision(tmp_path: Path, cost: str = "0.001") -> dict[str, str]:
    steps = intents(("keep", "edit-readme", "as it is"), ("edit", "utils.py", "Use a loop."))
    return write_script(
        tmp_path / "again.yaml",
        ("The wish:", steps),
        (drafting("utils.py"), code(LOOP)),
        cost=cost,
    )


def steps_of(team: Team) -> dict[str, dict[str, object]]:
    text = team.show_file(f"plan/{NAME}", f"plans/{NAME}/plan.yaml")
    return {
        step["id"]: step["input"] for step in parse(f"{text}\n".encode(), file="p").value["steps"]
    }


def test_a_revision_keeps_undo_commands(planned: Team, tmp_path: Path) -> None:
    """A person added one to each step; the kept step keeps its digest, the changed one its undo."""
    text = planned.show_file(f"plan/{NAME}", f"plans/{NAME}/plan.yaml")
    value = parse(f"{text}\n".encode(), file="p").value
    for step in value["steps"]:
        step["undo"] = {"command": f"undo {step['id']}"}
    planned.write({f"plans/{NAME}/plan.yaml": dump(value).decode()})
    assert planned.cli("ada", "propose", NAME).code == 0
    before = planned.cli("ada", "show", NAME, "--json").json["steps"]
    done = planned.cli("ada", "revise", NAME, "make it iterative", env=revision(tmp_path))
    assert done.code == 0, done.text
    after = planned.cli("ada", "show", NAME, "--json").json["steps"]
    assert after[0]["digest"] == before[0]["digest"]
    assert ["undo command", "undo edit-utils"] in after[1]["details"]


def test_a_revision_keeps_untouched_steps_and_their_approvals(
    planned: Team, tmp_path: Path
) -> None:
    """The kept step has its digest and its approval; the changed one keeps its name."""
    before = planned.cli("ada", "show", NAME, "--json").json
    done = planned.cli("ada", "revise", NAME, "make it iterative", env=revision(tmp_path))
    assert done.code == 0, done.text
    after = planned.cli("ada", "show", NAME, "--json").json
    digests = [[step["digest"] for step in view["steps"]] for view in (before, after)]
    assert digests[0][0] == digests[1][0]
    assert digests[0][1] != digests[1][1]
    assert list(steps_of(planned)) == ["edit-readme", "edit-utils"]
    assert steps_of(planned)["edit-utils"]["new_content"] == LOOP
    status = planned.cli("ada", "status", NAME, "--json").json
    states = [step["status"] for step in status["steps"]]
    assert states[0] == "ready"
    assert states[1] != "ready"


def test_a_revision_tells_what_was_asked_and_what_all_versions_cost(
    planned: Team, tmp_path: Path
) -> None:
    """The wish stands among the assumptions; tokens and money add up."""
    done = planned.cli(
        "ada", "revise", NAME, "make it iterative", "--json", env=revision(tmp_path, cost="0.01")
    )
    assert done.code == 0, done.text
    plan = parse(done.json["text"].encode(), file="p").value
    assert "Asked on revision: make it iterative" in plan["assumptions"]
    assert plan["planner"]["cost_usd"] == "0.023"
    assert plan["planner"]["tokens"] == {"input": 500, "output": 100}
    assert plan["questions"] == []


def test_an_answer_revises_the_plan(planned: Team, tmp_path: Path) -> None:
    """Answers are put beside their questions for the model, and the base stays."""
    before = planned.cli("ada", "show", NAME, "--json").json
    done = planned.cli("ada", "plan", NAME, "--answer", "a loop", env=revision(tmp_path))
    assert done.code == 0, done.text
    stored = "".join(p.read_text() for p in (planned.root / ".git/planlock/models").rglob("*.json"))
    assert "To the question 'Recursion or a loop?' the answer is: a loop." in stored
    after = planned.cli("ada", "show", NAME, "--json").json
    assert after["base"] == before["base"]
    assert any("a loop" in line for line in after["assumptions"])


def test_a_draft_of_a_revision_begins_from_the_plans_own_text(
    planned: Team, tmp_path: Path
) -> None:
    """The model sees its earlier draft; what it writes is against the base all the same."""
    planned.cli("ada", "revise", NAME, "make it iterative", env=revision(tmp_path))
    asked = [
        p.read_text()
        for p in (planned.root / ".git/planlock/models").rglob("*.json")
        if "And now: make it iterative" in p.read_text()
    ]
    assert len(asked) == 1
    assert "n * factorial(n - 1)" in asked[0]
    assert planned.cli("ada", "show", NAME).code == 0


@pytest.mark.parametrize(
    "words, code_, why",
    [
        (("revise", "absent", "x"), 3, "looking for plan"),
        (("plan", "absent", "--answer", "x"), 3, "looking for plan"),
        (("plan", NAME, "--answer", "x", "--id", "y"), 2, "leave --id out"),
    ],
)
def test_slips_are_told(
    planned: Team, tmp_path: Path, words: tuple[str, ...], code_: int, why: str
) -> None:
    """A plan that is not there, or an option that makes no sense, costs nothing."""
    done = planned.cli("ada", *words, env=revision(tmp_path))
    assert done.code == code_
    assert why in done.text
