"""Watches a started command: streams its output, holds its limits, ends its whole tree."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Protocol

from runner.sandbox import processes
from runner.sandbox.cgroups import Group
from runner.sandbox.contract import Limits

_TICK_S = 0.05
_GROWING_TICK_S = 0.005
_DRAIN_S = 1.0
_CHUNK_BYTES = 1 << 16
_LIMITS = ("memory", "processes", "output")
_ENDED_BY: dict[int, str] = {signal.SIGXCPU: "cpu", signal.SIGXFSZ: "file_size"}


class Tree(Protocol):
    """The processes of one command."""

    def members(self, *, at_most: int) -> list[int]: ...

    def refused(self) -> str:
        """The limit at which the kernel refused it something; empty if none or not known."""

    def kill(self) -> None:
        """Returns when no member is left; also called after the command's own end."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """`returncode` as in subprocess; `reason` is why we ended it, empty if it ended itself.

    `refused` is the limit at which the kernel refused it something while it ran.
    """

    returncode: int
    reason: str
    refused: str = ""

    @property
    def limit_hit(self) -> str:
        """The limit that ended the command, or made it fail; empty if none did."""
        if self.reason:
            return self.reason if self.reason in _LIMITS else ""
        number = -self.returncode if self.returncode < 0 else self.returncode - 128
        return (self.refused if self.returncode else "") or _ENDED_BY.get(number, "")


class Supervisor:
    """Runs in the thread that started the process: its death is tied to that thread."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        tree: Tree,
        *,
        limits: Limits,
        on_output: Callable[[bytes], None],
        cancelled: Callable[[], bool],
    ) -> None:
        self._process = process
        self._tree = tree
        self._limits = limits
        self._on_output = on_output
        self._cancelled = cancelled
        self._deadline = time.monotonic() + limits.timeout_s
        self._next_check = 0.0
        self._count = 0
        self._length = 0
        self._growing = False

    def run(self, output: int) -> Ending:
        """`output` is the read end of the pipe that the command writes to."""
        with ExitStack() as stack:
            stack.callback(self._process.wait)
            stack.callback(self._tree.kill)
            ended = os.pidfd_open(self._process.pid)
            stack.callback(os.close, ended)
            selector = stack.enter_context(selectors.DefaultSelector())
            selector.register(output, selectors.EVENT_READ)
            selector.register(ended, selectors.EVENT_READ)
            reason = self._watch(selector, output, ended)
            # What is left of the tree may hold the pipe open: end it before draining.
            self._tree.kill()
            selector.unregister(ended)
            self._drain(selector, output)
        return Ending(
            returncode=self._process.returncode, reason=reason, refused=self._tree.refused()
        )

    def _watch(self, selector: selectors.BaseSelector, output: int, ended: int) -> str:
        while True:
            ready = {key.fd for key, _ in selector.select(self._tick())}
            if output in ready:
                self._read(selector, output)
            if ended in ready:
                return ""
            if reason := self._overstep():
                return reason

    def _drain(self, selector: selectors.BaseSelector, output: int) -> None:
        until = time.monotonic() + _DRAIN_S
        while selector.get_map() and (left := until - time.monotonic()) > 0:
            if selector.select(left):
                self._read(selector, output)

    def _read(self, selector: selectors.BaseSelector, output: int) -> None:
        chunk = os.read(output, _CHUNK_BYTES)
        if chunk:
            self._length += len(chunk)
            self._on_output(chunk)
        else:
            selector.unregister(output)

    def _overstep(self) -> str:
        now = time.monotonic()
        if now >= self._deadline:
            return "timed_out"
        if self._length > self._limits.total_output_bytes:
            return "output"
        if now < self._next_check:
            return ""
        reason = "cancelled" if self._cancelled() else self._excess()
        # A look at many processes takes a while: it may cost a tenth of the time, not more,
        # unless they multiply. They could double many times until the next look.
        pause = max(_TICK_S, 10 * (time.monotonic() - now))
        self._next_check = now if self._growing else now + pause
        return reason

    def _tick(self) -> float:
        return _GROWING_TICK_S if self._growing else _TICK_S

    def _excess(self) -> str:
        if refused := self._tree.refused():
            return refused
        members = self._tree.members(at_most=self._limits.processes)
        self._growing = len(members) > self._count
        self._count = len(members)
        if len(members) > self._limits.processes:
            return "processes"
        limit = self._limits.memory_bytes
        return "memory" if processes.memory(members, limit=limit) > limit else ""


class NamespaceTree:
    """A command in its own process namespace; the kernel ends all of it with its first process."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        first_pid: Callable[[], int | None],
        group: Group | None = None,
    ) -> None:
        self._process = process
        self._group = group
        self._first_pid = first_pid
        self._first: int | None = None
        self._pidfd: int | None = None

    def members(self, *, at_most: int) -> list[int]:
        self._find()
        return processes.descendants(self._first, at_most=at_most) if self._first else []

    def refused(self) -> str:
        return self._group.limit_hit() if self._group else ""

    def kill(self) -> None:
        self._find()
        with suppress(ProcessLookupError):
            self._process.kill()
        if self._pidfd is not None:
            _end(self._pidfd)
            self._pidfd = None
        self._process.wait()

    def _find(self) -> None:
        if self._first is None and (pid := self._first_pid()):
            self._first = pid
            with suppress(ProcessLookupError):
                self._pidfd = os.pidfd_open(pid)


def _end(pidfd: int) -> None:
    try:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        with selectors.DefaultSelector() as selector:
            selector.register(pidfd, selectors.EVENT_READ)
            selector.select()
    finally:
        os.close(pidfd)
