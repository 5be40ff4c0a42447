"""Ctrl-C on a real terminal, which reaches all processes there: pauses, and again, cancels."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from provider_server import ProviderServer, Raw, Seen, serving
from provider_server_openai import NoticingOpenAi
from real_runs import approved, running, started
from team import READ, Team, command
from terminal import terminal

ASK = "- {id: ask, step_type: analyze, description: Ask, input: {instruction: Explain}}\n"
OUTSIDE = "../../../../../.."
CTRL_C = "\x03"
PAUSES, CANCELS = "Ctrl-C again cancels the run", "cancelling the run"


class Thinking(NoticingOpenAi):
    """Answers a question when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = threading.Event()

    def complaint(self, seen: Seen) -> Raw | None:
        found = super().complaint(seen)
        if seen.method == "POST":
            self.may_answer.wait(60)
        return found


@pytest.fixture
def api() -> Thinking:
    return Thinking()


@pytest.fixture
def server(api: Thinking) -> Iterator[ProviderServer]:
    with serving(api) as found:
        yield found
        api.may_answer.set()


def stories(team: Team) -> tuple[str, list[tuple[str, str]]]:
    """How the run stands, and how each of its steps and ends came out."""
    story = team.cli("ada", "log", "job/1", "--json").json
    entries = [(each["step"] or each["kind"], each["status"]) for each in story["entries"]]
    return team.cli("ada", "status", "job", "--json").json["run_status"], entries


def test_F08_once_while_a_command_runs(team: Team) -> None:
    """The command does not notice, its step is recorded, and `resume` does the others."""
    team.policy("require: confined", "require: none")
    script = f"echo started; until test -e {OUTSIDE}/go; do sleep 0.05; done; echo done"
    approved(team, command(script) + READ)
    with terminal(team, "ada", "run", "job") as there:
        there.until("| started")
        there.type(CTRL_C)
        there.until(PAUSES)
        (team.base / "go").touch()
        there.until("| done")
        assert there.end() == 130
    assert stories(team) == ("paused", [("check", "completed")])
    assert team.cli("ada", "resume", "job").code == 0
    assert stories(team)[1] == [("check", "completed"), ("read", "completed"), ("end", "completed")]
    assert team.cli("ada", "audit").code == 0


@pytest.mark.parametrize("also", [False, True])
def test_F08_a_reader_that_goes_away(team: Team, *, also: bool) -> None:
    """As `| tee log` does at the same Ctrl-C, or without it: the run pauses after its step."""
    team.policy("require: confined", "require: none")
    script = f"echo started; until test -e {OUTSIDE}/go; do sleep 0.05; done; echo done"
    approved(team, command(script) + READ)
    with started(team, "run", "job") as process:
        assert process.stderr is not None
        while "| started" not in process.stderr.readline():
            assert process.poll() is None
        process.stderr.close()
        if also:
            process.send_signal(signal.SIGINT)
        (team.base / "go").touch()
        assert process.wait(60) == 130
    assert stories(team) == ("paused", [("check", "completed")])
    assert team.cli("ada", "resume", "job").code == 0
    assert team.cli("ada", "audit").code == 0


@pytest.mark.usefixtures("confined")
def test_F08_twice_while_a_command_runs(team: Team) -> None:
    """The command is ended with all its processes, and so is the run."""
    pause = f"3600.{os.getpid()}"
    approved(team, READ + command(f"setsid sleep {pause} & echo started; sleep {pause}; true"))
    with terminal(team, "ada", "run", "job") as there:
        there.until("| started")
        there.type(CTRL_C)
        there.until(PAUSES)
        there.type(CTRL_C)
        there.until(CANCELS)
        assert there.end() == 130
    assert not running(pause)
    assert "Traceback" not in there.text
    ends = [("read", "completed"), ("check", "interrupted"), ("end", "cancelled")]
    assert stories(team) == ("cancelled", ends)
    assert team.cli("ada", "resume", "job").code == 4
    assert team.cli("ada", "audit").code == 0


def test_F08_once_while_a_model_thinks(team: Team, api: Thinking, server: ProviderServer) -> None:
    """The answer is waited for and recorded; then the run is paused, and nobody asks again."""
    team.propose("job", ASK + READ)
    env = {"PLANLOCK_MODEL_URL": server.url}
    with terminal(team, "ada", "run", "job", env=env) as there:
        assert api.asked.wait(60)
        there.type(CTRL_C)
        there.until(PAUSES)
        api.may_answer.set()
        assert there.end() == 130
    assert stories(team) == ("paused", [("ask", "completed")])
    assert team.cli("ada", "resume", "job", env=env).code == 0
    assert len([each for each in server.seen if each.method == "POST"]) == 1
    assert team.cli("ada", "audit").code == 0


def test_F08_twice_while_a_model_thinks(team: Team, api: Thinking, server: ProviderServer) -> None:
    """Nobody waits for the answer any more, and the run is cancelled."""
    team.propose("job", READ + ASK)
    env = {"PLANLOCK_MODEL_URL": server.url}
    with terminal(team, "ada", "run", "job", env=env) as there:
        assert api.asked.wait(60)
        there.type(CTRL_C)
        there.until(PAUSES)
        there.type(CTRL_C)
        there.until(CANCELS)
        assert there.end() == 130
    assert not api.may_answer.is_set()
    assert "Traceback" not in there.text
    status, entries = stories(team)
    assert (status, entries[0], entries[-1]) == (
        "cancelled",
        ("read", "completed"),
        ("end", "cancelled"),
    )
    assert team.cli("ada", "audit").code == 0
