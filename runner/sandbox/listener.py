"""A listening socket inside the network namespace of a command that has not started yet."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from runner.core.errors import SandboxUnavailable

_PROGRAM = Path(__file__).with_name("listener_process.py")
_PATIENCE_S = 30.0


def listen_inside(pid: int, port: int) -> socket.socket:
    """Listen on the loopback address that the process sees; raises SandboxUnavailable."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            _run(pid, theirs.fileno(), port)
        return _received(ours)


def _run(pid: int, answer: int, port: int) -> None:
    arguments = map(str, (pid, answer, port))
    try:
        subprocess.run(
            [sys.executable, "-I", "-S", str(_PROGRAM), *arguments],
            capture_output=True,
            check=True,
            cwd="/",
            env={},
            pass_fds=(answer,),
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE_S,
        )
    except subprocess.CalledProcessError as error:
        raise _no_listener(error.stderr.decode(errors="replace").strip()) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise _no_listener(str(error)) from error


def _received(ours: socket.socket) -> socket.socket:
    with suppress(OSError):
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1, socket.MSG_CMSG_CLOEXEC)
        if descriptors:
            return socket.socket(fileno=descriptors[0])
    raise _no_listener("it gave no socket")


def _no_listener(cause: str) -> SandboxUnavailable:
    return SandboxUnavailable(f"listening inside a command's network: {cause}")
