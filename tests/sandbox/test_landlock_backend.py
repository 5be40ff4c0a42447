"""When Landlock is used, when it is refused, and what works in it."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

import pytest
from ordinary_user import NOBODY, as_nobody, folder_of_nobody
from sandbox_run import Run, bound, python, require_bwrap, require_landlock

from runner.core.errors import SandboxUnavailable
from runner.sandbox.commands import Backend, Command, Limits, Room, find_backend
from runner.verbs import doctor_sandbox
from runner.verbs.doctor_sandbox import Trial


@pytest.fixture
def run(landlock: Backend, room: Room) -> Run:
    return bound(landlock, room)


def test_bubblewrap_is_taken_where_it_can_be_had() -> None:
    """Accepting Landlock asks for it only where nothing stronger is there."""
    require_bwrap()
    assert find_backend("landlock").name.startswith("bubblewrap")


def test_landlock_is_taken_where_bubblewrap_is_missing(landlock: Backend, tmp_path: Path) -> None:
    """The backend is named with the kernel's version; root, whom it does not hold, is refused."""
    absent = str(tmp_path / "bwrap")
    if os.geteuid() == 0:
        with pytest.raises(SandboxUnavailable, match="does not hold root"):
            find_backend("landlock", program=absent)
        return
    backend = find_backend("landlock", program=absent)
    assert backend.name == landlock.name
    assert backend.name.split()[0] == "landlock"
    assert int(backend.name.split()[1]) >= 6


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user gets it")
def test_D11_doctor_tells_root_what_find_backend_does() -> None:
    """Root is not told that a backend holds which no command of root's would get."""
    found = doctor_sandbox.trial("landlock", doctor_sandbox.BACKENDS["landlock"])
    assert (found.backend, found.results) == ("", ())
    assert "does not hold root" in found.unavailable
    report = doctor_sandbox.judged("landlock", [Trial(kind="bubblewrap"), found])
    assert not report.well


def test_D11_confined_never_means_landlock(landlock: Backend, tmp_path: Path) -> None:
    """Where the policy asks for more than Landlock gives, nothing runs."""
    assert landlock.name
    with pytest.raises(SandboxUnavailable, match="is not installed"):
        find_backend("confined", program=str(tmp_path / "bwrap"))


def test_D11_a_backend_that_runs_and_does_not_confine(tmp_path: Path) -> None:
    """A bubblewrap that starts commands as they are is found out by the trial command."""
    program = tmp_path / "bwrap"
    program.write_text(FAKE)
    program.chmod(0o755)
    with pytest.raises(SandboxUnavailable, match="trial command"):
        find_backend("confined", program=str(program))


FAKE = """#!/bin/bash
test "$1" = --version && exec echo bubblewrap 9
while test "$1" != --; do
  test "$1" = --json-status-fd && status=$2
  shift
done
shift
echo "{\\"child-pid\\": $$}" >&$status
exec "$@"
"""


def test_D11_a_network_is_refused(run: Run) -> None:
    """A command that names hosts does not start without them."""
    with pytest.raises(SandboxUnavailable, match="cannot give it a network"):
        run(Command(script="touch started", network=("example.org",)))


def test_D11_set_up_failure_is_not_the_commands(landlock: Backend, workspace: Path) -> None:
    """A folder that cannot be shown is the sandbox's failure, and the command does not start."""
    room = Room(workspace=workspace, mount_at=workspace, git_objects=(workspace / "missing",))
    with pytest.raises(SandboxUnavailable, match="missing"):
        bound(landlock, room)("touch started")
    assert not (workspace / "started").exists()


def test_the_workspace_is_used_where_it_lies(landlock: Backend, workspace: Path) -> None:
    """Without mounts a command works in the workspace's own folder, not at the project's path."""
    room = Room(workspace=workspace, mount_at=Path("/work/project"))
    assert bound(landlock, room)("pwd").output.decode().strip() == str(workspace)


def test_git_objects_are_readable(landlock: Backend, workspace: Path, tmp_path: Path) -> None:
    """The object store can be read, and not written."""
    store = tmp_path / "store" / "objects"
    store.mkdir(parents=True)
    (store / "pack").write_text("content")
    run = bound(landlock, Room(workspace=workspace, mount_at=workspace, git_objects=(store,)))
    assert run(f"cat {store}/pack").output == b"content"
    assert run(f"rm {store}/pack").exit_code != 0
    assert run(f"cat {store}/../x").exit_code != 0


def test_ordinary_programs_work(run: Run) -> None:
    """Threads, processes, event loops, links, renames, modes and times work confined."""
    assert python(run, ORDINARY).split() == ["4", "5", "done"]


ORDINARY = """
import asyncio, concurrent.futures, os, socket, subprocess, sqlite3, tempfile
with concurrent.futures.ThreadPoolExecutor() as pool:
    print(sum(pool.map(lambda n: n, [1, 3])))
async def main():
    process = await asyncio.create_subprocess_shell("exit 5")
    print(await process.wait())
asyncio.run(main())
left, right = socket.socketpair()
subprocess.run(["git", "--version"], stdout=subprocess.DEVNULL, check=True)
os.makedirs("one/two")
open("one/two/file", "w").close()
os.chmod("one/two/file", 0o755)
os.utime("one/two/file", (1, 1))
os.rename("one/two/file", "one/other")
os.link("one/other", "one/hard")
os.symlink("other", "one/soft")
os.mkfifo("one/fifo")
sqlite3.connect("db").execute("create table t (x)")
tempfile.TemporaryFile().close()
print("done")
"""


def test_pytest_runs_confined(run: Run, workspace: Path) -> None:
    """The project's tests can be run with the project's own pytest."""
    (workspace / "test_it.py").write_text(
        "from utils import ONE\ndef test_one(tmp_path):\n    assert ONE == len([tmp_path])\n"
    )
    outcome = run("python -m pytest -q -p no:cacheprovider test_it.py")
    assert outcome.exit_code == 0, outcome.output
    assert b"1 passed" in outcome.output


def test_an_ordinary_user_confines_as_well() -> None:
    """Confinement needs no privilege: it works, and holds, for a user without any."""
    require_landlock()
    with folder_of_nobody() as folder:
        (folder / "work").mkdir()
        (folder / "closed").write_text("closed")
        for place in (folder / "work", folder / "closed"):
            shutil.chown(place, NOBODY, NOBODY)
        as_nobody(partial(confine, folder))


def confine(folder: Path) -> None:
    run = bound(require_landlock(), Room(workspace=folder / "work", mount_at=folder))
    assert run("id -u; touch made").output == b"65534\n"
    assert (folder / "work" / "made").exists()
    assert run(f"cat {folder}/closed").exit_code == 1
    assert run(f"kill -9 $PPID; kill -9 {os.getpid()}; exit 4").exit_code == 4
    limits = Limits(timeout_s=5, processes=30)
    many = run(Command(script="for i in $(seq 60); do sleep 5 & done; wait", limits=limits))
    assert many.limit_hit == "processes"
    assert run(Command(script="sleep 50", limits=Limits(timeout_s=0.2))).timed_out
