"""Take back what a merged run changed: on a branch of its own, ready for a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.core.errors import BranchBusy, Refused
from runner.core.run import RunFile, run_folder
from runner.git import history, refs, trailers
from runner.git.graph import Change
from runner.git.objects import FOLDER, Entry, NewCommit, ObjectStore, Signature
from runner.git.refs import Move
from runner.project import Project
from runner.verbs import recording

AFTERWARDS = frozenset({"undo", "rollback"})


@dataclass(frozen=True, kw_only=True)
class Merged:
    """A run that is on the trusted branch, as that is now.

    `edits` give each path back what it was before, on `branch`; `conflicts` are neither as the run left them
    nor as they were before.
    """

    trusted: str
    branch: str
    edits: Mapping[str, Entry | None]
    conflicts: tuple[str, ...]


def find(project: Project, run: RunFile, tip: str, changes: Sequence[Change]) -> Merged | None:
    """Hold a run's changes against the trusted branch; None for one that is not merged."""
    store, trusted = project.store, project.home.trusted()
    there = store.commit(trusted).tree
    now = {each.path: _file(store, there, each.path) for each in changes}
    is_there = all(now[each.path] == each.new for each in changes)
    if not changes or not (is_there or _is_merged(project, run, tip, trusted)):
        return None
    edits = {each.path: each.old for each in changes if now[each.path] != each.old}
    return Merged(
        trusted=trusted,
        branch=f"rollback/{run.header.plan}-{run.header.run}" if edits else "",
        edits=edits,
        conflicts=tuple(
            each.path for each in changes if now[each.path] not in {each.old, each.new}
        ),
    )


def _is_merged(project: Project, run: RunFile, tip: str, trusted: str) -> bool:
    """By its commits, or by its records, which a squash brings too."""
    last = _last(project.store, run, tip)
    return history.is_ancestor(project.git_dir, last, trusted) or _has_records(
        project.store, run, tip, trusted
    )


def _last(store: ObjectStore, run: RunFile, tip: str) -> str:
    """The commit of the last record that is not about a rollback."""
    for each in reversed(run.records):
        if each.record.kind not in AFTERWARDS:
            break
        tip = store.commit(tip).parents[0]
    return tip


def _has_records(store: ObjectStore, run: RunFile, tip: str, trusted: str) -> bool:
    names = [each.name for each in run.records if each.record.kind not in AFTERWARDS]
    if not names:
        return False
    path = f"{run_folder(run.header.plan, run.header.run)}/{names[-1]}"
    here, there = (store.entry(store.commit(oid).tree, path) for oid in (tip, trusted))
    return here is not None and here == there


def propose(project: Project, run: RunFile, merged: Merged, *, step: str, by: Signature) -> None:
    """Make the branch, signed by the runner; one that says the same already is left as it is.

    None is made where all is as it was already.

    Raises Refused where it says something else.
    """
    if not merged.edits:
        return
    ref, store = f"refs/heads/{merged.branch}", project.store
    there = refs.read(project.git_dir, ref)
    if there is not None and _says(project, there, merged):
        return
    name = f"{run.header.plan}/{run.header.run}"
    pairs = [("Plan", run.header.plan), ("Run", str(run.header.run)), ("Rolled-Back-To", step)]
    draft = NewCommit(
        tree=store.edit_tree(store.commit(merged.trusted).tree, merged.edits),
        parents=(merged.trusted,),
        by=by,
        message=trailers.message(f"planlock: take back {name} to before {step}", pairs),
    )
    commit = recording.sign_commit(project, draft)
    try:
        project.publisher.publish([Move(ref=ref, old=None, new=commit)], reason=f"roll back {name}")
    except BranchBusy as error:
        message = f"rolling back {name}: there is another branch {merged.branch}"
        raise Refused(message, hint=f"git branch -m {merged.branch} NAME") from error


def _says(project: Project, commit: str, merged: Merged) -> bool:
    store = project.store
    found = store.commit(commit)
    is_based = all(
        history.is_ancestor(project.git_dir, parent, merged.trusted) for parent in found.parents
    )
    return is_based and all(
        _file(store, found.tree, path) == entry for path, entry in merged.edits.items()
    )


def _file(store: ObjectStore, tree: str, path: str) -> Entry | None:
    """What a tree has at a path; None for a folder, which no change is about."""
    found = store.entry(tree, path)
    return None if found is None or found.mode == FOLDER else found
