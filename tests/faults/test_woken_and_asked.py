"""A runner that slept while it waited for a command, and one that is stopped while a model thinks."""

from __future__ import annotations

import os
import signal

import pytest
from provider_server import Silence, serving
from provider_server_openai import NoticingOpenAi
from real_runs import approved, expire_lease, press_once, running, started, until
from team import READ, Team, command

ASK = "- {id: ask, step_type: analyze, description: Ask, input: {instruction: Explain}}\n"


@pytest.mark.usefixtures("confined")
def test_A40_a_woken_runner_ends_its_command(team: Team) -> None:
    """Another finished its run meanwhile: its command does not go on, and it writes nothing."""
    pause = f"3600.{os.getpid()}"
    script = f"echo started; test -e done || sleep {pause} & wait; echo x > count"
    approved(team, READ + command(script, more="writes: [count]\n"))
    with started(team, "run", "job", "--json") as asleep:
        until(asleep, "output")
        while not running(pause):
            assert asleep.poll() is None
        asleep.send_signal(signal.SIGSTOP)
        expire_lease(team)
        assert team.cli("ada", "resume", "job", "--skip").code == 0
        before = team.git("for-each-ref")
        rows = team.cli("ada", "ledger", "check")
        asleep.send_signal(signal.SIGCONT)
        out, err = asleep.communicate(timeout=60)
    assert asleep.returncode == 4, out + err
    assert "run_held" in out
    assert "no longer ours" in out
    assert not running(pause)
    assert team.git("for-each-ref") == before
    assert (rows.code, team.cli("ada", "ledger", "check").text) == (0, rows.text)
    assert team.cli("ada", "audit").code == 0


def test_F08_once_while_a_model_thinks(team: Team) -> None:
    """The answer is waited for and recorded; then the run is paused."""
    team.propose("job", ASK + READ)
    api = NoticingOpenAi()
    with serving(api) as server:
        server.give(Silence())
        with started(team, "run", "job", "--json", PLANLOCK_MODEL_URL=server.url) as process:
            assert api.asked.wait(60)
            press_once(process)
            server.released.set()
            _, err = process.communicate(timeout=60)
        assert process.returncode in {5, 130}, err
        again = team.cli("ada", "resume", "job", "--retry", env={"PLANLOCK_MODEL_URL": server.url})
    assert again.code == 0, again.text
    assert team.cli("ada", "audit").code == 0


def test_F08_twice_while_a_model_thinks(team: Team) -> None:
    """Nobody waits for the answer any more: the run is cancelled within seconds."""
    team.propose("job", ASK)
    api = NoticingOpenAi()
    with serving(api) as server:
        server.give(Silence())
        with started(team, "run", "job", "--json", PLANLOCK_MODEL_URL=server.url) as process:
            assert api.asked.wait(60)
            press_once(process)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
            assert not server.released.is_set()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert team.cli("ada", "status", "job", "--json").json["run_status"] == "cancelled"
    assert team.cli("ada", "audit").code == 0
