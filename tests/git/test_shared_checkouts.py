"""Checkouts that runs share are whole or not there, and go only when nobody uses them."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from team import Team

from runner.core.errors import FileAccessError, WorkspaceSecurityError
from runner.git import shared_checkouts
from runner.git.machine import this_boot
from runner.git.objects import EXECUTABLE, FILE, LINK, Entry, ObjectStore
from runner.git.shared_checkouts import MOST_APART, Checkout, SharedCheckouts

HOLD = """
import sys
from pathlib import Path
from runner.git.shared_checkouts import SharedCheckouts
from runner.git.objects import ObjectStore
folder, git, tree = sys.argv[1:]
held = SharedCheckouts(Path(folder), ObjectStore(Path(git), Path(git) / "objects"))
kept = held.near(tree), held.scratch()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def store(team: Team) -> Iterator[ObjectStore]:
    with ObjectStore(team.root / ".git", team.root / ".git/objects") as store:
        yield store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkouts"


@pytest.fixture
def shared(folder: Path, store: ObjectStore) -> SharedCheckouts:
    return SharedCheckouts(folder, store)


def tree(store: ObjectStore, files: Mapping[str, str], old: str | None = None) -> str:
    return store.edit_tree(old, {path: entry(store, text) for path, text in files.items()})


def entry(store: ObjectStore, text: str, mode: str = FILE) -> Entry:
    return Entry(mode=mode, oid=store.write("blob", text.encode()))


def released(checkout: Checkout) -> Path:
    checkout.release()
    return checkout.files


def names(folder: Path) -> list[str]:
    return sorted(str(each.path.relative_to(folder)) for each in shared_checkouts.unused(folder))


def test_it_holds_the_tree(shared: SharedCheckouts, store: ObjectStore) -> None:
    """Content, modes and links are those of the tree, whatever the umask."""
    edits = {
        "dir/plain": entry(store, "x\r\n"),
        "dir/tool": entry(store, "y", EXECUTABLE),
        "link": entry(store, "/etc/passwd", LINK),
    }
    before = os.umask(0o077)
    try:
        files = shared.near(store.edit_tree(None, edits)).files
    finally:
        os.umask(before)
    assert (files / "dir/plain").read_bytes() == b"x\r\n"
    modes = [(files / "dir" / name).stat().st_mode & 0o777 for name in ("plain", "tool")]
    assert modes == [0o644, 0o755]
    assert (files / "link").readlink() == Path("/etc/passwd")


class TestNearest:
    def test_a_tree_that_differs_little_shares_it(
        self, shared: SharedCheckouts, store: ObjectStore
    ) -> None:
        """Of two the nearer one is taken, though the other was used last."""
        one = tree(store, {"a": "1", "b": "1", "c": "1"})
        other = tree(store, {f"n{number}": "1" for number in range(MOST_APART)}, one)
        far = tree(store, {"z": "1"}, other)
        first = released(shared.near(one))
        assert released(shared.near(tree(store, {"b": "2"}, one))) == first
        second = released(shared.near(far))
        assert second != first
        assert released(shared.near(tree(store, {"d": "2"}, one))) == first
        assert released(shared.near(other)) == second

    def test_one_whose_objects_are_gone_is_passed_over(
        self, shared: SharedCheckouts, store: ObjectStore
    ) -> None:
        """What it holds cannot be told any more."""
        made = tree(store, {"a": "1"})
        (shared.trees / ("1" * 40)).mkdir(parents=True)
        assert released(shared.near(made)).name == made


