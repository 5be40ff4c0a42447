"""A run's files over the checkout of another tree are those of its own tree, for every command."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from overlaid import work_tree
from team import Team

from runner.git.objects import ObjectStore
from runner.git.shared_checkouts import SharedCheckouts
from runner.git.worktree import WorkTree


def committed(team: Team, files: Mapping[str, str]) -> str:
    team.git("rm", "-rqf", "--ignore-unmatch", "d")
    team.commit(files, "Files")
    return team.git("rev-parse", "HEAD")


def over(work: Path, store: ObjectStore, *, beneath: str, commit: str) -> WorkTree:
    """A work tree where another tree has been checked out before."""
    made = work_tree("overlaid", work, store)
    others = SharedCheckouts(work.parent / f"{work.name}-checkouts", store, few=0)
    others.near(store.commit(beneath).tree).release()
    made.fill(store.commit(commit).tree, commit)
    return made


def files(tree: WorkTree) -> list[str]:
    """What a command finds below d/, each of which it can look at."""
    argv = ["find", "d", "-type", "f"]
    done = subprocess.run(argv, cwd=tree.root, capture_output=True, check=True, text=True)
    assert done.stderr == ""
    return sorted(done.stdout.split())


def test_a_folder_over_a_file(team: Team, tmp_path: Path) -> None:
    """Where the other tree has a file in the place of a folder, the folder's files are there."""
    beneath = committed(team, {"d": "file\n"})
    commit = committed(team, {"d/x": "x\n", "d/e/y": "y\n"})
    with ObjectStore(team.root / ".git", team.root / ".git/objects") as store:
        tree = over(tmp_path / "work", store, beneath=beneath, commit=commit)
        try:
            tree.index()
            assert files(tree) == ["d/e/y", "d/x"]
            assert tree.changes(["**"]) == []
        finally:
            tree.remove()


def test_a_folder_that_a_command_made_anew(team: Team, tmp_path: Path) -> None:
    """The next command finds in it what the last one left, and no traces of what is gone."""
    beneath = committed(team, {"d/x": "older\n"})
    commit = committed(team, {"d/x": "x\n"})
    with ObjectStore(team.root / ".git", team.root / ".git/objects") as store:
        tree = over(tmp_path / "work", store, beneath=beneath, commit=commit)
        try:
            tree.index()
            script = "rm -r d; mkdir d; echo n > d/new"
            subprocess.run(["bash", "-c", script], cwd=tree.root, check=True)
            for change in tree.changes(["**"]):
                tree.keep(change)
            tree.index()
            listed = subprocess.run(
                ["ls", "-l", "d"], cwd=tree.root, check=True, text=True, capture_output=True
            )
            assert listed.stderr == ""
            assert files(tree) == ["d/new"]
        finally:
            tree.remove()
