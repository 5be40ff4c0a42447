"""Many runs at once, in one clone and in several, and `status` that shows them all."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from real_runs import started, until
from team import EDIT, READ, Team, command

pytestmark = pytest.mark.usefixtures("confined")
COUNT = command("echo once >> count; echo started; sleep 0.5", more="writes: [count]\n")
NAMES = ("one", "two", "three", "four")


def prepared(team: Team) -> Team:
    for name in NAMES:
        team.propose(name, READ + COUNT + EDIT)
        team.approve("bob", name)
    return team


def lines(team: Team, *options: str) -> Any:
    done = team.cli("ada", "status", "--json", *options)
    assert done.code == 0, done.text
    return done.json


def check(team: Team) -> None:
    for name in NAMES:
        assert team.show_file(f"planlock/{name}/1", "count") == "once"
    assert team.cli("ada", "audit").code == 0, team.cli("ada", "audit").out
    assert team.cli("ada", "ledger", "check").code == 0
    team.git("fsck", "--strict")
    assert not list((team.root / ".git").glob("refs/**/*.lock"))


def test_many_runs_side_by_side(tmp_path: Path) -> None:
    """Four runs in each of two repositories at the same moment, all to their ends."""
    teams = [prepared(Team.governed(tmp_path / name, "bob")) for name in ("a", "b")]
    with ExitStack() as stack:
        running = [
            stack.enter_context(started(team, "run", name)) for team in teams for name in NAMES
        ]
        for process in running:
            _, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
    for team in teams:
        check(team)
    (here, there) = lines(teams[0], *(f"--in={team.root}" for team in teams))
    assert here["place"] != there["place"]
    for each in (here, there):
        assert each["open"] == []
        assert {(run["plan"], run["status"]) for run in each["ended"]} == {
            (name, "completed") for name in NAMES
        }


def test_two_runners_of_one_plan(tmp_path: Path) -> None:
    """Started at the same moment, one runs the plan; the other is told, or finds it done."""
    team = prepared(Team.governed(tmp_path, "bob"))
    with ExitStack() as stack:
        both = [stack.enter_context(started(team, "run", "one")) for _ in range(2)]
        told = [each.communicate(timeout=120) for each in both]
    codes = sorted(each.returncode for each in both)
    assert codes in ([0, 0], [0, 4]), told
    if codes[1]:
        assert any("is held by" in err or "took it" in err for _, err in told), told
    assert team.show_file("planlock/one/1", "count") == "once"
    assert team.refs("refs/heads/planlock") == ["refs/heads/planlock/one/1"]


def test_status_shows_who_is_at_work(tmp_path: Path) -> None:
    """A run that goes on, one that stopped, and one that has ended, each with how far it is."""
    team = prepared(Team.governed(tmp_path, "bob"))
    team.propose("slow", READ + command("echo started; sleep 60"))
    team.approve("bob", "slow")
    assert team.cli("ada", "run", "one").code == 0
    assert team.cli("ada", "run", "two", "--until", "read").code == 0
    assert team.cli("bob", "pause", "two", "--reason", "lunch").code == 0
    with started(team, "run", "slow", "--json") as process:
        until(process, "output")
        (found,) = lines(team)
        slow, two = found["open"]
        assert (slow["plan"], slow["status"], slow["done"], slow["total"]) == (
            "slow",
            "running",
            1,
            2,
        )
        assert (slow["step"], f"/{process.pid}/" in slow["holder"]) == ("check", True)
        assert (two["plan"], two["status"], two["step"], two["holder"]) == (
            "two",
            "paused",
            "check",
            "",
        )
        assert two["why"].endswith(": lunch")
        assert [each["plan"] for each in found["ended"]] == ["one"]
        text = team.cli("ada", "status").out
        assert "slow/1  running  1/2  at check, held by" in text
        assert team.cli("ada", "cancel", "slow").code == 0


def test_status_watches_until_interrupted(tmp_path: Path) -> None:
    """One line for each change, and Ctrl-C is how it ends."""
    team = prepared(Team.governed(tmp_path, "bob"))
    with started(team, "status", "--watch", "--json") as process:
        assert json.loads(_line(process))[0]["ended"] == []
        assert team.cli("ada", "run", "one").code == 0
        while not (found := json.loads(_line(process)))[0]["ended"]:
            assert found[0]["open"][0]["plan"] == "one"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_status_of_all_and_of_one_exclude_each_other(team: Team) -> None:
    """A clear word where the options do not fit, and where there is nothing to show."""
    assert team.cli("ada", "status", "one", "--watch").code == 2
    assert "no runs yet" in team.cli("ada", "status").out
