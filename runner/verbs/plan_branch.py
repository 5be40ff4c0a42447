"""Commit to a plan branch without touching HEAD, index or work tree of anybody."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from runner.core.errors import BranchBusy
from runner.core.run import plan_branch
from runner.core.text import visible
from runner.git import checkouts, history, refs, trailers
from runner.git.objects import FILE, Entry, NewCommit
from runner.git.refs import Move
from runner.git.trailers import Trailer
from runner.project import Project


def commit_files(  # noqa: PLR0913  # a commit has these parts
    project: Project,
    plan: str,
    files: Mapping[str, bytes],
    *,
    onto: Sequence[str],
    subject: str,
    pairs: Sequence[Trailer],
    tree: str,
    may_differ: Sequence[str] = (),
) -> str:
    """Add files to `tree` in one signed commit on top of `onto` and move the plan branch to it.

    Where the branch is checked out, its work tree goes along if those files are clean there
    (`may_differ` names paths whose text in the caller's own work tree is being committed);
    else BranchBusy.
    """
    store, branch = project.store, plan_branch(plan)
    old = refs.read(project.git_dir, branch)
    if old and not any(history.is_ancestor(project.git_dir, old, tip) for tip in onto):
        # a touch or a passphrase takes time, and what came meanwhile must not be lost
        raise BranchBusy(f"moving {branch}: it moved on meanwhile", hint="try again")
    entries = {
        path: Entry(mode=FILE, oid=store.write("blob", data)) for path, data in files.items()
    }
    place = checkouts.of_branch(project.git_dir, branch) if old else None
    ours = place is not None and place.folder == project.repository.work_tree
    spared = may_differ if ours else ()
    had = {path: store.entry(tree, path) for path in entries if path not in spared}
    if place and (old != onto[0] or tree != store.commit(onto[0]).tree):
        message = f"moving {branch} by more than this commit: it is checked out in {place.folder}"
        raise BranchBusy(message, hint="git switch to another branch there, then try again")
    if place:
        checkouts.check_clean(place, store, had)
    draft = NewCommit(
        tree=store.edit_tree(tree, entries),
        parents=tuple(onto),
        by=project.identity(),
        message=trailers.message(subject, pairs),
    )
    signature = project.maker.sign(draft.unsigned(), namespace="git")
    commit = store.write("commit", draft.signed(signature))
    refs.move(project.git_dir, [Move(ref=branch, old=old, new=commit)], reason=subject)
    if place:
        checkouts.advance(place, store, entries)
    return commit


def local_tip(project: Project, plan: str) -> str | None:
    """Where the next commit goes: the local branch, or the home's where that is ahead of it.

    Raises BranchBusy where the two have parted.
    """
    here = refs.read(project.git_dir, plan_branch(plan))
    there = project.home.plan_tip(plan)
    if here is None or there is None or here == there:
        return here or there
    if history.is_ancestor(project.git_dir, there, here):
        return here
    if history.is_ancestor(project.git_dir, here, there):
        return there
    message = f"{plan_branch(plan)} here and in {project.home.url} have parted"
    raise BranchBusy(message, hint=f"git branch -m plan/{plan} plan/{plan}-mine, then try again")


def push_command(project: Project, plan: str) -> str:
    """The command that brings the branch to a remote home, to be copied; empty without one."""
    url = project.home.url
    return visible(shlex.join(["git", "push", url, plan_branch(plan)])) if url else ""
