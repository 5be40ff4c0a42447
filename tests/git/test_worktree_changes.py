"""What a command changed is found exactly, with git itself as the judge."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filled import filled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from overlaid import KINDS, Overlaid
from team import Team

from runner.core.errors import WorkspaceSecurityError
from runner.git.objects import EXECUTABLE, FILE, LINK
from runner.git.worktree import Found, WorkTree

FILES = {
    "utils.py": "x\n",
    ".gitignore": "*.log\n__pycache__/\nbuild/\n",
    "a": "a\n",
    "b": "b\n",
    "dir/a": "a\n",
    "dir/b": "b\n",
    "dir/deep/c": "c\n",
    "other/d": "d\n",
}
NAMES = ["a", "b", "B", "new", "dir", "dir/a", "dir/x", "dir/deep", "dir/deep/c", "other", "x/y/z"]
EDITS = [
    "echo changed > {0}",
    "printf a > {0}",
    "rm -rf {0}",
    "mkdir -p {0}",
    "chmod +x {0}",
    "[ -d {0} ] || chmod -x {0}",  # a folder would be closed to git, but not to root's
    "ln -sfn {1} {0}",
    "ln -f {1} {0}",
    "mv -T {0} {1}",
    "cp -r {0} {1}",
    "touch -d @1 {0}",
    "cat {0} > t && cp t {0}; rm -f t",
    "echo x > {0}.log",
    "mkdir -p {0}/__pycache__; touch {0}/__pycache__/m.pyc",
]


@pytest.fixture(params=KINDS)
def tree(team: Team, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[WorkTree]:
    with filled(team, tmp_path / "work", FILES, kind=request.param) as made:
        yield made


def shell(tree: WorkTree, script: str) -> None:
    subprocess.run(["bash", "-c", script], cwd=tree.root, capture_output=True, check=False)


def found(tree: WorkTree, *listed: str) -> dict[str, str]:
    """Path → new mode, `-` where it is gone."""
    return {each.path: kind(each) for each in tree.changes(listed)}


def kind(change: Found) -> str:
    return change.after.mode if change.after else "-"


def by_git(tree: WorkTree, folder: Path) -> dict[str, tuple[str, str]]:
    """What git finds in a copy: path → new mode and blob."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(tree.root, copy, symlinks=True)
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    env["GIT_OBJECT_DIRECTORY"] = str(copy / ".git/objects")

    def git(*args: str) -> str:
        argv = ["git", "-c", "core.ignoreCase=false", *args]
        done = subprocess.run(argv, cwd=copy, env=env, capture_output=True, check=True)
        return done.stdout.decode()

    git("add", "-A")
    words = git("diff", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames").split("\0")
    heads = (head.split(" ") for head in words[0:-1:2])
    return {path: (head[1], head[3]) for head, path in zip(heads, words[1::2], strict=True)}


@given(
    st.lists(
        st.tuples(st.sampled_from(EDITS), st.sampled_from(NAMES), st.sampled_from(NAMES)),
        min_size=1,
        max_size=8,
    )
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_changes_are_those_that_git_finds(
    tree: WorkTree, tmp_path: Path, edits: list[tuple[str, str, str]]
) -> None:
    """Whatever a command does, paths, modes and content are as `git add` would have them."""
    tree.restore()
    tree.index()
    shell(tree, "\n".join(text.format(*names) for text, *names in edits))
    expected = by_git(tree, tmp_path)
    changes = tree.changes([])
    ours = {each.path: (kind(each).replace("-", "0" * 6), oid(each)) for each in changes}
    assert ours == expected
    for each in changes:
        tree.keep(each)
    assert tree.changes([]) == []


def oid(change: Found) -> str:
    return change.after.oid if change.after else "0" * 40


@pytest.mark.parametrize(
    "script,expected",
    [
        ("rm a; mkdir a; echo x > a/b", {"a": "-", "a/b": FILE}),
        ("rm -r dir; echo x > dir", {"dir": FILE, "dir/a": "-", "dir/b": "-", "dir/deep/c": "-"}),
        ("mv a A", {"a": "-", "A": FILE}),
        (
            "mv dir moved; ln -s moved other/l",
            {
                "other/l": LINK,
                **dict.fromkeys(("dir/a", "dir/b", "dir/deep/c"), "-"),
                **dict.fromkeys(("moved/a", "moved/b", "moved/deep/c"), FILE),
            },
        ),
        ("mv other /tmp/$$; ln -s /tmp/$$ other; rm -r /tmp/$$", {"other": LINK, "other/d": "-"}),
        ("mkdir -p empty/within", {}),
        ("chmod 700 a; chmod 600 b", {"a": EXECUTABLE}),
        ('s=$(stat -c %y a); echo b > a; touch -d "$s" a', {"a": FILE}),
        ("echo x > ':(top)x.log'; echo x > new", {"new": FILE}),
    ],
)
def test_kinds_of_change(tree: WorkTree, script: str, expected: dict[str, str]) -> None:
    """Files, folders and links that take each other's place are found as git would."""
    shell(tree, script)
    assert found(tree) == expected


class TestHardLinks:
    def test_content_is_recorded_and_the_link_is_cut(self, tree: WorkTree, tmp_path: Path) -> None:
        """A file that shares its inode with one outside is recorded, and is its own afterwards."""
        if isinstance(tree, Overlaid):
            pytest.skip("no link leads out of a mount")
        outside = tmp_path / "outside"
        outside.write_text("outside\n")
        (tree.root / "a").unlink()
        os.link(outside, tree.root / "a")
        (change,) = tree.changes(["a"])
        tree.keep(change)
        assert tree.store.blob(oid(change)) == b"outside\n"
        assert (tree.root / "a").stat().st_nlink == 1
        (tree.root / "a").write_text("changed\n")
        assert outside.read_text() == "outside\n"
        assert found(tree) == {"a": FILE}

    def test_another_name_of_an_unchanged_file(self, tree: WorkTree) -> None:
        """An ignored file that is a tracked one by another name is so no longer."""
        os.link(tree.root / "a", tree.root / "a.log")
        assert found(tree) == {}
        (tree.root / "a.log").write_text("changed\n")
        assert (tree.root / "a").read_text() == "a\n"
        assert found(tree) == {}


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path)[-100:] if len(str(path)) < 100 else os.path.relpath(path))


