"""What a recorder commits is in git at once, with one wait for the disk, and ends as one pack."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from recorded import BRANCH, LEASE, check, git, make_repository, recording, values

from runner.core.errors import BranchBusy, FileAccessError
from runner.git import durable, objects_kept, packs_files, recorder, refs_locks
from runner.git.refs import Move

Result = TypeVar("Result")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "it")


def left(folder: Path) -> list[str]:
    """What is left of a session beside one pack."""
    git_dir = folder / ".git"
    found = [*(git_dir / "planlock/journal").glob("*"), *(git_dir / refs_locks.LOCKS).glob("*")]
    found += (git_dir / packs_files.OWN).glob("*")
    packs = [path for path in (git_dir / "objects/pack").iterdir() if path.suffix != ".rev"]
    return [path.name for path in found] + sorted(path.suffix for path in packs)


def test_each_commit_is_there_at_once(folder: Path) -> None:
    """Git sees refs and objects after each commit, and after the end one pack is left."""
    with recording(folder) as run:
        for after in (run.steps(1)[0] for _ in range(5)):
            assert values(folder) == after
            check(folder)
        run.recorder.close()
    assert left(folder) == [".idx", ".pack"]
    assert git(folder, "rev-list", "--count", BRANCH) == "5"
    check(folder)


def test_one_wait_for_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit waits for the disk once, with the journal's data; without `sync` it does not."""
    acts: Counter[tuple[str, str]] = Counter()
    done = durable.perform

    def count(name: str, place: Path, call: Callable[[], Result]) -> Result:
        acts[name, place.parent.name] += 1
        return done(name, place, call)

    with recording(folder) as run:
        run.steps(2)
        monkeypatch.setattr(durable, "perform", count)
        run.step()
        waits = {act: number for act, number in acts.items() if act[0] in {"sync", "write durably"}}
        assert waits == {("sync", "journal"): 1}
        acts.clear()
        run.step(sync=False)
        assert not {act for act, _ in acts} & {"sync", "write durably"}
        run.recorder.close()


def test_overtaken_commit_leaves_nothing(folder: Path) -> None:
    """Where a ref is elsewhere none moves, and the journal never had the commit."""
    with recording(folder) as run:
        run.step()
        git(folder, "update-ref", LEASE, "main")
        before, moves = values(folder), run.write()
        with pytest.raises(BranchBusy, match="another process moved it first"):
            run.recorder.commit(moves, reason="late")
        assert values(folder) == before
        run.recorder.close()
    assert values(folder) == before
    assert git(folder, "cat-file", "--batch-check", stdin=moves[0].new.encode()).endswith("missing")
    check(folder)


def test_many_commits_leave_few_packs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs are put together on the way, each time the journal is settled, and at the end."""
    monkeypatch.setattr(recorder, "MOST_PACKS", 4)
    monkeypatch.setattr(recorder, "MOST_SETTLED", 3)
    most = 0
    with recording(folder) as run:
        for _ in range(40):
            run.step()
            most = max(most, len(list((folder / ".git/objects/pack").glob("*.idx"))))
        run.recorder.close()
    assert most <= 4 + 3
    assert left(folder) == [".idx", ".pack"]
    assert git(folder, "rev-list", "--count", BRANCH) == "40"
    check(folder)


def test_what_is_written_is_read_back(folder: Path) -> None:
    """Objects that wait for their pack are read, and edited, as any others."""
    with recording(folder) as run:
        run.write()
        assert run.tree is not None
        assert run.store.file(run.tree, "src/a.py") == b"b 1\n"
        assert git(folder, "cat-file", "--batch-check", stdin=run.tree.encode()).endswith("missing")


def test_much_is_not_kept_in_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too much for memory goes to the disk before the commit, where git keeps it."""
    monkeypatch.setattr(objects_kept, "MOST_COLLECTED", 100)
    with recording(folder) as run:
        large = [run.store.write("blob", os.urandom(200)) for _ in range(2)]
        git(folder, "gc", "-q", "--prune=now")
        for oid in large:
            assert git(folder, "cat-file", "-s", oid) == "200"
        run.steps(2)
        run.recorder.close()
    assert left(folder) == [".idx", ".idx", ".pack", ".pack"]  # one is what git had made
    check(folder)


