"""Attacks on commands that Landlock confines: what it holds, and what it is known not to hold."""

from __future__ import annotations

import os
import platform
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sandbox_run import Run, bound, python

from runner.core.errors import SandboxUnavailable
from runner.sandbox import landlock_rules
from runner.sandbox.commands import Backend, Room
from runner.sandbox.landlock import Landlock
from runner.sandbox.landlock_rules import RUN, Rule, open_parts, rules, system


@pytest.fixture
def run(landlock: Backend, room: Room) -> Run:
    return bound(landlock, room)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of the host, beside the workspace."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "file").write_text("untouched")
    return folder


@pytest.mark.parametrize(
    "attack",
    [
        "echo x > {victim}/file",
        "echo x >> {victim}/file",
        "truncate -s 0 {victim}/file",
        "touch {victim}/new",
        "rm -rf {victim}",
        "mv {victim} .",
        "mv {victim}/file .",
        "mkdir {victim}/new",
        "ln -s {victim} out; echo x > out/file",
        "ln -s ../victim out; echo x > out/new",
        "ln {victim}/file hard; echo x > hard",
        "mv utils.py {victim}/new",
        "ln -s x {victim}/new",
        "echo x > /proc/self/root{victim}/file",
    ],
)
def test_D01_writes_outside(run: Run, open_run: Run, victim: Path, attack: str) -> None:
    """Files beside the workspace keep their content and their place, however they are reached."""

    def as_it_was() -> bool:
        names = [entry.name for entry in victim.iterdir()] if victim.exists() else []
        return names == ["file"] and (victim / "file").read_text() == "untouched"

    run(attack.format(victim=victim))
    assert as_it_was()
    open_run("rm -rf out hard")
    open_run(attack.format(victim=victim))
    assert not as_it_was() or "hard" in attack


@pytest.mark.parametrize("place", ["/usr", "/etc", "/", "/dev", "/dev/shm", "/tmp", "/var/tmp"])
def test_D01_system_folders(run: Run, place: str) -> None:
    """Nothing can be put into the system's folders, also by root."""
    assert run(f"touch {place}/planlock-was-here").exit_code == 1
    assert not (Path(place) / "planlock-was-here").exists()


def test_D01_kernel_settings(run: Run) -> None:
    """Settings of the machine in /proc/sys cannot be opened for writing, also by root."""
    outcome = run(
        "for f in /proc/sys/kernel/core_pattern /proc/sys/vm/overcommit_memory; do : >> $f; done"
    )
    assert outcome.output.count(b"Permission denied") == 2


def test_D01_owners_attributes_and_suid_bits(run: Run, victim: Path) -> None:
    """Landlock does not ask who changes those of a file outside; the filter refuses it."""
    said = python(run, OWNERS, VICTIM=str(victim / "file"))
    assert said.split() == ["EPERM"] * 4
    assert (victim / "file").stat().st_mode & 0o7777 == 0o644


OWNERS = """
import errno, os
file = os.environ["VICTIM"]
for attempt in (
    lambda: os.chown(file, os.getuid(), os.getgid()),
    lambda: os.setxattr(file, "user.x", b"1"),
    lambda: os.removexattr(file, "user.x"),
    lambda: os.chmod(file, 0o4755),
):
    try:
        attempt()
        print("done")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


def test_D03_homes_and_secrets_cannot_be_read(run: Run, victim: Path) -> None:
    """Neither a file outside, nor a home, nor what others may not read in /etc can be opened."""
    closed = [p for p in ("/etc/shadow", "/etc/gshadow", "/etc/ssl/private") if Path(p).exists()]
    for path in (str(victim / "file"), str(Path.home()), "/root", "/home", *closed):
        assert run(f"cat {path} || ls {path}/").exit_code != 0
    assert run("cat /etc/passwd /etc/ld.so.cache > /dev/null; ls /etc/alternatives").exit_code == 0


def test_D03_only_open_parts_of_etc_are_granted(room: Room, tmp_path: Path) -> None:
    """No rule stands for a closed file or for a folder above one."""
    granted = [
        rule.path
        for rule in rules(room, tmp_path, system=system())
        if rule.path.is_relative_to("/etc")
    ]
    assert Path("/etc/passwd") in granted
    assert Path("/etc") not in granted
    for closed in ("/etc/shadow", "/etc/ssl/private/x"):
        assert not any(Path(closed).is_relative_to(path) for path in granted)


@pytest.fixture
def shown() -> Iterator[Path]:
    """A folder among the machine's programs, open to everybody."""
    if os.geteuid() != 0:
        pytest.skip("only root can put a file among the machine's programs")
    with tempfile.TemporaryDirectory(dir="/opt") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_D03_private_files_among_programs(shown: Path, room: Room) -> None:
    """A closed file in /opt is not granted, also if it is opened up later; open ones can be run."""
    for name, mode in (("credentials", 0o600), ("program", 0o755)):
        (shown / name).write_text(f"#!/bin/sh\necho this is {name}\n")
        (shown / name).chmod(mode)
    run = bound(Landlock(), room)
    assert run(f"{shown}/program").output == b"this is program\n"
    for _ in range(2):
        assert run(f"cat {shown}/credentials; chmod 644 {shown}/credentials").output.endswith(
            b"Permission denied\n"
        )


