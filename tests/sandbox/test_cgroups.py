"""Control groups, of version 1 or 2 as the machine has them, and as files where it has none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sandbox_run import bound, gone

from runner.sandbox.cgroups import SPARE_PROCESSES, Group, Place, find_places
from runner.sandbox.commands import Command, Limits, Room
from runner.sandbox.unconfined import Unconfined

WAITING = ["bash", "-c", 'read line; eval "$line"']


def make_group(limits: Limits) -> Group:
    group = Group.make(limits)
    if group is None:
        pytest.skip("no controller of processes can be had here")
    return group


@contextmanager
def held(group: Group, script: str) -> Iterator[subprocess.Popen[str]]:
    """A script that starts once the group holds it."""
    with subprocess.Popen(
        WAITING, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert group.add(process.pid)
        assert process.stdin
        print(script, file=process.stdin, flush=True)
        yield process


def test_D08_the_kernel_caps_processes(marker: str) -> None:
    """No more processes than allowed come to be, and the group tells that some were refused."""
    with make_group(Limits(processes=6)) as group:
        assert group.limit_hit() == ""
        with held(group, f"for i in $(seq 30); do sleep {marker} & done") as process:
            assert process.stderr
            assert "Resource temporarily unavailable" in process.stderr.readline()
            assert group.limit_hit() == "processes"
            members = (group.folder / "cgroup.procs").read_text().split()
            assert len(members) <= 6 + SPARE_PROCESSES
            group.kill()
    assert gone(marker)


def test_D07_killing_ends_all_members_and_removes_the_group(marker: str) -> None:
    """What left its session and ignores signals is in the group all the same."""
    with make_group(Limits()) as group:
        script = f"trap '' TERM HUP; (setsid setsid sleep {marker} &); sleep {marker}"
        with held(group, script) as process:
            group.kill()
            assert process.wait() == -signal.SIGKILL
    assert gone(marker)
    assert not group.folder.exists()


def test_a_process_that_is_gone_is_not_held() -> None:
    """Adding says whether the group holds the process."""
    with make_group(Limits()) as group, subprocess.Popen(["true"]) as process:
        process.wait()
        assert not group.add(process.pid)


def test_what_a_killed_runner_left_is_removed() -> None:
    """The next group is made where the last runner's lies empty, and takes that away."""
    with make_group(Limits()) as group:
        place = group.folder.parent
    code = "import os, sys; from runner.sandbox.cgroups import *\n"
    code += "print(Group.make(Limits()).folder, flush=True); os.kill(os.getpid(), 9)"
    left = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    ).stdout.strip()
    assert Path(left).is_dir()
    with make_group(Limits()):
        assert not Path(left).exists()
    assert place.is_dir()


def test_D08_a_group_that_was_removed_is_made_again(marker: str) -> None:
    """Whoever removes the group before its process joins does not free that of the cap."""
    with make_group(Limits(processes=6)) as group:
        group.folder.rmdir()
        with held(group, f"for i in $(seq 30); do sleep {marker} & done"):
            assert (group.folder / "pids.max").read_text().strip() == str(6 + SPARE_PROCESSES)
            group.kill()
    assert gone(marker)
    assert not group.folder.exists()


def test_a_group_that_holds_nothing_is_closed() -> None:
    """Where adding fails, no group is left that would seem to cap anything."""
    with make_group(Limits()) as group, subprocess.Popen(["true"]) as process:
        process.wait()
        assert not group.add(process.pid)
        assert not group.folder.exists()


def test_D08_groups_of_another_process_namespace_stay() -> None:
    """A number of a process means nothing here where the group was made in another namespace."""
    with make_group(Limits()) as group:
        own = str(Path("/proc/self/ns/pid").stat().st_ino)
        assert own in group.folder.name
        others = group.folder.with_name(f"planlock-{int(own) + 1}-{2**22 + 1}-0")
        ours = group.folder.with_name(f"planlock-{own}-{2**22 + 1}-0")
        others.mkdir()
        ours.mkdir()
        try:
            with make_group(Limits()):
                assert others.exists()
                assert not ours.exists()
        finally:
            others.rmdir()


