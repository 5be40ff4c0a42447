"""Files are written when they are asked for, and nobody can tell that they were not there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forging import codes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from team import READ, Team, command

from runner.core.errors import PlanlockError, WorkspaceSecurityError
from runner.git.objects import EXECUTABLE, FILE, LINK, SUBMODULE, Entry, ObjectStore
from runner.git.worktree import WorkTree
from runner.sandbox.files import Change, Workspace

FILES = {
    "a": (FILE, b"a\n"),
    "run.sh": (EXECUTABLE, b"x\n"),
    "link": (LINK, b"dir"),
    "away": (LINK, b"/etc/passwd"),
    "dir/x": (FILE, b"x\n"),
    "dir/y": (FILE, b"y\n"),
    "dir/deep/z": (FILE, b"z\n"),
    "one/file": (FILE, b"1\n"),
    "plans/p/plan.yaml": (FILE, b"p\n"),
}
NAMES = [
    *("a", "run.sh", "link", "away", "dir", "dir/x", "dir/deep", "dir/deep/z", "one", "one/file"),
    *("a/b", "link/x", "dir/new", "new/inner", "DIR/x", "sub", "sub/x", "libs", "libs/sub", "gone"),
    *("", ".", "../a", "dir/../a", "/a", "a\0b", ".git/config", "dir//x", "x" * 300, "dir\\x"),
]
KINDS = ["read", "write", "delete", "rename", "submodule", "commit", "record", "all"]


class Side:
    """A work tree and what steps do in it, as they do it."""

    def __init__(self, store: ObjectStore, root: Path, tree: str, *, whole: bool) -> None:
        self.store = store
        self.tree = WorkTree(root, store)
        self.current = tree
        self.edits: dict[str, Entry | None] = {}
        self.tree.fill(tree, "")
        if whole:
            self.tree.place_all()
        self.workspace = Workspace(root)

    def act(self, kind: str, path: str, other: str) -> object:
        """What came of it, as anybody could tell it."""
        try:
            return getattr(self, f"_{kind}")(path, other)
        except (PlanlockError, ValueError) as error:
            return type(error), str(error), getattr(error, "reason_code", "")

    def _submodule(self, path: str, _: str) -> bool:
        self.tree.place(path)
        return self.tree.is_in_submodule(path)

    def _read(self, path: str, _: str) -> bytes:
        self.tree.place(path)
        return self.workspace.read(path)

    def _write(self, path: str, other: str) -> Change:
        if self._submodule(path, ""):
            raise ValueError(path)
        content = f"new {other}\n".encode("utf-8", "replace")
        return self._settled(self.workspace.write(path, content), content)

    def _delete(self, path: str, _: str) -> Change:
        self.tree.place(path)
        return self._settled(self.workspace.delete(path))

    def _rename(self, path: str, other: str) -> Change:
        if self._submodule(path, "") or self._submodule(other, ""):
            raise ValueError(path)
        gone, made = self.workspace.rename(path, other)
        self._settled(gone)
        return self._settled(made, self.workspace.read(other))

    def _settled(self, change: Change, content: bytes = b"") -> Change:
        mode = EXECUTABLE if change.mode & 0o100 else FILE
        oid = self.store.write("blob", content)
        entry = Entry(mode=mode, oid=oid) if change.after else None
        self.edits[change.path] = entry
        self.tree.settle(change.path, entry)
        return change

    def _commit(self, *_: str) -> str:
        """Have a commit with what was changed so far, and one record of it."""
        record = Entry(mode=FILE, oid=self.store.write("blob", f"{len(self.edits)}".encode()))
        self.edits["plans/p/record"] = record
        self.current = self.store.edit_tree(self.current, self.edits)
        head = f"tree {self.current}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx"
        self.tree.point_to(self.store.write("commit", head.encode()))
        self.tree.write("plans/p/record", record)
        self.edits = {}
        return self.current

    def _record(self, *_: str) -> None:
        self.tree.write("plans/p/plan.yaml", None)
        self.edits["plans/p/plan.yaml"] = None

    def _all(self, *_: str) -> None:
        self.tree.place_all()

    def everything(self) -> dict[str, object]:
        """Path → mode and content of all that lies there; git knows no empty folders."""
        self.tree.place_all()
        root = self.tree.root
        paths = sorted(path for path in root.rglob("*") if path.is_symlink() or path.is_file())
        return {str(path.relative_to(root)): looks(path) for path in paths}


def looks(path: Path) -> object:
    if path.is_symlink():
        return path.readlink()
    return path.stat().st_mode, path.read_bytes()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    place = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", "--bare", str(place)], check=True)
    with ObjectStore(place, place / "objects") as opened:
        yield opened


@pytest.fixture(scope="module")
def tree(store: ObjectStore) -> str:
    edits: dict[str, Entry | None] = {
        path: Entry(mode=mode, oid=store.write("blob", content))
        for path, (mode, content) in FILES.items()
    }
    modules = dict.fromkeys(("sub", "libs/sub"), Entry(mode=SUBMODULE, oid="1" * 40))
    return store.edit_tree(None, edits | modules)


ACTS = st.tuples(st.sampled_from(KINDS), st.sampled_from(NAMES), st.sampled_from(NAMES))


@given(st.lists(ACTS, min_size=1, max_size=12))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_P2_steps_cannot_tell_what_was_not_written(
    store: ObjectStore, tree: str, tmp_path: Path, acts: list[tuple[str, str, str]]
) -> None:
    """Every answer and refusal, and all files in the end, are as if all had been there at once."""
    sparse = Side(store, tmp_path / "sparse", tree, whole=False)
    whole = Side(store, tmp_path / "whole", tree, whole=True)
    with sparse.workspace, whole.workspace:
        for act in acts:
            assert sparse.act(*act) == whole.act(*act), act
    assert sparse.everything() == whole.everything()
    assert sparse.tree.known.keys() == whole.tree.known.keys()


@pytest.mark.parametrize("path", NAMES)
@pytest.mark.parametrize("kind", ["read", "write", "delete", "rename"])
def test_P2_each_path_by_itself(
    store: ObjectStore, tree: str, tmp_path: Path, kind: str, path: str
) -> None:
    """The first thing that is asked of any path is answered as if all files were there."""
    sparse = Side(store, tmp_path / "sparse", tree, whole=False)
    whole = Side(store, tmp_path / "whole", tree, whole=True)
    with sparse.workspace, whole.workspace:
        assert sparse.act(kind, path, "fresh") == whole.act(kind, path, "fresh")
        assert sparse.act(kind, "a", path) == whole.act(kind, "a", path)
    assert sparse.everything() == whole.everything()


def test_a_folder_stays_while_files_are_in_it(
    store: ObjectStore, tree: str, tmp_path: Path
) -> None:
    """A file does not take the place of a folder of which one file only was written and removed."""
    side = Side(store, tmp_path / "work", tree, whole=False)
    with side.workspace:
        side.act("delete", "dir/x", "")
        side.tree.place("dir")
        with pytest.raises(WorkspaceSecurityError, match="no regular file"):
            side.workspace.write("dir", b"file")


def test_a_folder_goes_with_its_last_file(store: ObjectStore, tree: str, tmp_path: Path) -> None:
    """Once a step has removed all that was in a folder, a file can take its place."""
    side = Side(store, tmp_path / "work", tree, whole=False)
    with side.workspace:
        side.act("delete", "one/file", "")
        assert isinstance(side.act("write", "one", "file"), Change)
    assert side.everything().keys() >= {"one"}


def test_run_without_commands_has_no_checkout(team: Team) -> None:
    """Of the files of a run only those lie in its folder that a step has read or changed."""
    team.commit({"other": "x\n", "dir/more": "x\n"}, "Files")
    team.propose("job", READ + READ.replace("id: read", "id: again"))
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job", "--step").code == 0
    work = team.root / ".git/planlock/work/job/1"
    assert [str(path.relative_to(work)) for path in work.rglob("*")] == ["utils.py"]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_modes_whatever_the_umask(store: ObjectStore, tree: str, tmp_path: Path, mask: int) -> None:
    """Files have the modes that git gives them with its usual umask."""
    work = WorkTree(tmp_path / "work", store)
    work.fill(tree, "")
    (work.root / "dir/deep").mkdir(parents=True)
    (work.root / "one").mkdir()
    before = os.umask(mask)
    try:
        work.place("run.sh")
        work.place("dir/deep/z")
    finally:
        os.umask(before)
    modes = [(work.root / name).stat().st_mode & 0o777 for name in ("run.sh", "dir/deep/z")]
    assert modes == [0o755, 0o644]


@pytest.mark.parametrize(
    "ask", [lambda tree: tree.place("dir/.git"), lambda tree: tree.place_all()]
)
def test_C08_no_git_folder_is_ever_written(
    store: ObjectStore, tmp_path: Path, ask: Callable[[WorkTree], None]
) -> None:
    """A name that reaches git is refused by whatever would write it."""
    hook = Entry(mode=FILE, oid=store.write("blob", b"#!/bin/sh\n"))
    inner = store.write_tree({".git": hook})
    work = WorkTree(tmp_path / "work", store)
    work.fill(store.write_tree({"dir": Entry(mode="40000", oid=inner)}), "")
    with pytest.raises(WorkspaceSecurityError) as caught:
        ask(work)
    assert caught.value.reason_code == "git_dir"
    assert list(work.root.rglob("*.git")) == []


@pytest.mark.usefixtures("confined")
def test_F01_what_cannot_be_written_starts_no_command(team: Team) -> None:
    """A tree that no command can get stops the run before it says that one has started."""
    oid = team.git("rev-parse", "HEAD:utils.py")
    team.git(
        *("-c", "core.protectNTFS=false", "update-index", "--add"),
        *("--cacheinfo", f"100644,{oid},dir/git~1"),
    )
    team.git("-c", "core.protectNTFS=false", "commit", "-q", "-m", "Odd")
    team.propose("job", READ + command("true"))
    team.approve("bob", "job")
    for _ in range(2):
        done = team.cli("ada", "run", "job", "--json")
        assert (done.code, codes(done)) == (5, ["workspace_security"]), done.text
        records = team.git("ls-tree", "-r", "--name-only", "planlock/job/1", "plans/job/runs")
        assert "check" not in records