class TestMaking:
    def test_it_is_made_once(self, shared: SharedCheckouts, store: ObjectStore) -> None:
        """Who comes meanwhile waits for the one that is being made."""
        made = tree(store, {f"{number}": "x" for number in range(300)})
        inodes = set()
        with ThreadPoolExecutor(4) as pool:
            for each in pool.map(
                lambda _: SharedCheckouts(shared.folder, store).near(made), "1234"
            ):
                inodes.add((each.files.stat().st_ino, len(list(each.files.iterdir()))))
        assert len(inodes) == 1
        assert inodes.pop()[1] == 300

    def test_what_is_half_made_is_not_believed(
        self, shared: SharedCheckouts, store: ObjectStore
    ) -> None:
        """It lies under another name, and is made anew."""
        made = tree(store, {"a": "1", "b": "1"})
        half = shared.trees / f"{made}.making"
        half.mkdir(parents=True)
        (half / "a").write_text("other")
        files = released(shared.near(made))
        assert [(files / name).read_text() for name in ("a", "b")] == ["1", "1"]
        assert not half.exists()

    def test_none_outlives_the_start_of_the_machine(
        self, shared: SharedCheckouts, store: ObjectStore, folder: Path
    ) -> None:
        """A power cut may have taken files of one that nobody synced: it is not believed, but removed."""
        made = tree(store, {"a": "1"})
        older = folder / "trees-00000000" / made
        older.mkdir(parents=True)
        files = released(shared.near(made))
        assert (files / "a").read_text() == "1"
        assert not older.parent.exists()

    @pytest.mark.parametrize("name", [".git", ".."])
    def test_a_refused_tree_leaves_nothing(
        self, shared: SharedCheckouts, store: ObjectStore, name: str
    ) -> None:
        """A name that reaches git is refused, and what was written before it is gone."""
        bad = store.write_tree({"-": entry(store, "x"), name: entry(store, "x")})
        with pytest.raises(WorkspaceSecurityError):
            shared.near(bad)
        assert [each.name for each in shared.trees.iterdir() if each.is_dir()] == []

    def test_no_room_for_the_folder(self, store: ObjectStore, tmp_path: Path) -> None:
        """Where the folder cannot be made the error says what was done."""
        (tmp_path / "file").touch()
        with pytest.raises(FileAccessError, match="making a shared checkout"):
            SharedCheckouts(tmp_path / "file", store).near(tree(store, {"a": "1"}))


class TestRemoving:
    def test_what_is_used_stays(
        self, shared: SharedCheckouts, store: ObjectStore, folder: Path
    ) -> None:
        """Neither a checkout nor a scratch folder goes while somebody holds it."""
        checkout, scratch = shared.near(tree(store, {"a": "1"})), shared.scratch()
        assert names(folder) == []
        assert not shared_checkouts.remove(checkout.files)
        assert not shared_checkouts.remove(scratch.folder)
        checkout.release()
        scratch.release()
        assert names(folder) == [f"{shared.trees.name}/{checkout.tree}"]
        assert shared_checkouts.remove(checkout.files)
        assert names(folder) == []
        assert list(shared.trees.iterdir()) == []
        assert released(shared.near(checkout.tree)).is_dir()

    def test_what_a_killed_process_held_is_unused(
        self, team: Team, store: ObjectStore, folder: Path
    ) -> None:
        """Its checkout and its scratch folder can go."""
        made, git = tree(store, {"a": "1"}), str(team.root / ".git")
        argv = [sys.executable, "-c", HOLD, str(folder), git, made]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stdout.readline() == b"held\n"
            assert names(folder) == []
            process.kill()
        found = list(shared_checkouts.unused(folder))
        assert {each.path.parent.name for each in found} == {f"trees-{this_boot()}", "scratch"}
        assert all(shared_checkouts.remove(each.path) for each in found)
        assert names(folder) == []

    def test_it_is_gone_at_once_or_not_at_all(
        self, shared: SharedCheckouts, store: ObjectStore, folder: Path
    ) -> None:
        """What a killed removal leaves does not stand under the tree's name."""
        files = released(shared.near(tree(store, {"a": "1", "dir/b": "1"})))
        lock = os.open(f"{files}.lock", os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        files.rename(f"{files}.making")
        os.close(lock)
        (left,) = shared_checkouts.unused(folder)
        assert left.size > 0
        assert left.last_used > time.time() - 3600
        assert shared_checkouts.remove(left.path)
        assert list(shared.trees.iterdir()) == []
