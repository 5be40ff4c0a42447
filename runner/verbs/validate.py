"""Check files of every kind, wherever they lie; all problems at once."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.core import document_problems, documents, plan_checks
from runner.core.documents import Document, Limits
from runner.core.errors import InvalidDocument, Problem

if TYPE_CHECKING:
    from runner.core.record import RecordFile
    from runner.core.run import RunHeader

LoadSchema = Callable[[str], Mapping[str, Any]]

SIGNERS = "allowed_signers"
PLANS = "plans"
CALLS = "calls"
_YAML = (".yaml", ".yml")
_KIND_BY_KEY = (
    ("decision", "approval"),
    ("previous", "record"),
    ("plan_tip", "run"),
    ("people", "policy"),
    ("rules", "policy"),
    ("providers", "models"),
)
# Which field repeats which part of the file's path, and where `plans` must stand for it to do so.
_FIELDS_OF_PATH: Mapping[str, tuple[tuple[str, int, int | None], ...]] = {
    "plan": (("id", -2, -3),),
    "approval": (("id", -1, None), ("plan", -3, -4)),
    "run": (("run", -2, None), ("plan", -4, -5)),
}
_MAX_BYTES = Limits().max_bytes


@dataclass(frozen=True, kw_only=True, order=True)
class Checked:
    """A file that was read, and as what: plan, policy, approval, run, record, models or signers."""

    file: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """`problems` by file and line, `checked` by file."""

    problems: tuple[Problem, ...]
    checked: tuple[Checked, ...]


@dataclass
class _Work:
    load_schema: LoadSchema
    problems: list[Problem] = field(default_factory=list)
    checked: list[Checked] = field(default_factory=list)
    headers: dict[Path, tuple[RunHeader, str]] = field(default_factory=dict)
    records: dict[Path, list[RecordFile]] = field(default_factory=dict)
    seen: set[Path] = field(default_factory=set)


def validate(paths: Sequence[Path], *, load_schema: LoadSchema) -> Report:
    """Check files, and folders with all that lies in them; a repository's root means `plans/`.

    A run's chain is checked where a folder was given: a lone record has no neighbours.
    """
    work = _Work(load_schema)
    for path in paths:
        if _is_folder(path):
            _check_folder(work, path)
        else:
            _check_file(work, path)
    return Report(problems=tuple(sorted(work.problems)), checked=tuple(sorted(work.checked)))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # reading it as a file will say why


def _check_folder(work: _Work, folder: Path) -> None:
    # A plan may be called `plans` too.
    is_root = (folder / PLANS).is_dir() and _place(folder).name != PLANS
    root = folder / PLANS if is_root else folder
    troubles = len(work.problems)
    found = list(_walk(work, root))
    for path in found:
        _check_file(work, path)
    # By their real place, since `.` and `..` have no names.
    runs = {_place(path).parent: path.parent for path in found if _is_run_part(_place(path))}
    for place in sorted(runs):
        work.problems += _chain(work, place, runs[place])
    if not found and len(work.problems) == troubles:
        message = "no plan, policy, approval or record lies here"
        work.problems.append(_problem(folder, "not_found", message, "planlock new GOAL"))


def _place(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _walk(work: _Work, root: Path) -> Iterator[Path]:
    """Yield what is to be checked; links and folders that cannot be read are problems."""
    pending = [root]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError as error:
            work.problems.append(_unreadable(folder, error))
            continue
        for entry in entries:
            path = folder / entry.name
            if entry.is_symlink():
                message = "is a symbolic link, which planlock never follows"
                work.problems.append(_problem(path, "symlink", message, "put the file itself here"))
            elif entry.is_dir():
                pending += [] if entry.name == ".git" or _is_calls(_place(path)) else [path]
            elif entry.name == SIGNERS or entry.name.endswith(_YAML):
                yield path


def _is_run(folder: Path) -> bool:
    return folder.parent.name == "runs" and folder.name.isdigit()


def _is_calls(folder: Path) -> bool:
    """What models were asked and said is kept by their store, in a format of its own."""
    return folder.name == CALLS and _is_run(folder.parent)


def _is_run_part(place: Path) -> bool:
    return _is_run(place.parent) and place.name.endswith(_YAML)


def _check_file(work: _Work, path: Path) -> None:
    place = _place(path)
    if place in work.seen:
        return
    work.seen.add(place)
    try:
        data = _read(path)
    except FileNotFoundError:
        fix = f"ls {path.parent.as_posix()}"
        work.problems.append(_problem(path, "not_found", "no such file or folder", fix))
    except OSError as error:
        work.problems.append(_unreadable(path, error))
    else:
        kind = _check_data(work, path, data)
        work.checked.append(Checked(file=path.as_posix(), kind=kind))


def _read(path: Path) -> bytes:
    """Read no more than shows that a file is too large; a pipe or device is never opened."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(None, "not a regular file")
    with path.open("rb") as stream:
        return stream.read(_MAX_BYTES + 1)