@pytest.mark.parametrize("make", [os.mkfifo, make_socket])
@pytest.mark.parametrize("name", ["a", "dir/new", "fresh"])
def test_C05_special_files(
    tree: WorkTree, make: Callable[[Path], None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe or socket is refused without waiting for it, in a tracked file's place or not."""
    monkeypatch.chdir(tree.root)
    (tree.root / name).unlink(missing_ok=True)
    make(tree.root / name)
    with pytest.raises(WorkspaceSecurityError) as caught:
        tree.changes(["**"])
    assert caught.value.reason_code == "special_file"


class TestSizes:
    def test_C06_listed_content_is_bounded_before_it_is_read(self, tree: WorkTree) -> None:
        """A sparse file of terabytes in `writes` is refused at once."""
        os.truncate(tree.root / "a", 1 << 42)
        with pytest.raises(WorkspaceSecurityError, match="bytes, of which") as caught:
            tree.changes(["**"], most_bytes=1000)
        assert caught.value.reason_code == "too_large"

    def test_C06_many_files_count_together(self, tree: WorkTree) -> None:
        """The bound is on the sum of what is listed."""
        shell(tree, "for n in 1 2 3; do head -c 400 /dev/zero > f$n; done")
        assert len(tree.changes(["**"], most_bytes=1200)) == 3
        with pytest.raises(WorkspaceSecurityError):
            tree.changes(["**"], most_bytes=1199)

    def test_what_is_not_listed_does_not_count(self, tree: WorkTree) -> None:
        """A build product that `writes` does not list is named as such, however large."""
        os.truncate(tree.root / "b", 1 << 20)
        assert [each.path for each in tree.changes(["a"], most_bytes=1000)] == ["b"]

    def test_ten_thousand_files(self, tree: WorkTree) -> None:
        """A great many changes are all found."""
        shell(tree, "mkdir many; cd many; seq 10000 | split -l 1 -a 4 - f")
        assert len(tree.changes(["**"])) == 10_000


def test_file_that_changes_after_it_was_judged(tree: WorkTree) -> None:
    """Only what was judged is stored, also where something still writes."""
    (tree.root / "a").write_text("one\n")
    (change,) = tree.changes(["a"])
    (tree.root / "a").write_text("two\n")
    with pytest.raises(WorkspaceSecurityError, match="changed while"):
        tree.keep(change)
    (tree.root / "a").write_text("longer\n")
    with pytest.raises(WorkspaceSecurityError, match="changed while"):
        tree.keep(change)


@pytest.mark.parametrize(
    "glob,taken",
    [
        ("**", set()),
        ("*/**", set()),
        ("dir/**", set()),
        ("build/**", {"build/lib/x.o"}),
        ("build/*/*.o", {"build/lib/x.o"}),
        ("**/x.o", {"build/lib/x.o"}),
        ("**/lib/**", {"build/lib/x.o"}),
        ("*.log", {"y.log"}),
        ("dir/__pycache__/*", {"dir/__pycache__/z"}),
        ("?.???", set()),
        (".pytest_cache/**", {".pytest_cache/v"}),
    ],
)
def test_ignored_files_by_glob(tree: WorkTree, glob: str, taken: set[str]) -> None:
    """Wildcards alone bring no ignored file or cache into a commit; a name does."""
    shell(tree, "mkdir -p build/lib dir/__pycache__ .pytest_cache new/__pycache__")
    shell(tree, "touch build/lib/x.o y.log dir/__pycache__/z .pytest_cache/v new/__pycache__/w")
    assert set(found(tree, glob)) == taken
