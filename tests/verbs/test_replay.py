"""`replay` does a recorded run again, asks nobody, writes nothing, and explains what differs."""

from __future__ import annotations

from typing import Any

import pytest
from fake_models import Says, Try
from fake_models import run as run_with_models
from team import EDIT, READ, Result, Team, command

ASK = "- {id: ask, step_type: analyze, description: Ask, input: {instruction: Say why}}\n"
COUNT = command("wc -l < utils.py > count; echo counted", more="writes: [count]\n")
DICE = "od -An -N8 -tx1 /dev/urandom"


def approved_run(team: Team, steps: str, *, env: dict[str, str] | None = None) -> Result:
    team.propose("job", steps)
    team.approve("bob", "job")
    return team.cli("ada", "run", "job", env=env)


def replayed(team: Team, *options: str, env: dict[str, str] | None = None, code: int = 0) -> Any:
    done = team.cli("ada", "replay", "job/1", "--json", *options, env=env)
    assert done.code == code, done.text
    return done.json


def everything(team: Team) -> tuple[str, str]:
    """All refs and all objects of the repository."""
    names = "--batch-check=%(objectname)"
    return team.git("for-each-ref"), team.git("cat-file", names, "--batch-all-objects")


@pytest.mark.usefixtures("confined")
def test_P8_a_run_replays_to_the_same_tree(team: Team) -> None:
    """Reading, an edit and a command give the same files and outputs, and leave no trace."""
    assert approved_run(team, READ + EDIT + COUNT).code == 0
    before = everything(team)
    report = replayed(team)
    assert report["verdict"] == "same"
    assert [each["result"] for each in report["steps"]] == ["same"] * 3
    assert report["difference"] is None
    assert everything(team) == before
    assert not any((team.root / ".git/planlock/replay").glob("*"))


@pytest.mark.usefixtures("confined")
def test_an_output_that_differs_is_told_apart(team: Team) -> None:
    """A command that prints something else, while all files are the same, is no difference."""
    assert approved_run(team, command(f"echo first; {DICE}") + EDIT).code == 0
    report = replayed(team)
    assert report["verdict"] == "outputs_differ"
    assert [each["result"] for each in report["steps"]] == ["output_differs", "same"]
    assert report["steps"][0]["why"].startswith("line 2: ")
    shown = team.cli("ada", "replay", "job").out
    assert "the same files; outputs differ" in shown


@pytest.mark.usefixtures("confined")
def test_the_first_difference_is_explained(team: Team) -> None:
    """Of a command that writes other content, step, file and changed lines are told; exit 1."""
    steps = EDIT + command(f"echo kept > out; {DICE} >> out", more="writes: [out]\n") + READ
    assert approved_run(team, steps).code == 0
    report = replayed(team, code=1)
    found = report["difference"]
    assert (report["verdict"], found["what"], found["path"]) == ("differs", "files", "out")
    assert (found["record"], found["step"]) == ("002-check.yaml", "check")
    lines = found["diff"].splitlines()
    assert " kept" in lines
    assert [line[0] for line in lines[-2:]] == ["-", "+"]
    assert [each["result"] for each in report["steps"]] == ["same", "differs"]
    shown = team.cli("ada", "replay", "job/1")
    assert shown.code == 1
    assert "first difference: 002-check.yaml files out" in shown.out


@pytest.mark.usefixtures("confined")
def test_a_status_that_differs_is_a_difference(team: Team) -> None:
    """A command that fails where it had succeeded is told with both ends."""
    team.policy("secrets: []", "secrets: [FLAVOUR]")
    steps = command('test "$FLAVOUR" = vanilla-ice', more="secrets: [FLAVOUR]\n")
    assert approved_run(team, steps, env={"FLAVOUR": "vanilla-ice"}).code == 0
    assert replayed(team, env={"FLAVOUR": "vanilla-ice"})["verdict"] == "same"
    found = replayed(team, env={"FLAVOUR": "chocolate-ice"}, code=1)["difference"]
    assert (found["what"], found["recorded"]) == ("status", "completed")
    assert found["replayed"] == "failed: command_failed"


@pytest.mark.usefixtures("confined")
def test_what_cannot_be_done_again_is_left_out(team: Team) -> None:
    """A command without its secret is not done; its files are taken from the record."""
    team.policy("secrets: []", "secrets: [FLAVOUR]")
    first = command("echo made > made", name="make", more="secrets: [FLAVOUR]\nwrites: [made]\n")
    steps = first + command("cat made > copy", more="writes: [copy]\n")
    assert approved_run(team, steps, env={"FLAVOUR": "vanilla-ice"}).code == 0
    report = replayed(team)
    assert [each["result"] for each in report["steps"]] == ["not_replayed", "same"]
    assert "FLAVOUR, which is not set here" in report["steps"][0]["why"]
    assert "1 of 2 not done again" in team.cli("ada", "replay", "job").out


@pytest.mark.usefixtures("confined")
def test_a_network_is_given_again_only_when_asked(team: Team) -> None:
    """A command that had a network has no effect outside by a replay unless `--network` says so."""
    team.policy("network: []", "network: [example.invalid]")
    steps = command("echo hello", more="network: [example.invalid]\n")
    assert approved_run(team, steps).code == 0
    assert replayed(team)["steps"][0]["result"] == "not_replayed"
    assert replayed(team, "--network")["steps"][0]["result"] == "same"


def test_models_are_not_asked(team: Team) -> None:
    """Answers come from the run's branch, where no model is to be had at all."""
    team.propose("job", READ + ASK)
    run_with_models(team, "job", Says(tries=(Try(cost="0.001"),)))
    report = replayed(team)
    assert [each["result"] for each in report["steps"]] == ["same", "same"]
    assert team.cli("ada", "cost", "job/1", "--json").json["total"]["calls"] == 1


@pytest.mark.usefixtures("confined")
def test_failures_are_done_again_too(team: Team) -> None:
    """A step that failed fails again, and what came after its retry is the same."""
    steps = command("test -e utils.py -a ! -e made") + COUNT.replace("id: check", "id: count")
    assert approved_run(team, command("exit 3", name="never") + steps).code == 5
    report = replayed(team)
    assert [(each["status"], each["result"]) for each in report["steps"]] == [("failed", "same")]


def test_only_what_a_runner_signed_is_done(team: Team) -> None:
    """A commit that no runner signed on the run's branch keeps all of it from being done."""
    assert approved_run(team, READ + EDIT).code == 0
    branch = "planlock/job/1"
    mine = team.git("commit-tree", f"{branch}^{{tree}}", "-p", branch, "-m", "Mine")
    team.git("update-ref", f"refs/heads/{branch}", mine)
    done = team.cli("ada", "replay", "job/1")
    assert done.code == 4, done.text
    assert "its last commit is not signed by" in done.err


def test_a_run_that_is_not_there(team: Team) -> None:
    """The runs that there are are named."""
    assert approved_run(team, READ).code == 0
    done = team.cli("ada", "replay", "job/7")
    assert done.code == 3
    assert "runs of this plan: job/1" in done.err