def test_no_place_gives_no_group(tmp_path: Path) -> None:
    """Without a controller, or without the right to make a group, there is none."""
    assert Group.make(Limits(), places=[]) is None
    missing = Place(folder=tmp_path / "missing", controllers=frozenset({"pids"}))
    assert Group.make(Limits(), places=[missing]) is None


def test_version_2_also_caps_memory(tmp_path: Path) -> None:
    """Where the memory controller is handed on it gets the limit, and its kills are told."""
    place = Place(folder=tmp_path, controllers=frozenset({"pids", "memory"}))
    group = Group.make(Limits(processes=7, memory_bytes=1 << 20), places=[place])
    assert group
    assert (group.folder / "pids.max").read_text() == str(7 + SPARE_PROCESSES)
    assert (group.folder / "memory.max").read_text() == str(1 << 20)
    (group.folder / "memory.events").write_text("low 0\noom 2\noom_kill 1\n")
    assert group.limit_hit() == "memory"


def hierarchy(tmp_path: Path, *, membership: str, mount: str) -> Path:
    """The two files of /proc/self that say where one is."""
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text(f"{membership}\n")
    (proc / "mountinfo").write_text(f"30 24 0:26 {mount}\n")
    return proc


def test_version_2_takes_the_nearest_group_that_hands_on(tmp_path: Path) -> None:
    """Our own group has processes in it and cannot be divided; one above it can."""
    own = tmp_path / "top" / "user" / "session"
    own.mkdir(parents=True)
    for folder, controllers in ((own, ""), (own.parent, "memory pids"), (own.parents[1], "pids")):
        (folder / "cgroup.subtree_control").write_text(controllers)
        (folder / "cgroup.procs").touch()
    mount = f"/ {tmp_path / 'top'} rw - cgroup2 cgroup2 rw"
    proc = hierarchy(tmp_path, membership="0::/user/session", mount=mount)
    expected = Place(folder=own.parent, controllers=frozenset({"memory", "pids"}))
    assert find_places(proc) == [expected]


def test_version_1_divides_our_own_group(tmp_path: Path) -> None:
    """A mount may show only a part of the hierarchy, as in a container."""
    (tmp_path / "top" / "job").mkdir(parents=True)
    (tmp_path / "top" / "job" / "cgroup.procs").touch()
    mount = f"/box {tmp_path / 'top'} rw - cgroup cgroup rw,pids"
    proc = hierarchy(tmp_path, membership="8:pids:/box/job", mount=mount)
    expected = Place(folder=tmp_path / "top" / "job", controllers=frozenset({"pids"}))
    assert find_places(proc) == [expected]


@pytest.mark.parametrize("own", ["/../elsewhere", "/other"])
def test_a_group_outside_the_mount_gives_no_place(tmp_path: Path, own: str) -> None:
    """Where our own group is not shown, none is made beside it."""
    mount = f"/box {tmp_path} rw - cgroup cgroup rw,pids"
    proc = hierarchy(tmp_path, membership=f"8:pids:{own}", mount=mount)
    assert find_places(proc) == []


def test_D07_a_daemon_that_ends_its_launcher(workspace: Path, marker: str) -> None:
    """Unconfined, a command can kill what watches over it; the group still ends it."""
    make_group(Limits()).kill()
    run = bound(Unconfined(), Room(workspace=workspace, mount_at=workspace))
    script = f"(setsid sleep {marker} &); sleep 0.2; kill -9 $PPID; sleep {marker}"
    command = Command(script=script, limits=Limits(timeout_s=5))
    with pytest.raises(Exception, match="its launcher was ended"):
        run(command)
    assert gone(marker)
    assert os.getpid() > 0
