"""Runs in small: commits made through a recorder, and processes that die between two acts."""

from __future__ import annotations

import os
import shutil
import subprocess
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from runner.git import durable
from runner.git.objects import FILE, Entry, NewCommit, ObjectStore, Signature
from runner.git.recorder import Recorder, open_recorder
from runner.git.refs import Move

BRANCH, LEASE = "refs/heads/planlock/job/1", "refs/planlock/leases/job/1"
BY = Signature(name="Runner", email="runner@example.com", when=1_700_000_000)
DIED = 9
Result = TypeVar("Result")


def git(folder: Path, *args: str, stdin: bytes = b"", check: bool = True) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *args], cwd=folder, env=env, input=stdin, capture_output=True, check=False
    )
    assert not check or done.returncode == 0, f"git {args}: {done.stderr.decode()}"
    return done.stdout.decode().strip()


def make_repository(folder: Path) -> Path:
    """Make a repository with one commit on `main`."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main", ".")
    tree = git(folder, "mktree")
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    commit = git(folder, *who, "commit-tree", "-m", "Start", tree)
    git(folder, "update-ref", "refs/heads/main", commit)
    return folder


def check(folder: Path) -> None:
    """All that git can check is in order."""
    said = git(folder, "fsck", "--strict", "--full", "--no-dangling")
    assert not said, said


def values(folder: Path) -> dict[str, str]:
    """The run's refs as git has them."""
    pairs = git(folder, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    found = dict(line.split(" ") for line in pairs)
    return {ref: found[ref] for ref in (BRANCH, LEASE) if ref in found}


@dataclass
class Run:
    """A run being recorded: each step adds a file, a record, a commit and a lease link."""

    store: ObjectStore
    recorder: Recorder
    values: dict[str, str] = field(default_factory=dict)
    tree: str | None = None
    count: int = 0

    def write(self) -> list[Move]:
        """Write the objects of one more step; the moves that publish them are given."""
        self.count += 1
        blobs = [self.store.write("blob", f"{kind} {self.count}\n".encode()) for kind in "ab"]
        paths = (f"plans/job/runs/1/{self.count:03}.yaml", "src/a.py")
        edits = {path: Entry(mode=FILE, oid=oid) for path, oid in zip(paths, blobs, strict=True)}
        self.tree = self.store.edit_tree(self.tree, edits)
        new = {BRANCH: self._commit(BRANCH, self.tree)}
        new[LEASE] = self._commit(LEASE, self.store.write_tree({}))
        return [Move(ref=ref, old=self.values.get(ref), new=oid) for ref, oid in new.items()]

    def _commit(self, ref: str, tree: str) -> str:
        parents = (self.values[ref],) if ref in self.values else ()
        message = f"{ref} {self.count}\n"
        draft = NewCommit(tree=tree, parents=parents, by=BY, message=message)
        return self.store.write("commit", draft.unsigned())

    def step(self, *, sync: bool = True) -> None:
        moves = self.write()
        self.recorder.commit(moves, reason=f"step {self.count}", sync=sync)
        self.values.update({move.ref: move.new for move in moves})

    def steps(self, count: int) -> list[dict[str, str]]:
        """Do some steps; the refs' values after each."""
        after = []
        for _ in range(count):
            self.step()
            after.append(dict(self.values))
        return after


@contextmanager
def recording(folder: Path) -> Iterator[Run]:
    """Record a run in a repository; what is not closed in the block stays as it is."""
    git_dir = folder / ".git"
    with ObjectStore(git_dir, git_dir / "objects") as store:
        yield Run(store, open_recorder(store, "job", 1))


def in_a_process(work: Callable[[], object]) -> int:
    """Do something in a process of its own, which ends as if killed; its exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001  # told, then the process ends without clean-up
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dies_at(act: int) -> None:
    """Let this process die instead of doing the act of this number, counted from 0."""
    count = 0
    done = durable.perform

    def perform(name: str, place: Path, call: Callable[[], Result], /) -> Result:
        nonlocal count
        if count == act:
            os._exit(DIED)
        count += 1
        return done(name, place, call)

    durable.perform = perform


def copy(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to, symlinks=True)
    return to
