"""A journal stays until what it holds is where it belongs, and nobody passes one that is settled."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest
from recorded import (
    BRANCH,
    DIED,
    LEASE,
    check,
    copy,
    dies_at,
    git,
    in_a_process,
    make_repository,
    recording,
    values,
)

from runner.core.errors import FileAccessError
from runner.git import journal, recorder, recorder_settling

STEPS = 3


def record(folder: Path, act: int = -1) -> None:
    if act >= 0:
        dies_at(act)
    with recording(folder) as run:
        run.steps(STEPS)


@pytest.fixture
def behind(tmp_path: Path) -> Path:
    """What a dead writer recorded last is in its journal only."""
    folder = make_repository(tmp_path / "it")
    assert in_a_process(partial(record, folder)) == 0
    for ref in (BRANCH, LEASE):
        git(folder, "update-ref", ref, f"{ref}~1")
    return folder


def recover(folder: Path) -> None:
    recorder.recover(folder / ".git", folder / ".git/objects")


def recover_run(folder: Path, plan: str = "job", run: int = 1) -> None:
    recorder.recover_run(folder / ".git", folder / ".git/objects", plan, run)


def journals(folder: Path) -> list[Path]:
    return list((folder / ".git" / journal.FOLDER).iterdir())


def count(folder: Path, ref: str = BRANCH) -> int:
    return int(git(folder, "rev-list", "--count", ref))


class TestRefs:
    def test_one_that_somebody_locks(self, behind: Path) -> None:
        """The journal stays and that is told; other runs go on, and the next try succeeds."""
        lock = behind / ".git" / f"{BRANCH}.lock"
        lock.write_text("")
        with pytest.raises(FileAccessError, match="another process holds the lock"):
            recover(behind)
        with pytest.raises(FileAccessError, match="another process holds the lock"):
            recover_run(behind)
        recover_run(behind, "other")
        assert len(journals(behind)) == 1
        lock.unlink()
        recover(behind)
        assert (journals(behind), count(behind)) == ([], STEPS)
        check(behind)

    @pytest.mark.parametrize(
        "change",
        [
            ("config", "core.sharedRepository", "group"),
            ("symbolic-ref", BRANCH, "refs/heads/other"),
        ],
    )
    def test_one_that_only_git_can_move(self, behind: Path, change: tuple[str, ...]) -> None:
        """It is brought forward through git."""
        git(behind, "update-ref", "refs/heads/other", BRANCH)
        git(behind, *change)
        recover(behind)
        assert (journals(behind), count(behind), count(behind, LEASE)) == ([], STEPS, STEPS)

    def test_one_that_was_deleted_meanwhile(self, tmp_path: Path) -> None:
        """A living writer settles what is there, and does not make the ref again."""
        folder = make_repository(tmp_path / "it")
        with recording(folder) as run:
            run.steps(2)
            git(folder, "update-ref", "-d", BRANCH)
            run.recorder.close()
        assert list(values(folder)) == [LEASE]
        check(folder)


def test_a_copy_in_which_links_are_files(tmp_path: Path) -> None:
    """A lock of a dead writer is known by what it holds, so the copy recovers as the original."""
    start, act, code = make_repository(tmp_path / "start"), 0, DIED
    while code == DIED:
        killed = copy(start, tmp_path / f"killed-{act}")
        code = in_a_process(partial(record, killed, act))
        made = copy(killed, tmp_path / f"copied-{act}")
        for each in (killed, made):
            recover(each)
        assert values(made) == values(killed)
        assert not list((made / ".git/refs").rglob("*.lock")), act
        act += 5
    assert code == 0


class TestWaiting:
    def test_who_goes_on_waits_for_who_settles(self, behind: Path) -> None:
        """What the settler finds in the journal belongs to the run that is gone on with."""
        held = journal.take(journals(behind)[0])
        assert held is not None
        timer = threading.Timer(0.5, held.close)
        timer.start()
        recover_run(behind)
        timer.join()
        assert (journals(behind), count(behind)) == ([], STEPS)

    def test_not_for_ever(self, behind: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A settler that hangs is told of."""
        monkeypatch.setattr(recorder_settling, "WAITS", (0.01,))
        held = journal.take(journals(behind)[0])
        assert held is not None
        with pytest.raises(FileAccessError, match="another process still settles"):
            recover_run(behind)
        held.close()

    def test_not_for_a_living_writer(self, tmp_path: Path) -> None:
        """Whether its run may be taken is for the lease to say."""
        folder = make_repository(tmp_path / "it")
        with recording(folder) as run:
            run.step()
            recover_run(folder)
            run.recorder.close()


def test_indexes_of_many_packs_go_with_the_packs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What git noted of packs that are put together would lead nowhere."""
    monkeypatch.setattr(recorder, "MOST_PACKS", 4)
    folder = make_repository(tmp_path / "it")
    with recording(folder) as run:
        for _ in range(3):
            run.steps(2)
            git(folder, "multi-pack-index", "write")
            check(folder)
            run.steps(3)
            check(folder)
        run.recorder.close()
    check(folder)
    git(folder, "multi-pack-index", "write", "--bitmap")
    check(folder)
