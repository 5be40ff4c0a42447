"""Refs move all together from where they were expected, or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from team import Team

from runner.core.errors import BranchBusy, FileAccessError, GitError
from runner.git import refs
from runner.git.refs import Move


@pytest.fixture
def commits(team: Team) -> tuple[Path, str, str]:
    """The git folder and two commits."""
    return team.root / ".git", team.git("rev-parse", "main"), team.git("rev-parse", "main~1")


def test_move_creates_and_updates(commits: tuple[Path, str, str]) -> None:
    """A transaction may create and update refs at once."""
    git_dir, new, old = commits
    refs.move(git_dir, [Move(ref="refs/heads/a", old=None, new=old)], reason="make")
    refs.move(
        git_dir,
        [
            Move(ref="refs/heads/a", old=old, new=new),
            Move(ref="refs/heads/b", old=None, new=new),
        ],
        reason="move",
    )
    assert refs.under(git_dir, "refs/heads/") == dict.fromkeys(
        ("refs/heads/a", "refs/heads/b", "refs/heads/main"), new
    )


@pytest.mark.parametrize("wrong", ["moved", "exists", "gone"])
def test_move_is_all_or_nothing(commits: tuple[Path, str, str], wrong: str) -> None:
    """Where one ref is not where it was expected, none moves."""
    git_dir, new, old = commits
    moves = {
        "moved": Move(ref="refs/heads/main", old=old, new=new),
        "exists": Move(ref="refs/heads/main", old=None, new=new),
        "gone": Move(ref="refs/heads/none", old=old, new=new),
    }
    with pytest.raises(BranchBusy, match="another process moved it first"):
        refs.move(git_dir, [Move(ref="refs/heads/a", old=None, new=new), moves[wrong]], reason="x")
    assert refs.under(git_dir, "refs/heads/") == {"refs/heads/main": new}


def test_move_meets_a_lock(commits: tuple[Path, str, str]) -> None:
    """A ref that another process has locked is busy, not broken."""
    git_dir, new, old = commits
    (git_dir / "refs/heads/main.lock").touch()
    with pytest.raises(BranchBusy, match="holds the lock"):
        refs.move(git_dir, [Move(ref="refs/heads/main", old=new, new=old)], reason="x")


def test_move_needs_an_object(commits: tuple[Path, str, str]) -> None:
    """A ref to nothing is refused."""
    with pytest.raises((GitError, FileAccessError)):
        refs.move(commits[0], [Move(ref="refs/heads/a", old=None, new="1" * 40)], reason="x")


def test_A26_one_of_many_wins(commits: tuple[Path, str, str]) -> None:
    """Of many that create the same ref at once exactly one does."""
    git_dir, new, _ = commits

    def create(number: int) -> bool:
        try:
            move = Move(ref="refs/heads/race", old=None, new=new)
            refs.move(git_dir, [move], reason=f"try {number}")
        except BranchBusy:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(16))) == 1


def test_packed_refs_are_read_and_moved(team: Team, commits: tuple[Path, str, str]) -> None:
    """Refs that git has packed are refs like others."""
    git_dir, new, old = commits
    team.git("branch", "a", old)
    team.git("pack-refs", "--all")
    refs.move(git_dir, [Move(ref="refs/heads/a", old=old, new=new)], reason="x")
    assert refs.read(git_dir, "refs/heads/a") == new
