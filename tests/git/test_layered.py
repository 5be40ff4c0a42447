"""Steps before, between and after commands that see the run's files over a shared checkout."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from overlaid import Overlaid
from team import Team

from runner.core.errors import StepFailed, WorkspaceSecurityError
from runner.core.overlays import OPAQUE, is_whiteout
from runner.git.objects import FILE, SUBMODULE, Entry, ObjectStore
from runner.git.worktree import WorkTree
from runner.sandbox.files import Workspace

FILES = {
    ".gitignore": "*.log\n__pycache__/\nforced/\n",
    "a": "a\n",
    "dir/b": "b\n",
    "dir/c": "c\n",
    "pack/mod.py": "x\n",
}


class Place:
    """A work tree, the store it is written from, and what commits of it hold."""

    def __init__(self, tree: Overlaid, store: ObjectStore, commit: str) -> None:
        self.tree = tree
        self.store = store
        self.current = store.commit(commit).tree

    def command(self, script: str, *listed: str) -> dict[str, str]:
        """Act as a command does, and keep and commit all that it changed."""
        self.tree.index()
        subprocess.run(["bash", "-ec", script], cwd=self.tree.root, check=True)
        self.tree.unmount()
        changes = WorkTree.changes(self.tree, listed)
        self.commit({each.path: self.tree.keep(each) for each in changes})
        return {each.path: "-" if each.after is None else each.after.mode for each in changes}

    def edit(self, path: str, content: str | None) -> None:
        """Act as a step does that changes a file."""
        self.tree.place(path)
        with Workspace(self.tree.root) as workspace:
            if content is None:
                workspace.delete(path)
            else:
                workspace.write(path, content.encode())
        oid = self.store.write("blob", (content or "").encode())
        entry = Entry(mode=FILE, oid=oid) if content is not None else None
        self.tree.settle(path, entry)
        self.commit({path: entry})

    def commit(self, edits: dict[str, Entry | None]) -> None:
        self.current = self.store.edit_tree(self.current, edits)
        head = f"tree {self.current}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx"
        self.tree.point_to(self.store.write("commit", head.encode()))

    def seen(self) -> dict[str, str]:
        """Every file that a command finds, with its content; ignored ones too."""
        self.tree.index()
        every = (each for each in self.tree.root.rglob("*") if each.is_file())
        paths = {str(each.relative_to(self.tree.root)): each for each in every}
        found = {path: each.read_text() for path, each in paths.items() if path[:5] != ".git/"}
        self.tree.unmount()
        return {path: text for path, text in found.items() if not path.startswith("plans/")}

    def tracked(self) -> dict[str, str]:
        every = self.store.walk(self.current)
        found = {path: self.store.blob(entry.oid).decode() for path, entry in every}
        return {path: text for path, text in found.items() if not path.startswith("plans/")}


@pytest.fixture
def place(team: Team, tmp_path: Path) -> Iterator[Place]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount here")
    team.commit(FILES, "Files")
    commit = team.git("rev-parse", "HEAD")
    with ObjectStore(team.root / ".git", team.root / ".git/objects") as store:
        tree = Overlaid(tmp_path / "work", store)
        tree.fill(store.commit(commit).tree, commit)
        place = Place(tree, store, commit)
        forced = Entry(mode=FILE, oid=store.write("blob", b"x\n"))
        place.commit({"forced/x": forced})  # git itself would not add it
        yield place
        tree.remove()


class TestSteps:
    """A step between commands finds the files as if all lay in one folder."""

    def test_a_file_that_a_command_removed_is_absent(self, place: Place) -> None:
        """It can be made anew, and the next command sees that."""
        assert place.command("rm a; rm -r dir", "**") == dict.fromkeys(("a", "dir/b", "dir/c"), "-")
        place.tree.place("dir/b")
        with Workspace(place.tree.root) as workspace:
            assert workspace.digest("a") is None
            assert workspace.digest("dir/b") is None
        place.edit("dir/b", "new\n")
        assert place.seen() == place.tracked()
        assert "dir/c" not in place.tracked()

    def test_a_file_that_a_step_removed_is_absent_for_commands(self, place: Place) -> None:
        """So is its folder, and what a command makes in its place is new."""
        place.edit("dir/b", None)
        place.edit("dir/c", None)
        assert place.command("! test -e dir; mkdir dir; echo x > dir/c", "**") == {"dir/c": FILE}
        assert place.seen() == place.tracked()
        assert place.command("cat dir/c; ! test -e dir/b") == {}

    def test_a_file_takes_the_place_of_a_folder(self, place: Place) -> None:
        """And the other way round, by steps and by commands."""
        place.command("rm -r dir; echo x > dir", "**")
        place.edit("a", None)
        place.edit("a/inner", "x\n")
        assert place.seen() == place.tracked()
        place.command("rm dir; mkdir dir; echo y > dir/c; rm -r a; ln -s dir a", "**")
        assert place.command("test -L a; test ! -e dir/b; test -f dir/c") == {}

    def test_ignored_files_stay_where_tracked_ones_went(self, place: Place) -> None:
        """A folder of which only ignored files are left shows these and no others."""
        place.command("echo x > dir/x.log; rm dir/b dir/c", "**")
        assert place.command('test "$(ls dir)" = x.log') == {}
        place.edit("dir/b", "again\n")
        assert place.command('test "$(echo dir/*)" = "dir/b dir/x.log"') == {}

    def test_all_files_can_be_had_without_a_layer(self, place: Place) -> None:
        """Where a later command cannot be shown one, all that is not there yet is written."""
        place.command("rm dir/b; echo x > a; echo y > y.log", "**")
        before = place.seen()
        WorkTree.index(place.tree, lambda _: False)
        assert place.tree.layers is None
        every = (each for each in place.tree.root.rglob("*") if each.is_file())
        paths = {str(each.relative_to(place.tree.root)) for each in every}
        assert {path for path in paths if path.split("/")[0] not in {".git", "plans"}} == {*before}
        assert WorkTree.changes(place.tree, ["**"]) == []


def test_marks_stand_only_while_a_command_runs(place: Place) -> None:
    """What a command removed is known, and no mark of the kernel is left in the folder."""
    place.command("rm a; rm -r dir; mkdir dir; echo x > dir/c", "**")
    root = place.tree.root
    every = [root, *root.rglob("*")]
    status = [each.lstat() for each in every]
    assert not any(is_whiteout(each.st_mode, each.st_rdev) for each in status)
    assert not any(OPAQUE in os.listxattr(each, follow_symlinks=False) for each in every)


def test_only_what_was_touched_is_looked_at(place: Place) -> None:
    """What a command left alone is not even in the folder."""
    place.command("cat dir/b; echo x > a", "a")
    files = {each.name for each in place.tree.root.iterdir() if each.is_file()}
    assert files == {"a", ".gitignore"}


def test_P2_compiled_files_beside_untouched_sources_are_removed(place: Place) -> None:
    """Also where nothing else in the folder was touched."""
    place.command("mkdir -p pack/__pycache__ pack/forged.pyc; touch pack/__pycache__/mod.pyc")
    assert place.command('test "$(ls pack)" = mod.py') == {}


def test_D02_a_repository_in_a_folder_that_is_tracked_and_ignored(place: Place) -> None:
    """It is found although the rules leave the folder out."""
    with pytest.raises(WorkspaceSecurityError) as caught:
        place.command("git init -q forced")
    assert (caught.value.path, caught.value.reason_code) == ("forced", "git_dir")


@pytest.mark.parametrize("script", ["touch sub/x", "rmdir sub; touch sub"])
def test_submodules(place: Place, script: str) -> None:
    """A submodule is an empty folder that must stay one."""
    place.commit({"sub": Entry(mode=SUBMODULE, oid="1" * 40)})
    assert place.command("ls -a sub") == {}
    with pytest.raises(WorkspaceSecurityError, match="submodule"):
        place.command(script, "**")


def test_C06_a_large_file_that_was_only_touched(place: Place) -> None:
    """It counts as large only if it is no longer what the tree has."""
    place.edit("large", "x" * 1000)
    place.command("true")
    place.tree.index()
    os.utime(place.tree.root / "a")
    os.utime(place.tree.root / "large")
    assert place.tree.changes([], most_bytes=0) == []


def test_D08_a_huge_plan_file_is_not_read(place: Place) -> None:
    """Where commands are not kept from it, its size tells enough."""
    place.tree.index()
    os.truncate(place.tree.root / "plans/policy.yaml", 1 << 40)
    with pytest.raises(WorkspaceSecurityError) as caught:
        place.tree.check_protected()
    assert caught.value.reason_code == "protected_changed"
    assert place.seen() == place.tracked()


def test_a_failed_command_leaves_steps_what_they_need(place: Place) -> None:
    """A step that goes on after one finds the folder as the command left it."""
    place.tree.index()
    subprocess.run(["bash", "-c", "rm a; rm -r dir; exit 1"], cwd=place.tree.root, check=False)
    place.tree.unmount()
    WorkTree.check_protected(place.tree)
    place.tree.place("dir/b")
    with Workspace(place.tree.root) as workspace:
        with pytest.raises(StepFailed):
            workspace.read("dir/b")
        assert workspace.digest("a") is None
    assert {each.path for each in WorkTree.changes(place.tree, [])} == {"a", "dir/b", "dir/c"}
