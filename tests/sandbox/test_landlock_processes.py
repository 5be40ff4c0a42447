"""Attacks on other processes and on privileges by commands that Landlock confines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox_run import Run, bound, gone, python, require_landlock

import runner
from runner.sandbox.cgroups import find_places
from runner.sandbox.commands import Backend, Command, Limits, Room

PACKAGES = Path(runner.__file__).parent.parent


@pytest.fixture
def run(landlock: Backend, room: Room) -> Run:
    return bound(landlock, room)


def test_D06_other_processes(run: Run, open_run: Run, marker: str) -> None:
    """No process outside can be ended, slowed, limited or looked into, also by the same user."""
    with subprocess.Popen(["sleep", marker]) as other:
        try:
            said = python(run, MEDDLE, OTHER=str(other.pid)).split()
            assert set(said) <= {"EPERM", "EACCES"}, said
            assert len(said) == 8
            assert other.poll() is None
            assert "done" in python(open_run, MEDDLE, OTHER=str(other.pid))
        finally:
            other.kill()


MEDDLE = """
import errno, os, resource, signal
other = int(os.environ["OTHER"])
for attempt in (
    lambda: os.kill(other, signal.SIGTERM),
    lambda: signal.pidfd_send_signal(os.pidfd_open(other), signal.SIGTERM),
    lambda: os.setpriority(os.PRIO_PROCESS, other, 19),
    lambda: os.sched_setaffinity(other, {0}),
    lambda: resource.prlimit(other, resource.RLIMIT_NOFILE, (0, 0)),
    lambda: open(f"/proc/{other}/environ").read(),
    lambda: open(f"/proc/{other}/mem", "rb").read(1),
    lambda: os.listdir(f"/proc/{other}/root/"),
):
    try:
        attempt()
        print("done")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


def test_D06_the_launcher_cannot_be_ended(run: Run, marker: str) -> None:
    """What watches over the command is out of its reach."""
    outcome = run(f"(setsid sleep {marker} &); kill -9 $PPID || echo refused; exit 4")
    assert outcome.exit_code == 4
    assert outcome.output.endswith(b"refused\n")
    assert gone(marker)


def test_D06_environment_of_the_runner(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process that is visible tells a secret of the runner."""
    monkeypatch.setenv("GITHUB_TOKEN", "stolen-token")
    outcome = run("cat /proc/[0-9]*/environ | tr '\\0' '\\n'")
    assert b"stolen-token" not in outcome.output
    assert b"LANG=C.UTF-8" in outcome.output


@pytest.mark.parametrize("kind", ["landlock", "none"])
def test_D07_supervisor_killed(room: Room, tmp_path: Path, kind: str) -> None:
    """When the runner is killed, no process of the command survives, daemons neither."""
    if kind == "landlock":
        require_landlock()
    marker = f"87{os.getpid()}{len(kind)}"
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(room.workspace), marker, kind],
        stdout=subprocess.PIPE,
        cwd=PACKAGES,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert supervisor.stdout
    assert supervisor.stdout.readline() == b"begun\n"
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.communicate()
    assert gone(f"sleep\0{marker}")


SUPERVISOR = """
import sys
from pathlib import Path
from runner.sandbox.commands import Command, Room
from runner.sandbox.landlock import Landlock
from runner.sandbox.unconfined import Unconfined
folder, marker = Path(sys.argv[1]), sys.argv[2]
script = f"trap '' TERM HUP; (setsid setsid sleep {marker} &); sleep 0.2; echo begun; sleep {marker}"
backend = Landlock() if sys.argv[3] == "landlock" else Unconfined()
backend.run(
    Command(script=script), Room(workspace=folder, mount_at=folder),
    on_output=lambda text: print(text.decode(), end="", flush=True), cancelled=lambda: False,
)
"""


@pytest.mark.parametrize(
    "attack",
    [
        "unshare --user true",
        "unshare --mount true",
        "mount -t tmpfs none .",
        "mknod device c 1 5",
        "mknod device b 8 0",
        "chroot / true",
        "nsenter -t 1 -m true",
        "cat /dev/mem /dev/kmsg",
        "cat < /dev/tty",
        "cat < /dev/ptmx",
        "head -c 1 /dev/[sv]da",
    ],
)
def test_D09_privileges(run: Run, attack: str) -> None:
    """No command gains a namespace, a mount, a device or a terminal."""
    assert run(attack).exit_code not in {0, None}


def test_D09_no_capabilities(run: Run) -> None:
    """There is no privilege to gain: none is held, and suid bits are ignored."""
    said = run("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status").output.split()
    inheritable, permitted, effective, bounding, ambient = said[1:10:2]
    # Without privilege the bound cannot be lowered, and need not be: nothing can be gained.
    held = {inheritable, permitted, effective, ambient} | ({bounding} if not os.getuid() else set())
    assert held == {b"0000000000000000"}
    assert said[10:] == [b"NoNewPrivs:", b"1", b"Seccomp:", b"2"]


def test_D08_fork_bomb(run: Run, marker: str) -> None:
    """A fork bomb at full speed is ended, where the kernel caps its processes."""
    if not find_places():
        pytest.skip("no control group can be had: a bomb at full speed is not tried")
    limits = Limits(timeout_s=120, processes=64)
    script = f"f() {{ f | f & }}; sleep {marker} & f; wait; sleep {marker}"
    outcome = run(Command(script=script, limits=limits))
    assert (outcome.limit_hit, outcome.signal) == ("processes", signal.SIGKILL)
    assert gone(marker)
