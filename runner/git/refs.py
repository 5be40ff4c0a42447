"""Refs: read, and moved in transactions with the old value named, so that nobody is overtaken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import BranchBusy, FileAccessError, GitError
from runner.git import command

ZERO = "0" * 40
# How git tells, where it does not give the system's own words, that a file could not be written.
DISK = (
    *("No space", "Read-only", "Permission denied", "File too large"),
    *("unable to create", "unable to write", "couldn't write", "cannot update ref"),
)


@dataclass(frozen=True, kw_only=True)
class Move:
    """One ref's move; `old` None means that it must not exist yet."""

    ref: str
    old: str | None
    new: str


def read(git_dir: Path, ref: str) -> str | None:
    """Give the object id that a full ref name points to; None where there is none."""
    found = command.attempt(["rev-parse", "--verify", "--quiet", f"{ref}^{{}}"], git_dir=git_dir)
    return found.stdout.decode().strip() or None


def under(git_dir: Path, *prefixes: str) -> dict[str, str]:
    """Give ref → object id of every ref below the prefixes."""
    lines = command.run(
        ["for-each-ref", "--format=%(objectname) %(refname)", *prefixes], git_dir=git_dir
    )
    pairs = (line.split(" ", 1) for line in lines.decode().splitlines())
    return {ref: oid for oid, ref in pairs}


def move(git_dir: Path, moves: Sequence[Move], *, reason: str) -> None:
    """Move all refs or none; raises BranchBusy where one is not where it was expected."""
    words = ["start"]
    for each in moves:
        if each.old is None:
            words.append(f"create {each.ref}\0{each.new}")
        else:
            words.append(f"update {each.ref}\0{each.new}\0{each.old}")
    words += ["prepare", "commit"]
    stdin = "".join(word + "\0" for word in words).encode()
    done = command.attempt(
        ["-c", "core.fsync=reference", "update-ref", "-m", f"planlock: {reason}", "-z", "--stdin"],
        git_dir=git_dir,
        stdin=stdin,
    )
    if done.returncode != 0:
        raise _trouble(git_dir, moves, done.stderr.decode(errors="replace").strip())


def _trouble(git_dir: Path, moves: Sequence[Move], said: str) -> Exception:
    names = ", ".join(each.ref for each in moves)
    if "but expected" in said or "already exists" in said or "unable to resolve" in said:
        return BranchBusy(f"moving {names}: another process moved it first", hint="try again")
    if "File exists" in said:
        return BranchBusy(f"moving {names}: another process holds the lock", hint="try again")
    if any(cause in said for cause in DISK):
        return FileAccessError(f"moving {names}: {said}", hint=f"df -h {git_dir}")
    return GitError(f"moving {names}: {said}")
