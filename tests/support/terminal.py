"""A terminal of its own for a real planlock: keys go in, and what a person sees comes out."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from team import Team

SOURCE = str(Path(__file__).parents[2])
# the child leads a session of its own, so that Ctrl-C reaches it as from a keyboard
MAIN = (
    "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    " from runner.cli.main import main; main(sys.argv[1:])"
)
STYLE = re.compile(r"\x1b\[[0-9;]*m")
PATIENCE = 60.0
LOCAL = 3  # termios(3): the place of the local modes among the attributes


@dataclass
class Terminal:
    """`raw` is all that came out so far, `text` the same without colours."""

    process: subprocess.Popen[bytes]
    master: int
    raw: str = ""
    seen: int = field(default=0)

    @property
    def text(self) -> str:
        return STYLE.sub("", self.raw).replace("\r\n", "\n")

    def until(self, wanted: str) -> str:
        """Wait for a text that was not waited for before; gives what is new up to its end."""
        end = time.monotonic() + PATIENCE
        while wanted not in self.text[self.seen :]:
            assert time.monotonic() < end, f"no {wanted!r} in:\n{self.text[self.seen :]}"
            assert self._read(), f"ended without {wanted!r}:\n{self.text}"
        start, self.seen = self.seen, self.text.index(wanted, self.seen) + len(wanted)
        return self.text[start : self.seen]

    def _read(self) -> bool:
        """Take in what came out; False at the end."""
        if not select.select([self.master], [], [], 0.05)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # Linux tells so that the other side is closed
            return False
        self.raw += data.decode(errors="replace")
        return bool(data)

    def press(self, keys: str, *, ask: str = "[?] ") -> str:
        """Press keys once the question is there; gives what was shown until then."""
        shown = self.until(ask)
        self._until_single_keys()
        self.type(keys)
        return shown

    def insist(self, keys: str, wanted: str) -> None:
        """Type keys again and again until a text comes: what comes at a bad moment is dropped."""
        end = time.monotonic() + PATIENCE
        while wanted not in self.text[self.seen :]:
            assert time.monotonic() < end, f"no {wanted!r} in:\n{self.text[self.seen :]}"
            self.type(keys)
            pause = time.monotonic() + 0.5
            while time.monotonic() < pause and wanted not in self.text[self.seen :]:
                assert self._read(), f"ended without {wanted!r}:\n{self.text}"
        self.until(wanted)

    def type(self, keys: str) -> None:
        """Type without waiting for anything."""
        os.write(self.master, keys.encode())

    def _until_single_keys(self) -> None:
        """Wait until the terminal gives each key at once; what was typed before is dropped then."""
        end = time.monotonic() + PATIENCE
        while termios.tcgetattr(self.master)[LOCAL] & termios.ICANON:
            assert time.monotonic() < end, f"no key is read after:\n{self.text[-200:]}"
            time.sleep(0.01)

    def end(self) -> int:
        """Wait for the end and give the exit code."""
        end = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < end, f"no end:\n{self.text[self.seen :]}"
        return self.process.wait(PATIENCE)


@contextmanager
def terminal(
    team: Team,
    who: str,
    *args: str,
    columns: int = 80,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[Terminal]:
    """Start planlock in a terminal of a width; it is gone at the end."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**team.environment(who), "PYTHONPATH": SOURCE, "TERM": "xterm", **(env or {})}
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *args],
        cwd=cwd or team.root,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    ) as process:
        os.close(slave)
        try:
            yield Terminal(process=process, master=master)
        finally:
            process.kill()
            os.close(master)
