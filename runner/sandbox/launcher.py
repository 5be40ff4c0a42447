"""Starts one command, adopts what it leaves behind, and ends all of it; a program of its own.

It runs alone, so that it starts fast and in any interpreter: it imports nothing of ours, and
little else. What to do stands as JSON on its standard input. It ends as the command did, a
signal n as 128 + n.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import struct
import sys
import time
from contextlib import suppress
from typing import Any, NoReturn

_SET_UP_FAILED = 71
_PATIENCE_S = 5.0
_PAUSE_S = 0.001
_WATCHED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}

_SET_DEATH_SIGNAL, _SET_SECCOMP, _DROP_CAPABILITY = 1, 22, 24
_SET_SUBREAPER, _SET_NO_NEW_PRIVILEGES, _AMBIENT, _CLEAR_ALL = 36, 38, 47, 4
_FILTER = 2
_CAPABILITIES_VERSION_3 = 0x20080522
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1
_REFER = 1 << 13
_ASK_VERSION, _SCOPES_SIGNALS, _SIGNALS = 1, 6, 2

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> NoReturn:
    task = json.load(sys.stdin.buffer)
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    _prctl(_SET_SUBREAPER, 1)
    _prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != task["parent"]:
        os._exit(_SET_UP_FAILED)
    own = os.getpid()
    is_apart = task["apart"] and _come_apart()
    command = os.fork()
    if command == 0:
        os.close(task["ended"])
        _become(task, launcher=own)
    os.close(task["mark"])
    code = _wait(command)
    if _end_domain() if is_apart else _end_all(own):
        os.write(task["ended"], b".")
    os._exit(code if code >= 0 else 128 - code)


def _become(task: dict[str, Any], *, launcher: int) -> NoReturn:
    try:
        _detach(launcher)
        os.chdir(task["folder"])
        if confinement := task["confinement"]:
            _confine(confinement)
        _limit(task["limits"])
        os.execvpe(task["argv"][0], task["argv"], task["env"])  # noqa: S606  # a shell of its own would come between
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        os.write(2, f"{error.strerror}{place}\n".encode(errors="replace"))
    finally:
        os._exit(_SET_UP_FAILED)


def _detach(launcher: int) -> None:
    """A session of its own, no input, and signals as a fresh program expects them."""
    os.setsid()
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != launcher:
        os._exit(_SET_UP_FAILED)


def _limit(limits: list[tuple[int, int, int]]) -> None:
    for number, soft, hard in limits:
        try:
            resource.setrlimit(number, (soft, hard))
        except (OSError, ValueError, OverflowError) as error:
            raise OSError(errno.EPERM, str(error), "prlimit") from error


def _confine(confinement: dict[str, Any]) -> None:
    _prctl(_SET_NO_NEW_PRIVILEGES, 1)
    _drop_capabilities()
    _restrict(confinement)
    _filter_calls(bytes.fromhex(confinement["filter"]))


def _drop_capabilities() -> None:
    # Without the right to do so this fails, and then there is nothing to drop.
    for number in range(64):
        with suppress(OSError):
            _prctl(_DROP_CAPABILITY, number)
    with suppress(OSError):
        _prctl(_AMBIENT, _CLEAR_ALL)
    header = struct.pack("=Ii", _CAPABILITIES_VERSION_3, 0)
    _check(_libc.capset(header, bytes(24)), "dropping capabilities")


def _restrict(confinement: dict[str, Any]) -> None:
    handled = struct.pack("=QQQ", *confinement["handled"])
    ruleset = _landlock(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    for path, access in confinement["rules"]:
        # What has vanished since it was listed cannot be granted, and need not be.
        with suppress(FileNotFoundError):
            _grant(ruleset, path, access)
    _landlock(_RESTRICT_SELF, ctypes.c_int(ruleset), 0)
    os.close(ruleset)


def _grant(ruleset: int, path: str, access: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", access, place)
        _landlock(_ADD_RULE, ctypes.c_int(ruleset), _PATH_BENEATH, rule, 0)
    finally:
        os.close(place)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def _filter_calls(code: bytes) -> None:
    program = _Program(len(code) // 8, code)
    done = _libc.prctl(_SET_SECCOMP, ctypes.c_ulong(_FILTER), ctypes.byref(program), 0, 0)
    _check(done, "filtering system calls")


def _landlock(number: int, *arguments: object) -> int:
    return _check(_libc.syscall(ctypes.c_long(number), *arguments), "landlock")


def _prctl(option: int, value: int) -> None:
    zeros = (ctypes.c_ulong(0),) * 3
    _check(_libc.prctl(option, ctypes.c_ulong(value), *zeros), "prctl")


def _check(answer: int, what: str) -> int:
    if answer < 0:
        cause = ctypes.get_errno()
        raise OSError(cause, os.strerror(cause), what)
    return answer


def _wait(command: int) -> int:
    """How the command ended; 128 + n where we were told to end it."""
    while True:
        number = signal.sigwait(_WATCHED)
        if number != signal.SIGCHLD:
            return -number
        code = _reap(command)
        if code is not None:
            return code


def _reap(command: int = 0) -> int | None:
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == command:
            code = os.waitstatus_to_exitcode(status)


def _come_apart() -> bool:
    """Whether no signal of ours, and of all that descends from us, leaves the tree any more."""
    parent = os.getppid()
    try:
        os.kill(parent, 0)
        if _landlock(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION) < _SCOPES_SIGNALS:
            return False
        _prctl(_SET_NO_NEW_PRIVILEGES, 1)
        # Every ruleset keeps files from moving between folders, unless it allows that.
        _restrict({"handled": (_REFER, 0, _SIGNALS), "rules": [("/", _REFER)]})
    except OSError:
        return False
    return _is_out_of_reach(parent)


def _is_out_of_reach(pid: int) -> bool:
    """What could be signalled before, and cannot be now, shows that the kernel holds us."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return False


