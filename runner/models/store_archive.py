"""A store in one file: the same store gives the same bytes, and nothing strange comes in."""

from __future__ import annotations

import os
import shlex
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import FileAccessError, InvalidDocument, Problem, Reason, Refused
from runner.models import entries
from runner.models.store import Store, same

MOST_ENTRIES = 100_000
MOST_REASONS = 20
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Imported:
    """How many answers came new, were there already, and were replaced."""

    added: int
    known: int
    replaced: int


def export(store: Store, target: Path) -> int:
    """Write every answer to a new zip file and say how many.

    Raises FileAccessError where the file exists, InvalidDocument for a damaged answer.
    """
    if os.path.lexists(target):
        hint = f"name another file, or: rm {shlex.quote(str(target))}"
        raise FileAccessError(f"exporting to {target}: it exists", hint=hint)
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        count = _write(store, scratch)
        scratch.rename(target)
    except OSError as error:
        raise FileAccessError(f"exporting to {target}: {error.strerror}") from error
    finally:
        scratch.unlink(missing_ok=True)
    return count


def _write(store: Store, target: Path) -> int:
    count = 0
    target.touch(mode=0o600)
    # not compressed: libraries of other versions would compress to other bytes
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for entry in store.every():
            info = zipfile.ZipInfo(entries.address(entry.ask, entry.key), _FIXED_DATE)
            info.create_system, info.external_attr = 3, 0o600 << 16
            archive.writestr(info, _rendered(entry))
            count += 1
    return count


def _rendered(entry: entries.Entry) -> bytes:
    return entries.write(entry.request, ask=entry.ask, key=entry.key, answer=entry.answer)


def import_(store: Store, source: Path, *, replace: bool = False) -> Imported:
    """Take in what an export wrote, all of it or nothing.

    Raises InvalidDocument for any entry that is not a stored answer in its place, Refused where
    the store has another answer and `replace` is not set, FileAccessError.
    """
    counts = {None: 0, True: 0, False: 0}
    differing = []
    for address, data in _checked(source):
        found = same(store, address, data)
        counts[found] += 1
        differing += [address] if found is False else []
    if differing and not replace:
        raise _differ(store, differing)
    for address, data in _checked(source):
        if same(store, address, data) is not True:
            store.write(address, data)
    return Imported(added=counts[None], known=counts[True], replaced=counts[False])


def _differ(store: Store, addresses: list[str]) -> Refused:
    reasons = tuple(
        Reason(
            code="answer_differs",
            message=f"{store.folder / each} holds another answer",
            fix="keep it, or import with --replace",
        )
        for each in addresses[:MOST_REASONS]
    )
    message = f"importing stored answers: {len(addresses)} would be replaced"
    return Refused(message, reasons=reasons)


def _checked(source: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each answer as planlock writes it, after every check."""
    if not source.is_file():
        raise FileAccessError(f"importing {source}: no such file")
    try:
        with zipfile.ZipFile(source) as archive:
            _check_list(archive, source)
            for info in archive.infolist():
                entry = _entry(archive.read(info), source, name=info.filename)
                yield info.filename, _rendered(entry)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
        raise _unfit(source, f"it is no whole export: {error}") from error
    except OSError as error:
        raise FileAccessError(f"importing {source}: {error.strerror}") from error


def _entry(data: bytes, source: Path, *, name: str) -> entries.Entry:
    """Read one answer; what is wrong with it is wrong with the export, which stays as it is."""
    try:
        return entries.read(data, file=name)
    except InvalidDocument as error:
        raise _unfit(source, f"{name} {error.problems[0].message}") from error


def _check_list(archive: zipfile.ZipFile, source: Path) -> None:
    """Refuse names that lead elsewhere, and contents larger than the file that holds them."""
    listed = archive.infolist()
    names = {info.filename for info in listed}
    if len(listed) > MOST_ENTRIES or len(names) != len(listed):
        raise _unfit(source, f"it lists a name twice, or more than {MOST_ENTRIES} names")
    for info in listed:
        if not entries.ADDRESS.fullmatch(info.filename):
            raise _unfit(source, f"{info.filename!r} is not the place of a stored answer")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise _unfit(source, f"{info.filename} is compressed or encrypted; an export is not")
        if info.file_size > entries.MAX_BYTES:
            raise _unfit(source, f"{info.filename} has more than {entries.MAX_BYTES} bytes")
    if sum(info.file_size for info in listed) > source.stat().st_size:
        raise _unfit(source, "its contents would be larger than itself")


def _unfit(source: Path, why: str) -> InvalidDocument:
    problem = Problem(
        file=str(source),
        code="stored_answer",
        message=f"is no export of stored answers: {why}",
        fix="planlock models export FILE",
    )
    return InvalidDocument([problem])
