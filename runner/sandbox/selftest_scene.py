"""What a tried attack may hit: files, sockets and processes with nothing of anybody's at stake."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import secrets
import selectors
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

BEGUN = "the attack has begun"
ESCAPED = "ESCAPED"
_VARIABLE = "PLANLOCK_SELFTEST"
_SETTLE_S = 1.0
_GET_IO_PRIORITY = 252 if platform.machine() == "x86_64" else 31
_READ_ONLY = {
    ".git/config": "[core]\n",
    ".git/hooks/sample": "#!/bin/sh\n",
    "plans/policy.yaml": "version: 1\n",
}


class Scene:
    """A workspace, and beside it victims that show from outside whether they were reached."""

    def __init__(self, folder: Path) -> None:
        self.workspace = folder / "work"
        self._victim = folder / "victim"
        self._stack = ExitStack()
        # Seconds that a `sleep` sleeps tell it from all others, and end it if nothing else does.
        self._neighbour_sleeps, self._survivor_sleeps = (f"300.{_digits()}" for _ in range(2))
        self._canary = f"canary {_digits()} sings"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._lay_files()
            self._set_variable(stack)
            self._listen(stack)
            self._open_terminal(stack)
            self._start_neighbour(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def variables(self) -> Mapping[str, str]:
        """What an attack is told."""
        return {
            "VICTIM": str(self._victim),
            "TCP": str(self._tcp.getsockname()[1]),
            "UDP": str(self._udp.getsockname()[1]),
            "UNIX": str(self._victim.parent / "socket"),
            "ABSTRACT": self._abstract_name,
            "TERMINAL": self._terminal_name,
            "NEIGHBOUR": str(self._neighbour.pid),
            "SURVIVOR": self._survivor_sleeps,
            "IPC": str(Path("/proc/self/ns/ipc").stat().st_ino),
        }

    def traces(self, output: bytes) -> tuple[str, ...]:
        """What the attack has reached, each in some words; empty if it reached nothing."""
        return (
            *self._said(output),
            *self._files(),
            *self._connections(),
            *self._processes(),
        )

    def _lay_files(self) -> None:
        self._victim.mkdir()
        for relative, content in _READ_ONLY.items():
            file = self.workspace / relative
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="ascii")
        (self._victim / "file").write_text(self._canary, encoding="ascii")
        (self._victim / "file").chmod(0o600)
        os.utime(self._victim / "file", (1, 1))

    def _set_variable(self, stack: ExitStack) -> None:
        """In this very process, with an open file: a command must inherit neither."""
        os.environ[_VARIABLE] = self._canary
        stack.callback(os.environ.pop, _VARIABLE, None)
        file = stack.enter_context((self._victim / "file").open("rb"))
        os.set_inheritable(file.fileno(), True)

    def _listen(self, stack: ExitStack) -> None:
        self._abstract_name = f"planlock-selftest-{_digits()}"
        self._tcp = _bound(stack, socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self._udp = _bound(stack, socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        path = str(self._victim.parent / "socket")
        self._unix = _bound(stack, socket.AF_UNIX, socket.SOCK_STREAM, path)
        name = f"\0{self._abstract_name}"
        self._abstract = _bound(stack, socket.AF_UNIX, socket.SOCK_STREAM, name)

    def _open_terminal(self, stack: ExitStack) -> None:
        self._terminal, other_end = os.openpty()
        for descriptor in (self._terminal, other_end):
            stack.callback(os.close, descriptor)
        self._terminal_name = os.ttyname(other_end)

    def _start_neighbour(self, stack: ExitStack) -> None:
        self._neighbour = subprocess.Popen(
            ["sleep", self._neighbour_sleeps],
            cwd=self._victim,
            env={"PATH": os.defpath, _VARIABLE: self._canary},
            start_new_session=True,
        )
        stack.callback(self._neighbour.wait)
        stack.callback(self._neighbour.kill)
        self._standing = _standing(self._neighbour.pid)

    def _said(self, output: bytes) -> Iterator[str]:
        text = output.decode(errors="replace")
        if self._canary in text:
            yield "what is secret was read"
        yield from (line for line in text.splitlines() if line.startswith(ESCAPED))

    def _files(self) -> Iterator[str]:
        if not _untouched(self._victim, self._canary):
            yield "a file outside was changed"
        for relative, content in _READ_ONLY.items():
            if not _holds(self.workspace / relative, content):
                yield f"{relative} was changed"
        for file in self.workspace.rglob("*"):
            mode = file.lstat().st_mode
            if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                yield "a device was made"
            if mode & (stat.S_ISUID | stat.S_ISGID):
                yield "a program was left that runs as its owner"

    def _connections(self) -> Iterator[str]:
        places: dict[str, socket.socket | int] = {
            "a TCP service was reached": self._tcp,
            "a UDP service was reached": self._udp,
            "a socket in a folder was reached": self._unix,
            "an abstract socket was reached": self._abstract,
            "a terminal was written to": self._terminal,
        }
        with selectors.DefaultSelector() as selector:
            for text, place in places.items():
                selector.register(place, selectors.EVENT_READ, text)
            yield from (str(key.data) for key, _ in selector.select(0))

    def _processes(self) -> Iterator[str]:
        if self._neighbour.poll() is not None:
            yield "another process was ended"
        elif _standing(self._neighbour.pid) != self._standing:
            yield "another process was slowed down"
        if survivors := _survivors(self._survivor_sleeps):
            yield "a process of it survived"
        for pid in survivors:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _digits() -> str:
    return str(secrets.randbelow(10**12)).zfill(12)


def _bound(
    stack: ExitStack,
    family: socket.AddressFamily,
    way: socket.SocketKind,
    address: str | tuple[str, int],
) -> socket.socket:
    made = stack.enter_context(socket.socket(family, way))
    made.bind(address)
    if way == socket.SOCK_STREAM:
        made.listen()
    return made


def _standing(pid: int) -> tuple[object, ...]:
    limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    io_priority = ctypes.CDLL(None).syscall(_GET_IO_PRIORITY, 1, pid)
    return os.getpriority(os.PRIO_PROCESS, pid), io_priority, limit, os.sched_getaffinity(pid)


def _untouched(folder: Path, content: str) -> bool:
    if not folder.is_dir() or [each.name for each in folder.iterdir()] != ["file"]:
        return False
    file = folder / "file"
    found = file.lstat()
    return _holds(file, content) and (found.st_mtime, found.st_mode) == (1, stat.S_IFREG | 0o600)


def _holds(file: Path, content: str) -> bool:
    return file.is_file() and file.read_bytes() == content.encode()


def _survivors(marker: str) -> list[int]:
    """Who is left after a moment: the kernel may need one after a kill."""
    until = time.monotonic() + _SETTLE_S
    while (found := _sleeping(marker)) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def _sleeping(marker: str) -> list[int]:
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found += [int(line.parent.name)] if marker.encode() in line.read_bytes() else []
    return found