def _end_domain() -> bool:
    """Only where `_come_apart` said yes: the kernel then signals the tree alone, and all of it."""
    until = time.monotonic() + _PATIENCE_S
    while (left := _has_children()) and time.monotonic() < until:
        with suppress(OSError):
            os.kill(-1, signal.SIGKILL)
        time.sleep(_PAUSE_S)
    return not left


def _end_all(own: int) -> bool:
    """Whether all are gone.

    Whoever lost its parent is our child now, so without children nobody is left.
    What forks and ends without pause may outrun this.
    """
    until = time.monotonic() + _PATIENCE_S
    while (left := _has_children()) and time.monotonic() < until:
        tree = _stop_all(own, until=until)
        for pid in tree - {own}:
            _send(pid, signal.SIGKILL, tree)
        time.sleep(_PAUSE_S)
    return not left


def _has_children() -> bool:
    _reap()
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _stop_all(own: int, *, until: float) -> set[int]:
    """Who is stopped starts nothing more; the tree is whole once nobody new is found."""
    tree = {own}
    while (new := _descendants(own) - tree) and time.monotonic() < until:
        tree |= new
        for pid in new:
            _send(pid, signal.SIGSTOP, tree)
    return tree


def _send(pid: int, number: signal.Signals, tree: set[int]) -> None:
    """A process id may have been given away since: the handle's parent is of our tree or not."""
    with suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            if _parent(pid) in tree:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def _parent(pid: int) -> int:
    return int(_read(f"/proc/{pid}/stat").rpartition(")")[2].split()[1])


def _descendants(root: int) -> set[int]:
    found: set[int] = set()
    pending = [root]
    while pending:
        children = _children(pending.pop()) - found
        found |= children
        pending += children
    return found


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    with suppress(OSError), os.scandir(f"/proc/{pid}/task") as threads:
        for thread in threads:
            found.update(map(int, _read(f"{thread.path}/children").split()))
    return found


def _read(path: str) -> str:
    with os.fdopen(os.open(path, os.O_RDONLY), errors="replace") as file:
        return file.read()


if __name__ == "__main__":
    main()