@pytest.mark.parametrize("place", ["mount_at", "closed"])
def test_D03_a_checkout_among_programs(shown: Path, room: Room, place: str) -> None:
    """What is shown as a whole cannot hide a repository: nothing runs there."""
    if place == "mount_at":
        inside = replace(room, mount_at=shown)
    else:
        inside = replace(room, closed=(shown / ".git",))
    with pytest.raises(SandboxUnavailable, match="cannot hide"):
        bound(Landlock(), inside)("true")


def test_D03_what_cannot_be_surveyed_is_not_granted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with more files than are looked at is closed."""
    for name in ("one", "two", "three"):
        (tmp_path / name).touch()
    tmp_path.chmod(0o755)
    assert open_parts(tmp_path, RUN) == [Rule(path=tmp_path, access=RUN)]
    monkeypatch.setattr(landlock_rules, "_MOST_LOOKED_AT", 2)
    assert open_parts(tmp_path, RUN) == []


def test_D03_temporary_files_are_private(run: Run) -> None:
    """The machine's temporary files cannot be read; its own are gone afterwards."""
    with tempfile.NamedTemporaryFile(dir="/tmp") as file:
        assert run(f"cat {file.name}").exit_code != 0
    mine = run("touch $TMPDIR/mine ~/mine; mktemp; echo $TMPDIR").output.decode().split()
    assert Path(mine[0]).parent == Path(mine[1])
    assert not Path(mine[1]).exists()


def test_what_a_command_closed_or_dug_deep_is_removed(run: Run) -> None:
    """Its temporary folder goes away whatever it did there, and no link of it is followed."""
    code = "import os\nos.chdir(os.environ['TMPDIR'])\nprint(os.getcwd())\nos.symlink('/', 'out')\n"
    code += "for _ in range(1500): os.mkdir('d'); os.chdir('d')\nos.chmod('.', 0)"
    folder = Path(python(run, code).strip())
    assert folder.name == "tmp"
    assert not folder.parent.exists()


def test_D04_no_socket_can_be_made(run: Run, open_run: Run) -> None:
    """Not of any family: a socket in a folder could be reached by whoever has one."""
    assert set(python(run, SOCKETS).split()) == {"EPERM"}
    assert "made" in python(open_run, SOCKETS)


SOCKETS = """
import errno, socket
for family in ((1, 1), (1, 2), (2, 1), (2, 2), (10, 1), (16, 3), (17, 3), (40, 1)):
    try:
        socket.socket(*family)
        print("made")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


def test_D04_a_pair_of_sockets_stays_a_pair(run: Run, open_run: Run, tmp_path: Path) -> None:
    """Pairs for datagrams, which could be connected again, are refused; streams are not."""
    place = str(tmp_path / "s")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
    ):
        stream.bind(f"{place}1")
        stream.listen()
        datagrams.bind(f"{place}2")
        assert python(run, PAIRS, PLACE=place).split() == ["EISCONN", "EPERM", "EPERM"]
        assert python(open_run, PAIRS, PLACE=place).split() == ["EISCONN", "told", "told"]


PAIRS = """
import errno, os, socket
for kind, place in ((socket.SOCK_STREAM, "1"), (socket.SOCK_DGRAM, "2"), (socket.SOCK_RAW, "2")):
    try:
        one, other = socket.socketpair(socket.AF_UNIX, kind)
        one.connect(os.environ["PLACE"] + place)
        one.send(b"secret")
        print("told")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


def test_D04_shared_memory_and_queues(run: Run) -> None:
    """Without a namespace of its own for them a command gets none."""
    said = python(run, SHARED, NUMBERS=str(SHARED_CALLS[platform.machine()]))
    assert set(said.split()) == {"EPERM"}


SHARED_CALLS = {"x86_64": [29, 64, 68, 240], "aarch64": [194, 190, 186, 180]}
SHARED = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
for number in eval(os.environ["NUMBERS"]):
    libc.syscall(number, 0, 0, 0, 0)
    print(errno.errorcode[ctypes.get_errno()])
"""
