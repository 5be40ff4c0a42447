"""Every request and answer, kept under the request's address: cache, replay and cassette in one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.core.errors import FileAccessError, InvalidDocument, ReplayMiss
from runner.core.model_call import Answer, Request
from runner.models import entries
from runner.models.entries import ADDRESS, Entry


class Store:
    """A folder of answers; only its owner may read it, and several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, ask: str, key: str | None) -> Answer | None:
        """Give the answer to a question by a model, or whatever model it was that answered.

        Raises ReplayMiss where no model is named and several answered, InvalidDocument for a
        file that does not answer this question, FileAccessError.
        """
        entry = self._only(ask) if key is None else self.entry(entries.address(ask, key))
        return entry.answer if entry else None

    def put(self, request: Request, *, ask: str, key: str, answer: Answer) -> None:
        """Keep an answer, in place of an earlier one; raises FileAccessError."""
        data = entries.write(request, ask=ask, key=key, answer=answer)
        self.write(entries.address(ask, key), data)

    def entry(self, address: str) -> Entry | None:
        """Read what lies at an address; raises InvalidDocument or FileAccessError."""
        path = self.folder / address
        with _explained(f"reading stored answer {path}"):
            data = _read(path)
        return None if data is None else entries.read(data, file=str(path))

    def addresses(self) -> list[str]:
        """Every address at which something lies, sorted; raises FileAccessError."""
        with _explained(f"listing stored answers in {self.folder}"):
            found = [f"{one}/{two}/{three}" for one, two, three in _files(self.folder)]
        return sorted(each for each in found if ADDRESS.fullmatch(each))

    def every(self) -> Iterator[Entry]:
        """Read all, in the order of their addresses; raises as `entry` does."""
        for address in self.addresses():
            if (entry := self.entry(address)) is not None:
                yield entry

    def write(self, address: str, data: bytes) -> None:
        """Put a file in place as a whole; raises FileAccessError."""
        path = self.folder / address
        with _explained(f"keeping answer {path}"):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in (path.parent.parent, path.parent):
                folder.mkdir(exist_ok=True, mode=0o700)
            write_whole(path, data)

    def _only(self, ask: str) -> Entry | None:
        folder = Path(entries.address(ask, ask)).parent
        with _explained(f"listing stored answers in {self.folder / folder}"):
            names = _names(self.folder / folder)
        places = [f"{folder}/{name}" for name in sorted(names)]
        places = [each for each in places if ADDRESS.fullmatch(each)]
        if len(places) > 1:
            message = f"looking for a stored answer: {len(places)} models answered this question"
            raise ReplayMiss(message, hint="say which: --model PROVIDER/NAME")
        return self.entry(places[0]) if places else None


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that nobody ever sees half written; raises OSError."""
    descriptor, scratch = _scratch(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _scratch(path: Path) -> tuple[int, Path]:
    """Open a new file beside another; a name that somebody took before us is passed over."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    number = 0
    while True:
        scratch = path.with_name(f".{path.name}.{number}")
        try:
            return os.open(scratch, flags, 0o600), scratch
        except FileExistsError:
            number += 1


def _read(path: Path) -> bytes | None:
    """Read a regular file, None where there is none; no link, pipe or device is opened."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise entries.damaged(str(path), "it is no regular file")
        return file.read(entries.MAX_BYTES + 1)


def _names(folder: Path) -> list[str]:
    try:
        return [each.name for each in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(folder: Path) -> Iterator[tuple[str, str, str]]:
    for one in _names(folder):
        if len(one) != 2 or not (folder / one).is_dir():
            continue
        for two in _names(folder / one):
            yield from ((one, two, three) for three in _names(folder / one / two))


@contextmanager
def _explained(activity: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileAccessError(f"{activity}: {error.strerror}") from error


def same(store: Store, address: str, data: bytes) -> bool | None:
    """Whether the store has exactly this at an address; None where it has nothing there."""
    try:
        found = store.entry(address)
    except InvalidDocument:
        return False
    if found is None:
        return None
    kept = entries.write(found.request, ask=found.ask, key=found.key, answer=found.answer)
    return kept == data
