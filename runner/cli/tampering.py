"""What mallory does in the demo: change recorded history with plain git."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def change_record(repository: Path, run: str, *, env: Mapping[str, str]) -> None:
    """Add a commit that changes a record on the run branch."""
    folder = f"plans/{run.replace('/', '/runs/')}"
    tip = _git(repository, env, "rev-parse", f"refs/heads/planlock/{run}")
    path = f"{folder}/004-test.yaml"
    old = _git(repository, env, "show", f"{tip}:{path}") + "\n"
    tree = _replace(repository, env, tip, {path: old.replace("exit_code: 0", "exit_code: 7")})
    commit = _git(repository, env, "commit-tree", tree, "-p", tip, "-m", "planlock: touch up")
    _git(repository, env, "update-ref", f"refs/heads/planlock/{run}", commit)


def rewrite_chain(repository: Path, run: str, *, env: Mapping[str, str]) -> None:
    """Write every commit of the run anew, each record's digest chained to the one before."""
    branch = f"refs/heads/planlock/{run}"
    commits = _git(repository, env, "rev-list", "--reverse", "--first-parent", branch).split()
    start = _start(repository, env, commits)
    parent, digests = commits[start - 1], dict[str, str]()
    folder = f"plans/{run.replace('/', '/runs/')}"
    for commit in commits[start:]:
        files = _records(repository, env, commit, folder)
        new = {path: _rechained(text, digests) for path, text in files.items()}
        for path, text in files.items():
            digests[_digest(text)] = _digest(new[path])
        tree = _replace(repository, env, commit, new)
        message = _git(repository, env, "log", "-1", "--format=%B", commit)
        parent = _git(repository, env, "commit-tree", tree, "-p", parent, "-m", message)
    _git(repository, env, "update-ref", branch, parent)
    _git(repository, env, "update-ref", f"refs/tags/planlock-run/{run}", parent)


def _start(repository: Path, env: Mapping[str, str], commits: list[str]) -> int:
    subjects = [_git(repository, env, "log", "-1", "--format=%s", each) for each in commits]
    return next(n for n, text in enumerate(subjects) if text.startswith("planlock: start run"))


def _records(repository: Path, env: Mapping[str, str], commit: str, folder: str) -> dict[str, str]:
    listed = _git(repository, env, "ls-tree", "--name-only", commit, f"{folder}/").splitlines()
    names = sorted(name for name in listed if name.endswith(".yaml"))
    names.sort(key=lambda name: not name.endswith("run.yaml"))
    return {name: _git(repository, env, "show", f"{commit}:{name}") + "\n" for name in names}


def _rechained(text: str, digests: Mapping[str, str]) -> str:
    changed = text.replace("A loop. Recursion", "Recursion. A loop")
    for old, new in digests.items():
        changed = changed.replace(old, new)
    return changed


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _replace(
    repository: Path, env: Mapping[str, str], commit: str, files: Mapping[str, str]
) -> str:
    """Give the tree of a commit with some files replaced, made in an index of its own."""
    index = {**env, "GIT_INDEX_FILE": str(repository / ".git" / "mallory-index")}
    _git(repository, index, "read-tree", commit)
    for path, text in files.items():
        oid = _git(repository, index, "hash-object", "-w", "--stdin", stdin=text)
        _git(repository, index, "update-index", "--add", "--cacheinfo", f"100644,{oid},{path}")
    return _git(repository, index, "write-tree")


def _git(repository: Path, env: Mapping[str, str], *args: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["git", *args],
        cwd=repository,
        env={**os.environ, **env},
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.rstrip("\n")
