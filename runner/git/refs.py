"""Refs: read, and moved in transactions with the old value named, so that nobody is overtaken.

In process where git keeps them in plain files, else through git itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from runner.core.errors import BranchBusy, FileAccessError, GitError
from runner.git import command, refs_files
from runner.git.refs_files import NotPlain
from runner.git.refs_locks import ZERO, Move, Transaction

__all__ = ["ZERO", "Move", "delete", "move", "read", "under"]

# How git tells, where it does not give the system's own words, that a file could not be written.
DISK = (
    *("No space", "Read-only", "Permission denied", "File too large"),
    *("unable to create", "unable to write", "couldn't write", "cannot update ref"),
)
TAGS = "refs/tags/"
BROKEN = "ignoring broken ref"


def read(git_dir: Path, ref: str) -> str | None:
    """Give the object id that a full ref name points to; None where there is none."""
    try:
        return _plain(git_dir, ref)
    except NotPlain:
        args = ["rev-parse", "--verify", "--quiet", f"{ref}^{{}}"]
        return _asked(git_dir, args).decode().strip() or None


def _plain(git_dir: Path, ref: str) -> str | None:
    if ref.startswith(TAGS):  # may name an object that names a commit
        raise NotPlain
    common = refs_files.common_dir(git_dir)
    refs_files.check_backend(common)
    return refs_files.value(common, ref)


def under(git_dir: Path, *prefixes: str) -> dict[str, str]:
    """Give ref → object id of every ref below the prefixes."""
    try:
        common = refs_files.common_dir(git_dir)
        refs_files.check_backend(common)
        return refs_files.listed(common, prefixes)
    except NotPlain:
        lines = _asked(git_dir, ["for-each-ref", "--format=%(objectname) %(refname)", *prefixes])
        pairs = (line.split(" ", 1) for line in lines.decode().splitlines())
        return {ref: oid for oid, ref in pairs}


def _asked(git_dir: Path, args: Sequence[str]) -> bytes:
    """Ask git, which passes over broken refs with a warning; raises GitError for these."""
    done = command.attempt(args, git_dir=git_dir)
    said = done.stderr.decode(errors="replace").strip()
    if BROKEN in said or done.returncode > 1:
        raise GitError(f"git {args[0]}: {said}", hint="git fsck")
    return done.stdout


def move(git_dir: Path, moves: Sequence[Move], *, reason: str) -> None:
    """Move all refs or none; raises BranchBusy where one is not where it was expected."""
    try:
        _check_objects(git_dir, moves)
        with Transaction(git_dir, moves) as transaction:
            transaction.commit(reason=reason, sync=True)
    except NotPlain:
        _ask_to_move(git_dir, moves, reason)


def _check_objects(git_dir: Path, moves: Sequence[Move]) -> None:
    """Leave it to git to say whether an object exists that has no file of its own."""
    objects = refs_files.common_dir(git_dir) / "objects"
    if not all((objects / each.new[:2] / each.new[2:]).exists() for each in moves):
        raise NotPlain


def delete(git_dir: Path, known: Mapping[str, str], *, reason: str) -> None:
    """Delete all refs, each from the object id that is given, or none; raises BranchBusy."""
    words = [f"delete {ref}\0{oid}" for ref, oid in known.items()]
    _transact(git_dir, words, names=", ".join(known), reason=reason)


def _ask_to_move(git_dir: Path, moves: Sequence[Move], reason: str) -> None:
    words = [
        f"create {each.ref}\0{each.new}"
        if each.old is None
        else f"update {each.ref}\0{each.new}\0{each.old}"
        for each in moves
    ]
    _transact(git_dir, words, names=", ".join(each.ref for each in moves), reason=reason)


def _transact(git_dir: Path, words: Sequence[str], *, names: str, reason: str) -> None:
    every = ["start", *words, "prepare", "commit"]
    stdin = "".join(word + "\0" for word in every).encode()
    done = command.attempt(
        ["-c", "core.fsync=reference", "update-ref", "-m", f"planlock: {reason}", "-z", "--stdin"],
        git_dir=git_dir,
        stdin=stdin,
    )
    if done.returncode != 0:
        raise _trouble(git_dir, names, done.stderr.decode(errors="replace").strip())


def _trouble(git_dir: Path, names: str, said: str) -> Exception:
    if "but expected" in said or "already exists" in said or "unable to resolve" in said:
        return BranchBusy(f"moving {names}: another process moved it first", hint="try again")
    if "File exists" in said:
        return BranchBusy(f"moving {names}: another process holds the lock", hint="try again")
    if any(cause in said for cause in DISK):
        return FileAccessError(
            f"moving {names}: {said}", hint=f"df -h {git_dir} && ls -ld {git_dir}"
        )
    return GitError(f"moving {names}: {said}")
