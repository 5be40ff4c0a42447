"""A `git gc` that saw the index of a pack without the pack takes it away; it comes back."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from recorded import BRANCH, check, git, make_repository, recording

from runner.core.errors import FileAccessError
from runner.git import journal, recorder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "it")


def packs(folder: Path, suffix: str) -> list[Path]:
    return sorted((folder / ".git/objects/pack").glob(f"*.{suffix}"))


def take_indexes(folder: Path) -> None:
    """What `git gc` does at its end with those that it saw alone."""
    for index in packs(folder, "idx"):
        index.unlink()


def test_the_next_commit_mends_the_last(folder: Path) -> None:
    """No commit of a run stays out of git's sight for long."""
    with recording(folder) as run:
        run.step()
        take_indexes(folder)
        run.step()
        check(folder)
        run.recorder.close()
    check(folder)


def test_what_was_settled_is_mended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a run does not take a pack without index for one that git has repacked."""
    monkeypatch.setattr(recorder, "MOST_PACKS", 2)
    with recording(folder) as run:
        run.steps(5)
        take_indexes(folder)
        run.recorder.close()
    check(folder)
    assert git(folder, "rev-list", "--count", BRANCH) == "5"
    assert (len(packs(folder, "idx")), packs(folder, "keep")) == (1, [])


def test_while_git_collects_garbage_the_packs_are_kept(folder: Path) -> None:
    """What it takes away after the end of a run is mended by the next command, then git has it."""
    lock = folder / ".git/gc.pid"
    lock.write_text(f"{os.getpid()} here")
    with recording(folder) as run:
        run.steps(3)
        run.recorder.close()
    take_indexes(folder)
    git(folder, "repack", "-adq", check=False)
    assert packs(folder, "keep")
    recorder.recover(folder / ".git", folder / ".git/objects")
    check(folder)
    lock.unlink()
    recorder.recover(folder / ".git", folder / ".git/objects")
    assert packs(folder, "keep") == []
    assert list((folder / ".git" / journal.FOLDER).iterdir()) == []
    check(folder)


def test_the_lock_of_a_dead_collection_does_not_count(folder: Path) -> None:
    """A `git gc` that was killed takes nothing away any more."""
    with subprocess.Popen(["true"]) as dead:
        pass
    (folder / ".git/gc.pid").write_text(f"{dead.pid} here")
    with recording(folder) as run:
        run.step()
        run.recorder.close()
    assert packs(folder, "keep") == []


def test_a_pack_that_cannot_be_indexed_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged pack ends the run with what helps; it is not given up, nor its journal."""
    monkeypatch.setattr(recorder, "MOST_PACKS", 1)
    with recording(folder) as run:
        run.step()
        (pack,) = packs(folder, "pack")
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:-1])
        take_indexes(folder)
        with pytest.raises(FileAccessError, match="indexing") as raised:
            run.recorder.close()
    assert raised.value.hint == f"git index-pack {pack}"
    assert packs(folder, "keep")
    assert list((folder / ".git" / journal.FOLDER).iterdir())
