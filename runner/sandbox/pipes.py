"""Pipes and memory files that a child inherits, closed whatever happens."""

from __future__ import annotations

import os
from typing import Self


class Pipe:
    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        self._open = {self.read_end, self.write_end}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._open:
            os.close(descriptor)
        self._open.clear()

    def close_write_end(self) -> None:
        """The reader sees the end of the stream only when no writer is left, us included."""
        os.close(self.write_end)
        self._open.discard(self.write_end)


def memory_file(content: bytes) -> int:
    """A descriptor to read the content from; the caller closes it."""
    descriptor = os.memfd_create("planlock")
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
