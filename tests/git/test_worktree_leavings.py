"""What a command left fails its step at most, and hinders nothing that comes later."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filled import filled
from forging import answer, codes
from overlaid import KINDS
from surroundings import without_rights
from team import EDIT, Team, command

from runner.core.errors import FileAccessError, WorkspaceSecurityError
from runner.git.worktree import WorkTree

MEGABYTE = 1 << 20
LONGEST = os.pathconf("/", "PC_PATH_MAX") - 1


@pytest.fixture(params=KINDS)
def tree(team: Team, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[WorkTree]:
    files = {".gitignore": "kept*\ncache/\n", "dir/deep/c": "c\n", "data.pyc/d": "d\n"}
    with filled(team, tmp_path / "work", files, kind=request.param) as made:
        yield made


def shell(tree: WorkTree, script: str) -> None:
    subprocess.run(["bash", "-c", script], cwd=tree.root, check=True)


def closed(tree: WorkTree) -> list[str]:
    """The folders that their owner may not write to."""
    folders = (each for each in tree.root.rglob("*") if each.is_dir() and ".git" not in each.parts)
    return [str(each) for each in folders if not each.stat().st_mode & stat.S_IWUSR]


class TestClosedFolders:
    """A folder's mode is in no tree: what a command took away from it is given back."""

    def test_folders_are_opened_to_writing(self, tree: WorkTree) -> None:
        """Tracked, new, at the top, and in plans/."""
        shell(
            tree,
            "mkdir -p new/inner; touch new/inner/x; chmod a-w dir dir/deep new new/inner plans .",
        )
        assert closed(tree) != []
        assert [each.path for each in tree.changes(["**"])] == ["new/inner/x"]
        assert closed(tree) == []

    def test_the_next_step_can_write_there(self, team: Team) -> None:
        """A later step changes a file in it, and its record lies in the work tree as any."""
        team.commit({"dir/utils.py": team.show_file("main", "utils.py") + "\n"}, "Files")
        team.policy("require: confined", "require: none")
        first = command("chmod a-w dir $(find plans -type d) .", name="close")
        team.propose("job", first + EDIT.replace("path: utils.py", "path: dir/utils.py"))
        team.approve("bob", "job")
        done = without_rights(team, "run", "job")
        assert done.code == 0, done.text


def test_P2_compiled_files_are_told_from_folders(tree: WorkTree) -> None:
    """A tracked folder may be called `data.pyc`; one that a command made so is taken away."""
    shell(tree, "mkdir dir/x.pyc; touch dir/x.pyc/y dir/z.pyc")
    tree.index()
    assert [each.name for each in (tree.root / "dir").iterdir()] == ["deep"]
    assert (tree.root / "data.pyc/d").read_text() == "d\n"
    assert tree.changes([]) == []


@pytest.mark.parametrize("file", ["plans/policy.yaml"])
def test_D08_a_huge_plan_file_is_not_read(tree: WorkTree, file: str) -> None:
    """A sparse file of terabytes in place of a protected one is found by its size."""
    os.truncate(tree.root / file, 1 << 42)
    with pytest.raises(WorkspaceSecurityError) as caught:
        tree.check_protected()
    assert (caught.value.path, caught.value.reason_code) == (file, "protected_changed")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestHardLinks:
    """To give a file an inode of its own takes room, and a name beside it."""

    def test_no_room_for_a_copy(self, tree: WorkTree) -> None:
        """The error names what was done, and the half of a copy is gone."""
        shell(tree, "head -c 2M /dev/zero > large; ln large kept")
        (change,) = tree.changes(["**"])
        with largest_file(MEGABYTE), pytest.raises(FileAccessError, match="keeping files"):
            tree.keep(change)
        assert list(tree.root.glob(".planlock-*")) == []
        tree.keep(change)
        assert (tree.root / "large").stat().st_nlink == 1

    def test_C05_no_name_beside_it(self, tree: WorkTree) -> None:
        """Where the path is as long as can be, the change is refused."""
        deep = "/".join(["d" * 99] * 41)[: LONGEST - len(f"{tree.root}//x")].rstrip("/")
        shell(tree, f"mkdir -p {deep}; cp utils.py kept; ln kept {deep}/x")
        (change,) = tree.changes(["**"])
        with pytest.raises(WorkspaceSecurityError) as caught:
            tree.keep(change)
        tree.remove()  # which pytest could not
        assert caught.value.reason_code == "too_long"


@pytest.mark.usefixtures("confined")
class TestFullDisk:
    @pytest.fixture
    def disk(self, team: Team) -> Iterator[None]:
        """Work trees lie on a file system of three megabytes."""
        folder = team.root / ".git/planlock/work"
        folder.mkdir(parents=True)
        argv = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
        if subprocess.run(argv, capture_output=True, check=False).returncode != 0:
            pytest.skip("mounting a file system is not allowed here")
        yield
        subprocess.run(["umount", "--lazy", str(folder)], check=True)

    @pytest.mark.usefixtures("disk")
    def test_A33_a_command_that_fills_the_disk_fails_its_step(self, team: Team) -> None:
        """What it left cannot be kept apart: the step is recorded as failed, and can be retried."""
        team.commit({".gitignore": "kept*\n", "large": "x" * MEGABYTE}, "Files")
        fill = "ln large kept; test -e kept1 || head -c 1500000 /dev/zero > kept1"
        team.propose("job", command(fill))
        team.approve("bob", "job")
        done = team.cli("ada", "run", "job", "--json")
        assert (done.code, codes(done)) == (5, ["file_access"]), done.text
        assert answer(done)["steps"] == {"check": "failed"}
        again = team.cli("ada", "run", "job", "--retry", "--json")
        assert codes(again) == ["file_access"], again.text


@pytest.mark.parametrize(
    "script, path",
    [
        ("git init -q sub", "sub"),
        ("git init -q dir/deep/sub", "dir/deep/sub"),
        ("git init -q dir", "dir"),
        ("mkdir sub; echo gitdir: /x > sub/.git", "sub"),
        ("git init -q cache", None),
    ],
)
def test_D02_a_repository_is_named_by_its_folder(
    tree: WorkTree, script: str, path: str | None
) -> None:
    """Not by the `.git` in it, of which there may be many; where it is ignored, it may be there."""
    shell(tree, script)
    if path is None:
        assert tree.changes(["**"]) == []
        return
    with pytest.raises(WorkspaceSecurityError, match="is a git repository of its own") as caught:
        tree.changes(["**"])
    assert (caught.value.path, caught.value.reason_code) == (path, "git_dir")


def test_D02_another_spelling_is_named_with_its_folder(tree: WorkTree) -> None:
    """What some file system takes for `.git` is refused by its whole path."""
    shell(tree, "mkdir -p sub/.GIT; touch sub/.GIT/x")
    with pytest.raises(WorkspaceSecurityError) as caught:
        tree.changes(["**"])
    assert (caught.value.path, caught.value.reason_code) == ("sub/.GIT/x", "git_dir")