def test_log_and_head_of_a_checked_out_branch(folder: Path) -> None:
    """A run's branch that is checked out moves as any other."""
    with recording(folder) as run:
        run.step()
        git(folder, "symbolic-ref", "HEAD", BRANCH)
        run.step()
        run.recorder.close()
    assert git(folder, "rev-parse", "HEAD") == values(folder)[BRANCH]


def test_group_repository_is_written_through_git(folder: Path) -> None:
    """Where git itself has to move the refs, objects are durable before."""
    git(folder, "config", "core.sharedRepository", "group")
    with recording(folder) as run:
        after = run.steps(3)
        assert values(folder) == after[-1]
        run.recorder.close()
    assert left(folder) == [".idx", ".pack"]
    check(folder)


def test_pushed_before_it_moves_here(folder: Path) -> None:
    """What goes elsewhere first finds its objects on the disk, and moves nothing if refused."""
    seen = []

    def push(moves: Sequence[Move]) -> None:
        seen.append({move.ref: git(folder, "cat-file", "-t", move.new) for move in moves})
        assert values(folder) == {}

    def refuse(_: object) -> None:
        raise BranchBusy("another was first")

    with recording(folder) as run:
        moves = run.write()
        run.recorder.commit(moves, reason="x", push=push)
        assert seen == [{BRANCH: "commit", LEASE: "commit"}]
        assert values(folder) == {move.ref: move.new for move in moves}
        run.values = values(folder)
        with pytest.raises(BranchBusy, match="another was first"):
            run.recorder.commit(run.write(), reason="x", push=refuse)
        assert values(folder) == run.values
        run.recorder.close()
    check(folder)


def test_pushed_and_fetched_meanwhile(folder: Path) -> None:
    """A ref that another process brought here since the push is where it belongs."""
    with recording(folder) as run:
        moves = run.write()

        def push(_: object) -> None:
            git(folder, "update-ref", BRANCH, moves[0].new)

        run.recorder.commit(moves, reason="x", push=push)
        assert values(folder) == {move.ref: move.new for move in moves}
        run.recorder.close()


@pytest.mark.parametrize("fails", ["write at", "sync", "write", "link", "rename", "exchange"])
def test_F02_disk_that_fails(folder: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    """Whichever act fails, the commit is refused as such, and whole or not there once recovered."""
    with recording(folder) as run:
        before = run.steps(2)[-1]
        moves = run.write()
        after = {move.ref: move.new for move in moves}
        monkeypatch.setattr(durable, "perform", failing(fails))
        for _ in range(2):
            with pytest.raises(FileAccessError):
                run.recorder.commit(moves, reason="x")
            assert values(folder) == before
        with pytest.raises(FileAccessError, match="No space left"):
            run.recorder.close()
        monkeypatch.undo()
        recorder.recover(folder / ".git", folder / ".git/objects")
    assert values(folder) in (before, after)
    assert left(folder) == [".idx", ".pack"]
    check(folder)


def failing(act: str) -> Callable[[str, Path, Callable[[], object]], object]:
    done = durable.perform

    def perform(name: str, place: Path, call: Callable[[], object]) -> object:
        if name.startswith(act):
            raise OSError(errno.ENOSPC, "No space left on device")
        return done(name, place, call)

    return perform


def test_repository_that_is_read_only(folder: Path) -> None:
    """Where no journal can be made, nothing is begun."""
    (folder / ".git/planlock").write_text("in the way")
    with pytest.raises(FileAccessError, match="beginning to record"), recording(folder):
        pass


def test_runs_side_by_side(folder: Path) -> None:
    """Two runs that are recorded at once do not touch each other's packs or journals."""
    with recording(folder) as one, recording(folder) as other:
        for number in range(6):
            one.step()
            name = f"refs/heads/other/{number}"
            blob = other.store.write("blob", name.encode())
            assert blob
            other.recorder.commit(
                [Move(ref=name, old=None, new=one.values[BRANCH])], reason="beside"
            )
        one.recorder.close()
        assert git(folder, "cat-file", "-t", blob) == "blob"
        other.recorder.close()
    check(folder)


def test_a_closed_recorder_is_closed(folder: Path) -> None:
    """To close twice does no harm, and what is written later is durable by itself again."""
    with recording(folder) as run:
        run.step()
        run.recorder.close()
        run.recorder.close()
        oid = run.store.write("blob", b"later")
    assert (folder / ".git/objects" / oid[:2] / oid[2:]).exists()
