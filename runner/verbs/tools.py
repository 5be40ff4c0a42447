"""Which of the policy's `sandbox.tools` a command gets: the machine's own, never the repository's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from runner.core.errors import WorkspaceSecurityError
from runner.git import command
from runner.git.objects import FOLDER, ObjectStore
from runner.project import Project
from runner.sandbox.tools import base_prefix
from runner.verbs.session import Session

PLAIN_MOUNT = Path("/workspace")


def find(session: Session, names: Sequence[str]) -> list[Path]:
    """Those of the tools that this machine has; a missing one is told.

    Raises WorkspaceSecurityError for a tool that git tracks, or that a link leads to: whoever
    pushes a branch would choose the programs that approved commands run.
    """
    work_tree = session.project.repository.work_tree
    found = []
    for name in names:
        path = Path(name).expanduser()
        path = path if path.is_absolute() else (work_tree or PLAIN_MOUNT) / path
        if work_tree:
            _check_own(session, work_tree, path)
        if path.exists():
            found.append(path)
        else:
            session.tell("note", text=f"sandbox.tools: {path} does not exist here")
    return found


def closed_folders(project: Project) -> tuple[Path, ...]:
    """The folders of git and planlock: keys, other branches, other runs."""
    home = Path(project.home_url or "")
    repository = project.repository
    own = (repository.common_dir, repository.git_dir)
    return (*own, home) if home.is_absolute() and home.exists() else own


def _check_own(session: Session, work_tree: Path, tool: Path) -> None:
    _refuse_links(work_tree, tool)
    for folder in (tool, *base_prefix(tool)):
        real = folder.resolve()
        if real.is_relative_to(work_tree) and real != work_tree:
            relative = real.relative_to(work_tree).as_posix()
            if _tracked(session, work_tree, relative):
                raise WorkspaceSecurityError(
                    relative,
                    "is a tool of sandbox.tools, and git tracks files of it",
                    reason_code="tracked_tool",
                    hint=f"git rm -r --cached {relative}",
                )


def _refuse_links(work_tree: Path, tool: Path) -> None:
    if not tool.is_relative_to(work_tree):
        return
    place = work_tree
    for name in tool.relative_to(work_tree).parts:
        place /= name
        if place.is_symlink() or name == "..":
            relative = place.relative_to(work_tree).as_posix()
            raise WorkspaceSecurityError(
                relative,
                "is a link on the way to a tool of sandbox.tools",
                reason_code="symlink",
                hint="name in sandbox.tools what the link leads to",
            )


def _tracked(session: Session, work_tree: Path, path: str) -> bool:
    store = session.project.store
    commits = {session.project.authority().commit, session.tip}
    commits |= {session.project.repository.head_commit() or session.tip}
    return any(_in_tree(store, store.commit(each).tree, path) for each in commits) or any(
        _meet(path, name) for name in _index(session, work_tree)
    )


def _in_tree(store: ObjectStore, tree: str, path: str) -> bool:
    """Whether anything at, below or in place of a folder above the path is in the tree."""
    for name in path.split("/"):
        entry = store.tree(tree).get(name)
        if entry is None or entry.mode != FOLDER:
            return entry is not None
        tree = entry.oid
    return True


def _index(session: Session, work_tree: Path) -> Iterator[str]:
    listed = command.run(
        [f"--work-tree={work_tree}", "ls-files", "--cached", "-z"],
        git_dir=session.project.git_dir,
        cwd=work_tree,
    )
    return (os.fsdecode(name) for name in listed.split(b"\0") if name)


def _meet(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}/") or name.startswith(f"{path}/")
