"""What Landlock is known not to hold, stated exactly, so that no table says otherwise."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from sandbox_run import Run, bound

from runner.sandbox.commands import Backend, Command, Limits, Room


@pytest.fixture
def run(landlock: Backend, room: Room) -> Run:
    return bound(landlock, room)


def test_D01_not_held_by_landlock_modes_and_times(run: Run, tmp_path: Path) -> None:
    """Mode and times of a file outside change if the user owns it; its content does not."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    run(f"chmod 600 {victim}; touch -d @1 {victim}")
    assert (victim.stat().st_mode & 0o777, victim.read_text()) == (0o600, "untouched")
    assert run(f"python -c 'import os; os.utime(\"{victim}\", (1, 1))'").exit_code == 0
    assert victim.stat().st_mtime == 1


def test_D02_not_held_by_landlock_git_and_plans(run: Run, workspace: Path) -> None:
    """What is read-only inside the workspace can be written: it is found out afterwards."""
    run("echo x > .git/config; echo x > plans/policy.yaml")
    assert (workspace / ".git" / "config").read_text() == "x\n"
    assert (workspace / "plans" / "policy.yaml").read_text() == "x\n"


def test_D03_not_held_by_landlock_names_and_sizes(run: Run, tmp_path: Path) -> None:
    """Whether a file outside is there, how long it is and where a link leads can be seen."""
    (tmp_path / "victim").write_text("secret")
    (tmp_path / "link").symlink_to("secret-place")
    outcome = run(f"stat -c %s {tmp_path}/victim; readlink {tmp_path}/link; ls {tmp_path}")
    assert outcome.output.decode().splitlines()[:2] == ["6", "secret-place"]
    assert b"Permission denied" in outcome.output


def test_D06_not_held_by_landlock_list_of_processes(run: Run) -> None:
    """Other processes and their command lines can be seen, their environment cannot."""
    outcome = run(f"cat /proc/{os.getpid()}/cmdline > cmdline; cat /proc/{os.getpid()}/environ")
    assert outcome.exit_code == 1
    assert run("test -s cmdline").exit_code == 0


def test_D08_not_held_by_landlock_disk_space(run: Run) -> None:
    """Temporary files are as large as the disk is: only each file has a limit."""
    limits = Limits(timeout_s=120, file_bytes=5 << 20)
    script = "for i in 1 2 3; do head -c 5M /dev/zero > $TMPDIR/$i; done; du -sm $TMPDIR"
    assert int(run(Command(script=script, limits=limits)).output.split()[0]) >= 15


def test_not_held_by_landlock_name_of_the_machine(run: Run) -> None:
    """The machine's name is told."""
    assert run("cat /proc/sys/kernel/hostname").output.decode().strip() == socket.gethostname()


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_server(('127.0.0.1', 0))",
        "import multiprocessing; multiprocessing.Lock()",
        "import os; os.openpty()",
    ],
)
def test_what_landlock_takes_from_programs(run: Run, open_run: Run, code: str) -> None:
    """Programs that need a socket, shared memory or a terminal of their own do not work in it."""
    command = Command(script='python -c "$CODE"', env={"CODE": code}, limits=Limits(timeout_s=120))
    assert run(command).exit_code == 1
    assert open_run(command).exit_code == 0
