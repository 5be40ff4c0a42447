"""`gc`: take away what ended runs leave here and in the home. Records are never touched."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import FileAccessError, GitError, InvalidDocument
from runner.core.run import RunFile, lease_ref, run_branch, run_tag
from runner.git import home_ahead, leftovers, refs, shared_checkouts
from runner.git.leases import Lease
from runner.project import Project
from runner.verbs import holder, runs
from runner.verbs.runs import NUMBER

LEASES, CONTROL, BRANCHES = (
    "refs/planlock/leases/",
    "refs/planlock/control/",
    "refs/heads/planlock/",
)
# With the copies of a run that was ahead of the home when its runner was killed.
OF_RUNS = (LEASES, CONTROL, home_ahead.copy_of(LEASES), home_ahead.copy_of(BRANCHES))
FOLDERS = ("work", "replay")


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """One thing that went: `work_tree`, `replay`, `checkout` or `ref`; its size in bytes here."""

    kind: str
    name: str
    size: int = 0


@dataclass(frozen=True, kw_only=True)
class GcReport:
    """What went, or would go by a dry run; `kept` says what is still needed, and for what."""

    cleaned: tuple[Cleaned, ...]
    kept: tuple[str, ...]
    bytes: int


def gc(project: Project, *, dry_run: bool) -> GcReport:
    """Clean up; raises FileAccessError, or GitError where the home cannot be reached."""
    kept: list[str] = []
    cleaned = [*_work_trees(project, kept), *_replays(project), *_checkouts(project)]
    ended = _refs_of_ended(project, kept)
    if not dry_run:
        for each in cleaned:
            _remove(project.repository.state / each.name, shared=each.kind == "checkout")
        project.home.delete(ended)
    cleaned += [Cleaned(kind="ref", name=ref) for ref in ended]
    return GcReport(
        cleaned=tuple(cleaned), kept=tuple(kept), bytes=sum(each.size for each in cleaned)
    )


def _work_trees(project: Project, kept: list[str]) -> Iterator[Cleaned]:
    """Those that no runner is at work in: a run that goes on begins with fresh files."""
    top = project.repository.state / FOLDERS[0]
    for folder in sorted(top.glob("*/*")):
        name = f"{folder.parent.name}/{folder.name}"
        try:
            lease = _lease(project, folder)
        except (GitError, InvalidDocument) as error:
            kept.append(f"work tree of {name}: {error}")
            continue
        if lease is not None and holder.is_at_work(lease, project.world.now()):
            kept.append(f"work tree of {name}: {lease.holder} is at work")
        else:
            place = str(folder.relative_to(project.repository.state))
            yield Cleaned(kind="work_tree", name=place, size=_size(folder))


def _lease(project: Project, folder: Path) -> Lease | None:
    known = re.fullmatch(NUMBER, folder.name)
    return holder.lease(project, folder.parent.name, int(folder.name)) if known else None


def _replays(project: Project) -> Iterator[Cleaned]:
    """Scratch workspaces whose process is gone."""
    for folder in sorted((project.repository.state / FOLDERS[1]).glob("*")):
        if holder.gone(folder.name.partition("@")[2].replace("@", "/")):
            place = str(folder.relative_to(project.repository.state))
            yield Cleaned(kind="replay", name=place, size=_size(folder))


def _checkouts(project: Project) -> Iterator[Cleaned]:
    """What no command is shown now; the next one makes its own again."""
    state = project.repository.state
    for each in shared_checkouts.unused(shared_checkouts.of(state, project.store).folder):
        place = str(each.path.relative_to(state))
        yield Cleaned(kind="checkout", name=place, size=each.size)


def _refs_of_ended(project: Project, kept: list[str]) -> dict[str, str]:
    """Leases and requests of runs that are over and whose tag keeps their number taken."""
    found: dict[str, str] = {}
    is_over: dict[str, bool] = {}
    for ref, oid in refs.under(project.git_dir, *OF_RUNS).items():
        name = "/".join(ref.split("/")[-2:])
        if name not in is_over:
            why = _why_kept(project, name)
            is_over[name] = not why
            if why:
                kept.append(f"lease and requests of {name}: {why}")
        if is_over[name]:
            found[ref] = oid
    return found


def _why_kept(project: Project, name: str) -> str:
    try:
        return "" if _is_over(project, name) else "the run is not over"
    except (GitError, InvalidDocument) as error:
        return str(error)


def _is_over(project: Project, name: str) -> bool:
    """Whether a run has its end, and a tag there, and nobody is at work in it.

    What the home never got is told apart by the lease, which then stays.
    """
    match = runs.RUN_NAME.match(name)
    if match is None:
        return False
    plan, number = match["plan"], int(match["run"])
    tip = refs.read(project.git_dir, run_branch(plan, number))
    tag = refs.read(project.git_dir, run_tag(plan, number))
    lease = holder.lease(project, plan, number)
    aside = home_ahead.set_aside(project.git_dir, lease_ref(plan, number))
    if tag is None or aside or (lease and holder.is_at_work(lease, project.world.now())):
        return False
    try:
        run = runs.load_run(project.store, tip or tag, plan, number)
        return run.ended and not _is_being_undone(run, lease)
    except (GitError, InvalidDocument):
        return False  # whatever it is, the audit tells; it keeps what it has


def _is_being_undone(run: RunFile, lease: Lease | None) -> bool:
    """Whether an undo command had started of which only the lease tells."""
    if lease is None or not lease.undo:
        return False
    last = run.latest_undo(lease.step)
    return last is None or last.attempt < lease.attempt


def _size(folder: Path) -> int:
    """Bytes on the disk below a folder, links not followed."""
    return sum(
        status.st_blocks * 512
        for place, _, files in os.walk(folder)
        for status in (Path(place, name).lstat() for name in files)
    )


def _remove(folder: Path, *, shared: bool) -> None:
    try:
        shared_checkouts.remove(folder) if shared else leftovers.remove(folder)
    except OSError as error:
        raise FileAccessError(f"removing {folder}: {error.strerror}") from error