def _check_data(work: _Work, path: Path, data: bytes) -> str:
    """Check a file and say what kind it is; one that cannot be parsed goes by its name."""
    kind = named = _kind_by_name(_place(path))
    if len(data) > _MAX_BYTES:
        message = f"has more than {_MAX_BYTES} bytes"
        work.problems.append(_problem(path, "too_large", message, "split it"))
        return kind or "plan"
    try:
        if named == "signers":
            _check_signers(data, path)
        else:
            document = documents.parse(data, file=path.as_posix())
            kind = named or _kind_by_keys(document.value)
            _check_document(work, path, document, kind)
    except InvalidDocument as error:
        work.problems += error.problems
    return kind or "plan"


def _check_document(work: _Work, path: Path, document: Document, kind: str) -> None:
    place = _place(path)
    if kind == "plan":
        _check_plan(document, work.load_schema(kind))
    else:
        _check_typed(work, place, document, kind)
    if _kind_by_name(place) == kind:
        work.problems += _path_problems(kind, document, place)


def _check_plan(document: Document, schema: Mapping[str, Any]) -> None:
    """Ask the schema alone, which takes the plans that their model takes, and loads much faster."""
    problems = document_problems.check(document, schema, cross_checks=plan_checks.cross_checks)
    if problems:
        raise InvalidDocument(problems)


def _check_typed(work: _Work, place: Path, document: Document, kind: str) -> None:
    """Keep what is read of a run: its chain is checked when all of it is there."""
    from runner.core import validation
    from runner.core.record import RecordFile
    from runner.core.run import digest_bytes
    from runner.models import config

    formats = {**validation.FORMATS, "models": config.FORMAT}
    value = validation.read(document, formats[kind], schema=work.load_schema(kind))
    digest = digest_bytes(document.text.encode())
    if kind == "run":
        work.headers[place.parent] = value, digest
    elif kind == "record":
        found = RecordFile(name=place.name, record=value, digest=digest)
        work.records.setdefault(place.parent, []).append(found)


def _kind_by_name(place: Path) -> str:
    if place.name == SIGNERS:
        return "signers"
    if place.name in {"plan.yaml", "policy.yaml"}:
        return place.stem
    if place.parent.name == "approvals":
        return "approval"
    if not _is_run(place.parent):
        return ""
    from runner.core.run import RUN_FILE

    return "run" if place.name == RUN_FILE else "record"


def _kind_by_keys(value: Any) -> str:
    keys = value if isinstance(value, dict) else ()
    return next((kind for key, kind in _KIND_BY_KEY if key in keys), "plan")


def _path_problems(kind: str, document: Document, place: Path) -> Iterator[Problem]:
    """Say where a file names another plan, run or record than the one whose place it takes."""
    parts = (*place.parts[:-1], place.stem)
    for name, part, anchor in _FIELDS_OF_PATH.get(kind, ()):
        said, wanted = str(document.value[name]), parts[part]
        below_plans = anchor is None or parts[anchor:][:1] == (PLANS,)
        if said != wanted and below_plans:
            line, column = document.place((name,))
            yield Problem(
                file=document.file,
                line=line,
                column=column,
                path=name,
                code="misplaced",
                message=f"`{name}` is {said}, but the file lies where {wanted} belongs",
                fix=f"write {wanted}, or move the file",
            )


def _chain(work: _Work, place: Path, run: Path) -> Iterator[Problem]:
    """Check the chain of a run of which every file is valid."""
    from runner.core.run import RUN_FILE, RunFile, chain_problems

    parts = [each for each in work.seen if each.parent == place and _is_run_part(each)]
    header, records = work.headers.get(place), work.records.get(place, [])
    if place / RUN_FILE not in parts:
        yield _problem(run / RUN_FILE, "not_found", "records without their header", "git log -- .")
    if header is None or len(parts) != len(records) + 1:
        return
    records = sorted(records, key=lambda each: each.number)
    file = RunFile(header=header[0], header_digest=header[1], records=tuple(records))
    for text in chain_problems(file):
        name, _, message = text.rpartition(": ")
        fix = f"git log -p -- {run.as_posix()}"
        yield _problem(run / (name or RUN_FILE), "broken_chain", message, fix)


def _check_signers(data: bytes, path: Path) -> None:
    from runner.git import signers

    signers.parse(data, file=path.as_posix())


def _unreadable(path: Path, error: OSError) -> Problem:
    message = f"reading it: {error.strerror}"
    return _problem(path, "unreadable", message, f"ls -l {path.as_posix()}")


def _problem(path: Path, code: str, message: str, fix: str) -> Problem:
    return Problem(file=path.as_posix(), code=code, message=message, fix=fix)
