"""Attacks on who reads: each hostile text through each command, in a terminal and in Actions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import hostile_text
import pytest
from actions_parser import commands
from hostile_text import TEXTS, controls
from team import Result, Team, command

ACTIONS = {"GITHUB_ACTIONS": "true"}
# What a plan may say: YAML with hidden characters is refused (B03).
SAYABLE = {name: text for name, text in TEXTS.items() if not controls(text)}
FORMATS = ("text", "json", "markdown", "html", "actions")
# An argument is bytes: those that are no UTF-8 come as other lone surrogates.
ALL = "\n".join(TEXTS.values()).replace("\ud800", "\udcff").replace("\udc00", "\udcfe")
NAMED = (TEXTS["command"], TEXTS["older"], TEXTS["spaced"], ALL)
ARGUMENTS = (
    *(["show", "{}"], ["show", "./{}.yaml"], ["status", "{}"], ["log", "{}/1"], ["diff", "{}"]),
    *(["run", "{}"], ["run", "{}", "--json"], ["review", "{}"], ["cost", "{}"], ["{}"]),
    *(["approve", "job", "--step", "{}"], ["show", "job", "--format", "{}"], ["--{}"]),
    *(["diff", "job", "--by", "{}"], ["policy", "explain", "{}"], ["validate", "{}"]),
    *(["policy", "test", "--command", "{}"], ["policy", "test", "--path", "{}"]),
    *(["validate", "{}", "--format", "github"], ["models", "export", "{}/x"], ["schema", "{}"]),
    *(["people", "add", "{}", "--key", "{}"], ["propose", "{}"], ["new", "{}", "--id", "{}"]),
    *(["key", "new", "--file", "{}/k", "--comment", "{}"], ["reject", "{}", "--reason", "{}"]),
)
READING = (
    *([verb, "job", "--format", style] for verb in ("show", "log") for style in FORMATS),
    *(["log", "job", "--full"], ["status", "job"], ["status", "job", "--json"], ["diff", "job"]),
    *(["diff", "job", "--json"], ["review"], ["review", "--json"], ["audit"], ["audit", "--json"]),
    *(["cost", "job"], ["policy", "explain", "job"], ["policy", "test"], ["validate"], ["whoami"]),
    *(["policy", "explain", "job", "--json"], ["validate", "--format", "github"], ["doctor"]),
    *(["show", "plans/odd/plan.yaml"], ["run", "job"], ["run", "job", "--json"]),
)


def inert(done: Result, *, actions: bool, ours: Sequence[str] = ()) -> None:
    """Nothing hidden came out, nor in Actions a command but those of ours; no bug was met."""
    assert done.code != 70, done.text
    for stream in (done.out, done.err):
        assert controls(stream) == []
        if actions:
            assert [name for name in commands(stream) if name not in ours] == []


def hostile_steps() -> str:
    """An edit that changes a hostile file and says hostile things, and a look at the file."""
    said = " ".join(text.replace("\n", " ") for text in SAYABLE.values())
    new = json.dumps({"path": "odd.txt", "new_content": "x\n"})
    edit = f"- {{id: edit, step_type: edit_file, description: {json.dumps(said)}, input: {new}}}\n"
    look = "- {id: look, step_type: read_file, description: L, input: {path: odd.txt}}\n"
    return look + edit + command(f"echo {json.dumps(said)}", name="say")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Team:
    """A repository in which content, plan, people and history say what they can."""
    base = tmp_path_factory.mktemp("hostile")
    odd = "\n".join(TEXTS.values()).encode(errors="surrogatepass").decode(errors="replace")
    team = Team.governed(base, "bob", files={"utils.py": "", "odd.txt": odd})
    goal = json.dumps("\n".join(["::error::goal", *SAYABLE.values()]))
    rule = f'{{name: {json.dumps(SAYABLE["older"])}, match: {{path: "odd/**"}}, approvals: 1}}'
    team.policy("rules: []", f"rules: [{rule}]")
    team.plan("job", hostile_steps(), extra=f"assumptions: [{json.dumps(SAYABLE['markdown'])}]\n")
    path = team.root / "plans/job/plan.yaml"
    path.write_text(path.read_text().replace("goal: Do job", f"goal: {goal}"))
    assert team.cli("ada", "propose", "job").code == 0
    team.approve("bob", "job", "--step", "edit", "--reason", TEXTS["spaced"])
    assert team.cli("ada", "run", "job").code == 4
    team.write({"plans/odd/plan.yaml": f"version: {TEXTS['older']}\ngoal: {TEXTS['link']}\n"})
    policy = team.root / "plans/policy.yaml"
    policy.write_text(policy.read_text() + "# changed\n")
    named = {f"GIT_{who}_NAME": "e\x1b[31mve\u202e ##[error]" for who in ("AUTHOR", "COMMITTER")}
    team.git("commit", "-qam", TEXTS["command"] + TEXTS["clipboard"], env=named)
    team.git("branch", "planlock/job/9\u202ex", "main")
    return team


@pytest.mark.parametrize("words", ARGUMENTS, ids=" ".join)
def test_E01_E03_arguments(hostile: Team, words: list[str]) -> None:
    """What is named on the command line, and not found, is told without effect."""
    for text in NAMED:
        args = [word.replace("{}", text) for word in words]
        inert(hostile.cli("ada", *args), actions=False)
        inert(hostile.cli("ada", *args, env=ACTIONS), actions=True, ours=_ours(words))


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_E01_E03_what_the_repository_says(hostile: Team, words: list[str]) -> None:
    """Goals, descriptions, files, outputs, authors and branches are shown and do nothing."""
    inert(hostile.cli("bob", *words), actions=False)
    inert(hostile.cli("bob", *words, env=ACTIONS), actions=True, ours=_ours(words))


def _ours(words: Sequence[str]) -> tuple[str, ...]:
    """Commands that we give ourselves where they are asked for."""
    if words[-1] == "actions":
        return ("group", "endgroup", "warning")
    return ("error",) if words[-1] == "github" else ()


@pytest.mark.parametrize("words", [["show", "job"], ["log", "job", "--full"], ["status", "job"]])
def test_E03_the_same_text_would_command_elsewhere(hostile: Team, words: list[str]) -> None:
    """Outside of a workflow nothing is defused, so the parser of these tests finds commands."""
    assert "set-env" in commands(hostile.cli("bob", *words).out) or words[0] == "status"
    assert commands(hostile.cli("bob", *words, env=ACTIONS).out) == []


def test_E03_the_groups_are_ours(hostile: Team) -> None:
    """A plan's log has a group a step, closed before the next, whatever the steps say."""
    shown = hostile.cli("bob", "show", "job", "--format", "actions", env=ACTIONS)
    found = [name for name in commands(shown.out) if name != "warning"]
    assert found == ["group", "endgroup"] * 3


