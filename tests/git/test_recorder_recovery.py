"""Whatever a kill or a power cut leaves, the next process brings back what was synced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
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
from runner.git import journal, packs_files, recorder, refs_locks
from runner.git.journal import BLOCK, HEAD

STEPS = 3
Values = list[dict[str, str]]


def recover(folder: Path) -> None:
    recorder.recover(folder / ".git", folder / ".git/objects")


def nothing_is_left(folder: Path) -> bool:
    git_dir = folder / ".git"
    left = [*(git_dir / journal.FOLDER).glob("*"), *(git_dir / refs_locks.LOCKS).glob("*")]
    left += [*(git_dir / "refs").rglob("*.lock"), *(git_dir / packs_files.OWN).glob("*")]
    return not left + list((git_dir / "objects/pack").glob("*.keep"))


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("start") / "it")


@pytest.fixture(scope="module")
def killed(start: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Values]:
    """A repository whose runner was killed after some steps, and the refs after each of them."""
    folder = copy(start, tmp_path_factory.mktemp("killed") / "it")
    assert in_a_process(partial(record, folder)) == 0
    after = [
        {ref: git(folder, "rev-parse", f"{ref}~{STEPS - 1 - number}") for ref in (BRANCH, LEASE)}
        for number in range(STEPS)
    ]
    return folder, after


def record(folder: Path, *, close: bool = False, act: int = -1) -> None:
    if act >= 0:
        dies_at(act)
    with recording(folder) as run:
        run.steps(STEPS)
        if close:
            run.recorder.close()


def journal_of(folder: Path) -> Path:
    (found,) = (folder / ".git" / journal.FOLDER).iterdir()
    return found


def frame_ends(content: bytes) -> list[int]:
    """Where each frame's bytes end."""
    ends, place = [], 0
    for frame in journal.frames(content):
        ends.append(place + HEAD.size + len(frame.payload()))
        place = -(-ends[-1] // BLOCK) * BLOCK
    return ends


def test_F01_killed(killed: tuple[Path, Values], tmp_path: Path) -> None:
    """A killed process lost nothing, and what it left is one pack and synced refs."""
    folder, after = copy(killed[0], tmp_path / "it"), killed[1]
    assert values(folder) == after[-1]
    recover(folder)
    assert values(folder) == after[-1]
    assert nothing_is_left(folder)
    assert len(list((folder / ".git/objects/pack").iterdir())) == 2
    check(folder)


def test_F01_killed_between_any_two_acts(start: Path, tmp_path: Path) -> None:
    """Wherever it is killed, the state is one after some step, and whole; then it goes on."""
    act, code, last = 0, DIED, -1
    while code == DIED:
        folder = copy(start, tmp_path / "it")
        code = in_a_process(partial(record, folder, close=True, act=act))
        recover(folder)
        assert nothing_is_left(folder), act
        counts = {git(folder, "rev-list", "--count", value) for value in values(folder).values()}
        assert len(values(folder)) in {0, 2}, act
        assert len(counts) <= 1, act
        count = int(counts.pop()) if counts else 0
        assert count >= last, act
        last = count
        if act % 4 == 0 or code == 0:
            check(folder)
        shutil.rmtree(folder)
        act += 1
    assert code == 0
    assert last == STEPS
    assert act > 15 * STEPS


@pytest.mark.parametrize("act", range(0, 24, 3))
def test_F01_killed_while_it_recovers(
    killed: tuple[Path, Values], tmp_path: Path, act: int
) -> None:
    """A recovery that is killed is made by the next one."""
    folder = copy(killed[0], tmp_path / "it")
    power_cut(folder)

    def dying() -> None:
        dies_at(act)
        recover(folder)

    assert in_a_process(dying) in {0, DIED}
    recover(folder)
    assert values(folder) == killed[1][-1]
    assert nothing_is_left(folder)
    check(folder)


def power_cut(folder: Path) -> None:
    """Take what was never synced: refs and packs are empty files."""
    for path in (folder / ".git/objects/pack").iterdir():
        path.unlink()
        path.touch()
    for ref in (BRANCH, LEASE):
        (folder / ".git" / ref).write_bytes(b"")


def test_power_cut_at_every_byte_that_matters(
    start: Path, killed: tuple[Path, Values], tmp_path: Path
) -> None:
    """The journal is cut anywhere, and nothing else was written: the last whole step is there."""
    content = journal_of(killed[0]).read_bytes()
    ends = frame_ends(content)
    assert len(ends) == STEPS
    places = {0, 7, HEAD.size, BLOCK - 1, BLOCK, len(content)}
    places |= {end + more for end in ends for more in (-1, 0, 1)}
    for place in sorted(places):
        folder = copy(start, tmp_path / str(place))
        (folder / ".git" / journal.FOLDER).mkdir(parents=True)
        (folder / ".git" / journal.FOLDER / "job.1.7.0").write_bytes(content[:place])
        recover(folder)
        whole = sum(end <= place for end in ends)
        assert values(folder) == (killed[1][whole - 1] if whole else {}), place
        assert nothing_is_left(folder)
        check(folder)


@pytest.mark.parametrize("frame", range(STEPS))
def test_power_cut_that_damages_a_frame(
    start: Path, killed: tuple[Path, Values], tmp_path: Path, frame: int
) -> None:
    """A frame with a flipped bit, and what follows it, counts as never written."""
    content = bytearray(journal_of(killed[0]).read_bytes())
    content[frame_ends(bytes(content))[frame] - 30] ^= 1
    folder = copy(start, tmp_path / "it")
    (folder / ".git" / journal.FOLDER).mkdir(parents=True)
    (folder / ".git" / journal.FOLDER / "job.1.7.0").write_bytes(content)
    recover(folder)
    assert values(folder) == (killed[1][frame - 1] if frame else {})
    check(folder)


def empty(path: Path, _: str) -> None:
    path.unlink()
    path.touch()


def halve(path: Path, _: str) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])


