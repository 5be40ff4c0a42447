"""Attacks on the end of a command: what forks faster than anybody can look, held by no control group."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox_run import gone

from runner.core.errors import SandboxUnavailable
from runner.sandbox import launcher
from runner.sandbox.contract import Command, Limits, Outcome, Room
from runner.sandbox.landlock import LEAST_ABI, abi
from runner.sandbox.landlock_rules import HANDLED, rules, system
from runner.sandbox.launching import Confinement, Launch
from runner.sandbox.scratch import scratch
from runner.sandbox.seccomp import program

# Each generation ends at once, faster than os.fork could; by the clock, all are gone in seconds.
CHAIN = """
import ctypes, os, time
libc = ctypes.PyDLL(None)
fork, end = libc.fork, libc._exit
until = time.monotonic() + 8
for _ in range(30):
    if fork() == 0:
        os.setsid()
        while time.monotonic() < until:
            if fork():
                end(0)
        end(0)
"""

Start = Callable[[str], Outcome]


def started(room: Room, script: str, *, confined: bool) -> Outcome:
    """Run it where no control group can be made."""
    with scratch() as folder:
        granted = rules(room, folder, system=system()) if confined else []
        confinement = Confinement(
            rules=tuple((str(each.path), int(each.access)) for each in granted),
            handled=HANDLED,
            filter=program(own_namespaces=False).hex(),
        )
        launch = Launch(
            Command(script=script, limits=Limits(timeout_s=120, processes=400)),
            room,
            scratch=folder,
            backend="under test",
            confinement=confinement if confined else None,
        )
        return launch.run(lambda _: None, lambda: False, make_group=lambda _: None)


@pytest.fixture(params=[True, False], ids=["landlock", "none"])
def start(request: pytest.FixtureRequest, room: Room) -> Start:
    if abi() < LEAST_ABI:
        pytest.skip("this kernel's Landlock does not confine signals")
    return lambda script: started(room, script, confined=request.param)


def chain(marker: str) -> str:
    return f"python -I -S -c '{CHAIN}' {marker}; sleep 0.3; echo done"


def test_D07_a_chain_of_forks(start: Start, marker: str) -> None:
    """Processes that live for less than a look at them end with the command, at once."""
    begun = time.monotonic()
    outcome = start(chain(marker))
    assert time.monotonic() - begun < 5
    assert outcome.output == b"done\n"
    assert gone(marker)


def test_D06_ending_everything_ends_the_command_alone(start: Start) -> None:
    """`kill -9 -1` reaches no process outside, also where nothing else confines a command."""
    neighbour = os.fork()
    if neighbour == 0:
        time.sleep(60)
        os._exit(0)
    try:
        assert start(f"kill -9 {neighbour} || echo refused").output.endswith(b"refused\n")
        assert os.waitpid(neighbour, os.WNOHANG) == (0, 0)
    finally:
        os.kill(neighbour, 9)
        os.waitpid(neighbour, 0)


def test_files_move_between_folders(start: Start, room: Room) -> None:
    """What keeps signals inside does not keep files where they are."""
    assert start("mkdir a b; touch a/file; ln a/file b/hard; mv a/file b/").exit_code == 0
    assert (room.workspace / "b/file").exists()


def test_D07_survivors_are_no_normal_end(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launcher that cannot say that all are gone has not ended its command."""
    text = Path(str(launcher.__file__)).read_text()
    silent = tmp_path / "launcher.py"
    assert 'os.write(task["ended"], b".")' in text
    silent.write_text(text.replace('os.write(task["ended"], b".")', "pass"))
    monkeypatch.setattr(launcher, "__file__", str(silent))
    with pytest.raises(SandboxUnavailable, match="processes of it may go on"):
        started(room, "true", confined=False)
