"""Read runs from their branches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from runner import schemas
from runner.core import validation
from runner.core.errors import GitError, NotFound, RepositoryUnsuitable
from runner.core.record import RECORD_FILE, RecordFile
from runner.core.run import (
    RUN_FILE,
    RunFile,
    digest_bytes,
    lease_ref,
    run_branch,
    run_folder,
    run_tag,
)
from runner.git import refs
from runner.git.objects import FOLDER, ObjectStore
from runner.project import Project

# One pushed ref must not make everybody count to a number that no run will ever have.
LAST_NUMBER = 999_999
NUMBER = "[1-9][0-9]{0,5}"
RUN_REF = re.compile(
    r"^refs/(?:heads/planlock|tags/planlock-run|remotes/[^/]+/planlock)"
    rf"/(?P<plan>[a-z0-9-]+)/(?P<run>{NUMBER})$"
)
RUN_NAME = re.compile(rf"^(?P<plan>[a-z0-9-]+)/(?P<run>{NUMBER})$")
PREFIXES = ("refs/heads/planlock/", "refs/tags/planlock-run/", "refs/remotes/")


def load_run(store: ObjectStore, commit: str, plan: str, run: int) -> RunFile:
    """Read a run at a commit, with the runs that it forked from, as far as it has them.

    Raises InvalidDocument, or GitError where it holds none.
    """
    found = [_load_one(store, commit, plan, run)]
    while (fork := found[-1].header.fork) is not None:
        if fork.run >= run:
            raise GitError(f"reading run {plan}/{run} at {commit[:12]}: no fork of an earlier run")
        run = fork.run
        found.append(_load_one(store, commit, plan, run))
    return with_origins(found)


def with_origins(found: Sequence[RunFile]) -> RunFile:
    """The first of the runs, of which each forked from the next."""
    loaded = found[-1]
    for each in reversed(found[:-1]):
        _ = loaded.index  # so that no later use goes down the whole chain
        loaded = replace(each, origin=loaded)
    return loaded


def _load_one(store: ObjectStore, commit: str, plan: str, run: int) -> RunFile:
    folder = run_folder(plan, run)
    entry = store.entry(store.commit(commit).tree, folder)
    if entry is None or entry.mode != FOLDER:
        raise GitError(f"reading run {plan}/{run} at {commit[:12]}: no folder {folder}")
    files = store.tree(entry.oid)
    if RUN_FILE not in files:
        raise GitError(f"reading run {plan}/{run} at {commit[:12]}: no {folder}/{RUN_FILE}")
    data = store.blob(files[RUN_FILE].oid)
    header = validation.read_stored(
        data, validation.HEADER, file=f"{folder}/{RUN_FILE}", schema=schemas.load("run")
    )
    names = [
        name
        for name in sorted(files, key=_record_order)
        if name.endswith(".yaml") and name != RUN_FILE
    ]
    contents = store.blobs([files[name].oid for name in names])
    records = [
        read_record(content, f"{folder}/{name}")
        for name, content in zip(names, contents, strict=True)
    ]
    return RunFile(header=header, header_digest=digest_bytes(data), records=tuple(records))


def _record_order(name: str) -> tuple[int, str]:
    found = RECORD_FILE.match(name)
    return (int(found["number"]) if found else 0, name)


def load_record(store: ObjectStore, oid: str, path: str) -> RecordFile:
    return read_record(store.blob(oid), path)


def read_record(data: bytes, path: str) -> RecordFile:
    """Type the bytes of a record; raises InvalidDocument."""
    record = validation.read_stored(
        data, validation.RECORD, file=path, schema=schemas.load("record")
    )
    return RecordFile(name=path.rpartition("/")[2], record=record, digest=digest_bytes(data))


def of_plan(project: Project, plan: str) -> dict[int, str]:
    """The runs of a plan on this repository's branches and tags: number → tip commit."""
    prefix = run_branch(plan, 0)[:-1]
    tags = run_tag(plan, 0)[:-1]
    found: dict[int, str] = {}
    for ref, oid in sorted(refs.under(project.git_dir, tags, prefix).items(), reverse=True):
        match = RUN_REF.match(ref)
        if match:
            found[int(match["run"])] = oid
    return dict(sorted(found.items()))


def leased(project: Project, plan: str) -> list[int]:
    """Numbers of the plan's runs that have a lease; it stays when somebody deletes the branch."""
    prefix = lease_ref(plan, 0)[:-1]
    names = [ref.removeprefix(prefix) for ref in refs.under(project.git_dir, prefix)]
    return [int(name) for name in names if re.fullmatch(NUMBER, name)]


def number_after(plan: str, taken: Iterable[int]) -> int:
    """The number of the next run; raises RepositoryUnsuitable after the last that there can be."""
    number = max(taken, default=0) + 1
    if number > LAST_NUMBER:
        message = f"numbering a run of {plan}: some ref is of run {LAST_NUMBER}, the last there is"
        hint = f"git for-each-ref 'refs/**/{plan}/{LAST_NUMBER}'"
        raise RepositoryUnsuitable(message, hint=hint)
    return number


def every(project: Project) -> Iterator[tuple[str, int, str, str]]:
    """Yield (plan, run, ref, commit) of all runs; a branch goes before a tag of the same run."""
    seen: set[tuple[str, int]] = set()
    for ref, oid in sorted(refs.under(project.git_dir, *PREFIXES).items()):
        match = RUN_REF.match(ref)
        if match and (match["plan"], int(match["run"])) not in seen:
            seen.add((match["plan"], int(match["run"])))
            yield match["plan"], int(match["run"]), ref, oid


def find(project: Project, name: str) -> tuple[str, int, str]:
    """Resolve `PLAN/N`, or `PLAN` for its newest run, to plan, number and commit."""
    match = RUN_NAME.match(name)
    plan = match["plan"] if match else name
    known = {run: oid for each, run, _, oid in every(project) if each == plan}
    number = int(match["run"]) if match else max(known, default=0)
    if number not in known:
        have = ", ".join(f"{plan}/{run}" for run in known) or "none"
        raise NotFound(f"looking for run {name!r}: not here; runs of this plan: {have}")
    return plan, number, known[number]
