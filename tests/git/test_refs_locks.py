"""Refs moved in process keep git's own protocol of locks, and leave none behind."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path

import pytest
from recorded import DIED, dies_at, git, in_a_process, make_repository

from runner.core.errors import BranchBusy, GitError
from runner.git import refs, refs_locks
from runner.git.refs import Move
from runner.git.refs_locks import Transaction

REF = "refs/heads/x"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = make_repository(tmp_path / "it")
    git(folder, "update-ref", REF, "main")
    return folder


@pytest.fixture
def ids(folder: Path) -> tuple[str, str]:
    """The commit that the ref names, and one after it."""
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    new = git(folder, *who, "commit-tree", "-m", "New", "-p", "main", "main^{tree}")
    return git(folder, "rev-parse", "main"), new


def move(folder: Path, old: str | None, new: str, ref: str = REF) -> None:
    refs.move(folder / ".git", [Move(ref=ref, old=old, new=new)], reason="a\ntest")


def leftovers(folder: Path) -> list[str]:
    git_dir = folder / ".git"
    return [
        str(path.relative_to(git_dir))
        for place in (git_dir / "refs", git_dir / refs_locks.LOCKS)
        for path in place.rglob("*")
        if path.is_file() and (path.suffix == ".lock" or refs_locks.LOCKS in str(path))
    ]


@pytest.mark.parametrize("ref", ["refs/heads/x/y", "refs/heads/a"])
@pytest.mark.parametrize("packed", [False, True])
def test_name_in_the_way(folder: Path, ids: tuple[str, str], ref: str, packed: bool) -> None:  # noqa: FBT001  # a parameter
    """A ref cannot be made below or above another one, packed or not."""
    git(folder, "update-ref", "refs/heads/a/b", ids[0])
    if packed:
        git(folder, "pack-refs", "--all")
    with pytest.raises(GitError, match="exists; cannot create"):
        move(folder, None, ids[1], ref)
    assert git(folder, "for-each-ref", ref) in {"", git(folder, "for-each-ref", "refs/heads/a/b")}
    assert leftovers(folder) == []


def test_empty_folder_in_the_way(folder: Path, ids: tuple[str, str]) -> None:
    """An empty folder that deleted refs left is no hindrance."""
    (folder / ".git/refs/heads/y/z").mkdir(parents=True)
    move(folder, None, ids[1], "refs/heads/y")
    assert git(folder, "rev-parse", "y") == ids[1]


def test_no_log_is_made_and_one_is_continued(folder: Path, ids: tuple[str, str]) -> None:
    """A ref's log is written where there is one, HEAD's too, as git reads it."""
    logs = folder / ".git/logs"
    ref = "refs/heads/new"
    move(folder, None, ids[1], ref)
    assert not (logs / ref).exists()
    git(folder, "symbolic-ref", "HEAD", ref)
    for name in (ref, "HEAD"):
        (logs / name).parent.mkdir(parents=True, exist_ok=True)
        (logs / name).write_text("")
    move(folder, ids[1], ids[0], ref)
    for name in (ref, "HEAD"):
        assert (
            git(folder, "reflog", "show", "--format=%H %gs", name) == f"{ids[0]} planlock: a test"
        )


@pytest.mark.parametrize("content", ["", "1" * 40 + "\n"])
def test_foreign_lock_is_respected(folder: Path, ids: tuple[str, str], content: str) -> None:
    """A lock that is not ours stays, whatever it holds and however old it is."""
    lock = folder / ".git/refs/heads/x.lock"
    lock.write_text(content)
    with pytest.raises(BranchBusy, match="holds the lock"):
        move(folder, *ids)
    assert lock.read_text() == content


def test_lock_of_a_living_process_is_respected(folder: Path, ids: tuple[str, str]) -> None:
    """What another process of ours has locked is not taken for a leftover."""
    with Transaction(folder / ".git", [Move(ref=REF, old=ids[0], new=ids[1])]):
        code = in_a_process(lambda: refused(folder, ids))
        assert code == 0
        assert len(leftovers(folder)) == 2
    assert leftovers(folder) == []
    move(folder, *ids)


def refused(folder: Path, ids: tuple[str, str]) -> None:
    with pytest.raises(BranchBusy, match="holds the lock"):
        move(folder, *ids)


def test_F01_killed_while_it_moves_refs(tmp_path: Path) -> None:
    """Wherever a process dies while it moves refs, the next one moves them and leaves no lock."""
    act, code = 0, DIED
    while code == DIED:
        folder = make_repository(tmp_path / str(act))
        old = git(folder, "rev-parse", "main")
        git(folder, "update-ref", REF, old)
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
        new = git(folder, *who, "commit-tree", "-m", "New", "-p", "main", "main^{tree}")
        code = in_a_process(partial(dying_move, act, folder, old, new))
        now = git(folder, "rev-parse", REF)
        assert now in {old, new}
        move(folder, now, old if now == new else new)
        refs_locks.remove_dead_locks(folder / ".git")
        assert leftovers(folder) == []
        act += 1
    assert code == 0
    assert act > 6


def dying_move(act: int, folder: Path, old: str, new: str) -> None:
    dies_at(act)
    move(folder, old, new)


def test_long_names_are_moved_by_git(folder: Path, ids: tuple[str, str]) -> None:
    """A name too long for a file of ours is no hindrance."""
    ref = f"refs/heads/{'é' * 60}"
    move(folder, None, ids[1], ref)
    assert refs.read(folder / ".git", ref) == ids[1]


LOOP = """
for i in $(seq 1000); do
  git pack-refs --all
  git update-ref refs/heads/beside/$i main && git update-ref -d refs/heads/beside/$i
done
"""


def test_git_packs_refs_meanwhile(folder: Path, ids: tuple[str, str]) -> None:
    """While git packs and changes refs all the time, each move succeeds and is never unseen."""
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
    with subprocess.Popen(["sh", "-c", LOOP], cwd=folder, env=env) as beside:
        for number in range(150):
            old, new = ids[number % 2], ids[1 - number % 2]
            move(folder, old, new)
            assert refs.read(folder / ".git", REF) == new
            assert refs.under(folder / ".git", "refs/heads/")[REF] == new
        beside.kill()
    assert git(folder, "rev-parse", REF) == ids[0]


def test_refs_move_together_or_not_at_all(folder: Path, ids: tuple[str, str]) -> None:
    """Until the transaction is committed nothing has moved, and nothing has if it is left."""
    moves = [
        Move(ref=REF, old=ids[0], new=ids[1]),
        Move(ref="refs/heads/new", old=None, new=ids[1]),
    ]
    with Transaction(folder / ".git", moves):
        assert refs.under(folder / ".git", "refs/heads/") == {
            "refs/heads/main": ids[0],
            REF: ids[0],
        }
    assert not (folder / ".git/refs/heads/new").exists()
    with Transaction(folder / ".git", moves) as transaction:
        transaction.commit(reason="x", sync=False)
    assert refs.under(folder / ".git", REF, "refs/heads/new") == {
        REF: ids[1],
        "refs/heads/new": ids[1],
    }