def test_E01_no_text_passes_for_a_line_of_ours(hostile: Team) -> None:
    """A goal of several lines stands indented, or on one line."""
    for words in (["show", "job"], ["status", "job"], ["log", "job"]):
        lines = hostile.cli("bob", *words).out.splitlines()
        assert not [line for line in lines if line.startswith(("::", "|---|", "~~~"))]


@pytest.mark.usefixtures("confined")
def test_E01_E03_live_output(tmp_path: Path) -> None:
    """What a command prints while it runs, in one piece or byte by byte, is shown inertly."""
    team = Team.governed(
        tmp_path, "bob", files={"odd": "\n".join(TEXTS.values()).replace(TEXTS["lone"], "lone")}
    )
    slow = "while IFS= read -r -N1 c; do printf %s \"$c\"; done < odd; printf '::err'; sleep 0.2; "
    team.propose("job", command(f"cat odd; {slow} printf 'or::x'"))
    team.approve("bob", "job")
    done = team.cli("ada", "run", "job", env=ACTIONS)
    assert done.code == 0, done.text
    inert(done, actions=True)
    inert(team.cli("ada", "log", "job", "--full"), actions=False)


def test_hostile_names_are_not_lost(hostile: Team) -> None:
    """What was made inert can still be read: the escaped form is there."""
    assert "\\x1b[31m" in hostile.cli("bob", "log", "job", "--full").out
    assert "\\u202e" in hostile.cli("bob", "show", "job").out
    assert "\\::set-env" not in hostile.cli("bob", "show", "job").out
    assert hostile_text.controls(hostile.git("log", "-1", "--format=%an %s", "main"))
