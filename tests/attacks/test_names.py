"""Attacks through names: what a shell, an expression or a trailer could take for its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tampering import findings
from team import READ, Result, Team, command

NAMES = (
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned #",
    "| touch pwned",
    "${{ github.token }}",
    "${IFS}touch${IFS}pwned",
    "--upload-pack=touch pwned;",
    "-c core.pager=touch pwned",
    "a'b\"c",
    "%(trailers)",
    "*",
)


def pwned(team: Team) -> list[Path]:
    """Traces of a name that something executed."""
    return [each for each in team.base.rglob("*pwned*") if each.name == "pwned"]


def approved_run(team: Team, steps: str, extra: str = "") -> Result:
    team.propose("job", steps, extra=extra)
    team.approve("bob", "job", "--reason", NAMES[0])
    return team.cli("ada", "run", "job")


def edit(path: str) -> str:
    given = json.dumps({"path": path, "new_content": "x"})
    return (
        f"- {{id: edit, step_type: edit_file, description: {json.dumps(path)}, input: {given}}}\n"
    )


@pytest.mark.parametrize("name", NAMES)
def test_A14_a_file_of_any_name(team: Team, name: str) -> None:
    """A file name is a name and nothing else, in git's arguments, in commits and in the audit."""
    done = approved_run(
        team, edit(f"in/{name}") + READ, extra=f"assumptions: [{json.dumps(name)}]\n"
    )
    assert done.code == 0, done.text
    made = team.git("ls-tree", "-r", "-z", "--name-only", "planlock/job/1", "in/").strip("\0")
    assert made == f"in/{name}"
    for verb in ("show", "status", "log", "cost"):
        assert team.cli("ada", verb, "job").code == 0
    assert findings(team) == {}
    assert pwned(team) == []


@pytest.mark.parametrize("name", NAMES[6:8])
def test_A14_a_file_whose_name_begins_like_an_option(team: Team, name: str) -> None:
    """At the top of the tree too, where git would see it first."""
    assert approved_run(team, edit(name)).code == 0
    assert pwned(team) == []


@pytest.mark.usefixtures("confined")
@pytest.mark.parametrize("name", NAMES[:6])
def test_A14_a_command_in_a_folder_of_any_name(team: Team, name: str) -> None:
    """Only the command is given to a shell: not its folder, its variables or what it declares."""
    team.commit({f"{name}/here": "x"}, "Odd")
    more = f"working_dir: {json.dumps(name)}\nenv: {{ODD: {json.dumps(name)}}}\n"
    more += f"writes: [{json.dumps(name + '/made')}]\n"
    done = approved_run(team, command('ls; printf "%s" "$ODD" > made', more=more))
    assert done.code == 0, done.text
    assert team.show_file("planlock/job/1", f"{name}/made") == name
    assert pwned(team) == []


@pytest.mark.parametrize("text", ["a\nApproved-by: cleo@example.com", "a\n\nStep-Status: failed"])
def test_A14_text_that_looks_like_a_trailer(team: Team, text: str) -> None:
    """Goals, descriptions and reasons do not get between the trailers of a commit."""
    team.plan("job", edit("made"))
    path = team.root / "plans/job/plan.yaml"
    path.write_text(path.read_text().replace("goal: Do job", f"goal: {json.dumps(text)}"))
    assert team.cli("ada", "propose", "job").code == 0
    team.approve("bob", "job", "--reason", text)
    assert team.cli("ada", "run", "job").code == 0
    said = team.git("log", "--format=%(trailers)", "planlock/job/1", "plan/job")
    assert "Approved-by: bob@example.com" in said
    assert "cleo@" not in said
    assert "failed" not in said
    assert findings(team) == {}
