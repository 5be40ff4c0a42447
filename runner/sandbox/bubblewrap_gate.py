"""Holds a command back until all that watches it is in place."""

from __future__ import annotations

import json
import os
import select
import time
from contextlib import ExitStack
from typing import Self

from runner.core.errors import SandboxUnavailable
from runner.sandbox.pipes import Pipe

_PATIENCE_S = 30.0


class Gate:
    """Three pipes: what bwrap says, what it waits for, and the mark of the shell inside.

    bwrap takes the end of what it waits for, when we are gone, for a yes, and ties the command's
    life to ours only later. But without us the mark cannot be made, nor the command start.
    """

    def __init__(self, *, patience_s: float = _PATIENCE_S) -> None:
        self._patience_s = patience_s
        self.first_pid: int | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._status, self._block, self._mark = (stack.enter_context(Pipe()) for _ in range(3))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def kept(self) -> tuple[int, ...]:
        """The descriptors that the process inherits."""
        return (self.status, self.block, self.mark)

    @property
    def status(self) -> int:
        return self._status.write_end

    @property
    def block(self) -> int:
        return self._block.read_end

    @property
    def mark(self) -> int:
        return self._mark.write_end

    @property
    def marked(self) -> int:
        return self._mark.read_end

    def wait_for_namespaces(self) -> int | None:
        """The first process in them, once they are made; None if bwrap ended without."""
        self._status.close_write_end()
        self._mark.close_write_end()
        until = time.monotonic() + self._patience_s
        said = b""
        while b"\n" not in said:
            chunk = self._read_status(until)
            if not chunk:
                return None
            said += chunk
        self.first_pid = int(json.loads(said.partition(b"\n")[0])["child-pid"])
        return self.first_pid

    def open(self) -> None:
        os.write(self._block.write_end, b".")

    def _read_status(self, until: float) -> bytes:
        poll = select.poll()
        poll.register(self._status.read_end, select.POLLIN)
        if not poll.poll(1000 * max(0.0, until - time.monotonic())):
            raise SandboxUnavailable(
                f"confining a command: bwrap made no namespaces in {self._patience_s:.0f} seconds"
            )
        return os.read(self._status.read_end, 4096)