def remove(path: Path, _: str) -> None:
    path.unlink()


def zeros(path: Path, _: str) -> None:
    size = path.stat().st_size
    path.unlink()
    path.write_bytes(bytes(size))


def older(path: Path, value: str) -> None:
    path.write_text(f"{value}\n")


@pytest.mark.parametrize("damage", [empty, halve, remove, zeros])
@pytest.mark.parametrize("suffix", ["pack", "idx", "keep"])
def test_power_cut_that_takes_packs(
    killed: tuple[Path, Values], tmp_path: Path, damage: Callable[[Path, str], None], suffix: str
) -> None:
    """Packs that are empty, short, gone or zeros are written again, and the torn ones removed."""
    folder = copy(killed[0], tmp_path / "it")
    for path in (folder / ".git/objects/pack").glob(f"pack-*.{suffix}"):
        damage(path, "")
    recover(folder)
    assert values(folder) == killed[1][-1]
    assert nothing_is_left(folder)
    check(folder)


@pytest.mark.parametrize("damage", [empty, halve, remove, zeros, older])
@pytest.mark.parametrize("refs", [(BRANCH,), (LEASE,), (BRANCH, LEASE)])
def test_power_cut_that_takes_refs(
    killed: tuple[Path, Values],
    tmp_path: Path,
    damage: Callable[[Path, str], None],
    refs: tuple[str, ...],
) -> None:
    """Refs that are empty, short, gone, zeros or older come to what was synced last."""
    folder = copy(killed[0], tmp_path / "it")
    for ref in refs:
        damage(folder / ".git" / ref, killed[1][0][ref])
    recover(folder)
    assert values(folder) == killed[1][-1]
    check(folder)


def test_ref_that_went_on_is_left(killed: tuple[Path, Values], tmp_path: Path) -> None:
    """A ref that somebody moved since is not moved back, be it ahead or elsewhere."""
    folder = copy(killed[0], tmp_path / "it")
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    ahead = git(folder, *who, "commit-tree", "-m", "x", "-p", LEASE, f"{LEASE}^{{tree}}")
    aside = git(folder, "rev-parse", "main")
    git(folder, "update-ref", LEASE, ahead)
    git(folder, "update-ref", BRANCH, aside)
    recover(folder)
    assert values(folder) == {BRANCH: aside, LEASE: ahead}
    assert nothing_is_left(folder)


def test_ref_behind_the_journal(killed: tuple[Path, Values], tmp_path: Path) -> None:
    """A ref that a power cut took back further than the journal knows comes forward again."""
    folder = copy(killed[0], tmp_path / "it")
    assert in_a_process(partial(goes_on, folder)) == 0
    last = values(folder)
    for ref in (BRANCH, LEASE):
        older(folder / ".git" / ref, killed[1][0][ref])
    recover(folder)
    assert values(folder) == last
    check(folder)


def goes_on(folder: Path) -> None:
    """Take over what was killed, do two more steps, and die too."""
    recover(folder)
    with recording(folder) as run:
        run.values = values(folder)
        run.tree = git(folder, "rev-parse", f"{BRANCH}^{{tree}}")
        run.steps(2)


@pytest.mark.parametrize("first", ["a", "z"])
def test_two_journals_in_any_order(start: Path, tmp_path: Path, first: str) -> None:
    """A run whose first runner hung while another took it over comes back as the second left it."""
    folder = copy(start, tmp_path / "it")
    place = folder / ".git" / journal.FOLDER
    assert in_a_process(partial(record, folder)) == 0
    (tmp_path / "kept").write_bytes(journal_of(folder).read_bytes())
    assert in_a_process(partial(goes_on, folder)) == 0
    journal_of(folder).rename(place / "m")
    (tmp_path / "kept").rename(place / first)
    last = values(folder)
    power_cut(folder)
    recover(folder)
    assert values(folder) == last
    assert not list(place.iterdir())
    check(folder)


def test_two_recover_at_once(killed: tuple[Path, Values], tmp_path: Path) -> None:
    """Processes that recover the same repository at once do not disturb each other."""
    folder = copy(killed[0], tmp_path / "it")
    power_cut(folder)
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            os._exit(in_a_process(partial(recover, folder)))
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert values(folder) == killed[1][-1]
    assert nothing_is_left(folder)
    check(folder)


def test_living_run_is_left_alone(start: Path, tmp_path: Path) -> None:
    """While a run is recorded nobody recovers it, and it goes on."""
    folder = copy(start, tmp_path / "it")
    with recording(folder) as run:
        run.step()
        before = sorted((folder / ".git/objects/pack").iterdir())
        recover(folder)
        assert sorted((folder / ".git/objects/pack").iterdir()) == before
        run.step()
        run.recorder.close()
    check(folder)


def test_recovery_that_may_not_write(killed: tuple[Path, Values], tmp_path: Path) -> None:
    """Where it cannot be recovered that is told as such, and nothing is lost."""
    folder = copy(killed[0], tmp_path / "it")
    power_cut(folder)
    packs = folder / ".git/objects/pack"
    packs.rename(tmp_path / "pack")
    packs.write_text("in the way")
    with pytest.raises(FileAccessError, match="recovering what an ended process wrote"):
        recover(folder)
    packs.unlink()
    recover(folder)
    assert values(folder) == killed[1][-1]
    check(folder)
