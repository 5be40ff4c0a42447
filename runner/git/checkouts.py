"""Branches that somebody has checked out: moved together with their work tree, or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import BranchBusy, FileAccessError
from runner.git import command
from runner.git.objects import Entry, ObjectStore
from runner.git.refs import ZERO

FILTERS = r"^filter\..*\.(clean|smudge|process|required)$"


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A work tree and the branch in it."""

    folder: Path
    branch: str | None


def list_all(git_dir: Path) -> list[Checkout]:
    words = command.run(["worktree", "list", "--porcelain", "-z"], git_dir=git_dir).decode()
    found = []
    for block in words.split("\0\0"):
        fields = dict(line.partition(" ")[::2] for line in block.split("\0") if line)
        if "worktree" in fields and not fields.keys() & {"bare", "prunable"}:
            found.append(Checkout(folder=Path(fields["worktree"]), branch=fields.get("branch")))
    return found


def of_branch(git_dir: Path, branch: str) -> Checkout | None:
    return next((each for each in list_all(git_dir) if each.branch == branch), None)


def check_clean(checkout: Checkout, store: ObjectStore, paths: Mapping[str, Entry | None]) -> None:
    """Refuse unless every path in the work tree is as the branch had it, or already as it will be.

    `paths` gives for each path the entry that the branch has now.
    """
    for path, entry in paths.items():
        there = _read(checkout.folder / path)
        had = store.blob(entry.oid) if entry else None
        if there not in (had, None):
            raise BranchBusy(
                f"moving {checkout.branch}: it is checked out in {checkout.folder}, "
                f"where {path} has changes",
                hint="commit or remove them there, then try again",
            )


def advance(checkout: Checkout, store: ObjectStore, paths: Mapping[str, Entry | None]) -> None:
    """Write the new entries to work tree and index; attributes and filters play no part."""
    lines = []
    for path, entry in paths.items():
        target = checkout.folder / path
        if entry is None:
            target.unlink(missing_ok=True)
        else:
            write_file(target, store.blob(entry.oid))
        mode, oid = (entry.mode, entry.oid) if entry else ("0", ZERO)
        lines.append(f"{mode} {oid}\t{path}\0")
    git_dir = command.run(["rev-parse", "--absolute-git-dir"], cwd=checkout.folder)
    command.run(
        ["update-index", "-z", "--index-info"],
        git_dir=Path(git_dir.decode().strip()),
        stdin="".join(lines).encode(),
        cwd=checkout.folder,
        env=_without_filters(checkout.folder),
    )


def _without_filters(folder: Path) -> dict[str, str]:
    """Variables that empty every configured filter: git compares files of the last second.

    Settings by variable go before those of the repository (git-config(1), GIT_CONFIG_COUNT).
    """
    found = command.attempt(["config", "-z", "--name-only", "--get-regexp", FILTERS], cwd=folder)
    names = sorted({name for name in found.stdout.decode().split("\0") if name})
    values = {"GIT_CONFIG_COUNT": str(len(names))}
    for number, name in enumerate(names):
        values[f"GIT_CONFIG_KEY_{number}"] = name
        values[f"GIT_CONFIG_VALUE_{number}"] = "false" if name.endswith(".required") else ""
    return values


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileAccessError(f"reading {path}: {error.strerror}") from error


def write_file(path: Path, content: bytes) -> None:
    """Write a file of a work tree whole or not at all; raises FileAccessError."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(content)
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise FileAccessError(f"writing {path}: {error.strerror}") from error
