"""A run's work tree: exactly the tree's bytes, and exactly what differs from it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from overlaid import KINDS, work_tree
from team import Team

from runner.core.errors import FileAccessError, WorkspaceSecurityError
from runner.git.objects import EXECUTABLE, FILE, LINK, SUBMODULE, Entry, ObjectStore
from runner.git.worktree import WorkTree


@dataclass(frozen=True)
class Place:
    """A filled work tree and the commit in it."""

    tree: WorkTree
    store: ObjectStore
    commit: str

    @property
    def root(self) -> Path:
        return self.tree.root

    def fill(self) -> None:
        self.tree.fill(self.store.commit(self.commit).tree, self.commit)
        self.tree.index()

    def found(self, *listed: str) -> dict[str, str]:
        """Path → kind of change: `+` added, `-` gone, else the new mode."""
        kinds = {}
        for each in self.tree.changes(listed):
            gone = "-" if each.after is None else each.after.mode
            kinds[each.path] = "+" if each.before is None else gone
        return kinds


@pytest.fixture(params=KINDS)
def place(team: Team, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    team.write(
        {"run.sh": "x\n", "dir/a": "a\n", "crlf": "a\r\nb\r\n", ".gitattributes": "* text\n"}
    )
    (team.root / "run.sh").chmod(0o755)
    (team.root / "link").symlink_to("dir/a")
    team.git("-c", "core.autocrlf=false", "add", "-A")
    team.git("commit", "-q", "-m", "Files")
    with ObjectStore(team.root / ".git", team.root / ".git/objects") as store:
        tree = work_tree(request.param, tmp_path / "work", store)
        made = Place(tree=tree, store=store, commit=team.git("rev-parse", "HEAD"))
        made.fill()
        yield made
        tree.remove()


def test_filled_tree_is_clean(place: Place) -> None:
    """Files, modes and links are as the tree has them, for git too."""
    assert place.found() == {}
    place.tree.index()
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(place.root)}
    argv = ["git", "-c", "core.attributesFile=/dev/null", "status", "--porcelain"]
    done = subprocess.run(argv, cwd=place.root, env=env, capture_output=True, check=True)
    assert done.stdout == b""
    assert os.access(place.root / "run.sh", os.X_OK)
    assert (place.root / "link").readlink() == Path("dir/a")


def test_D13_attributes_and_filters_play_no_part(place: Place) -> None:
    """Bytes are those of the blob, whatever .gitattributes asks for."""
    entry = place.store.entry(place.store.commit(place.commit).tree, "crlf")
    assert entry is not None
    assert (place.root / "crlf").read_bytes() == place.store.blob(entry.oid)


def test_every_kind_of_change_is_found(place: Place) -> None:
    """Content, mode, kind, new and gone; a rewrite of equal content is no change."""
    root = place.root
    (root / "utils.py").write_text("changed\n")
    (root / "run.sh").chmod(0o644)
    (root / "link").unlink()
    (root / "link").write_text("no link\n")
    (root / "dir/a").unlink()
    (root / "new").symlink_to("anywhere")
    (root / "crlf").write_bytes((root / "crlf").read_bytes())
    assert place.found() == {
        "utils.py": FILE,
        "run.sh": FILE,
        "link": FILE,
        "dir/a": "-",
        "new": "+",
    }


def test_change_with_restored_times_is_found(place: Place) -> None:
    """A file of the same size whose times were put back is still a changed file."""
    file = place.root / "utils.py"
    status = file.stat()
    file.write_bytes(b"#" * status.st_size)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert place.found() == {"utils.py": FILE}


@given(
    st.lists(st.sampled_from(["utils.py", "dir/a", "new/b", "crlf"]), unique=True), st.booleans()
)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_kept_is_settled(place: Place, paths: list[str], remove: bool) -> None:  # noqa: FBT001  # drawn by hypothesis
    """After the changes are kept, nothing differs any more."""
    place.fill()
    for path in paths:
        target = place.root / path
        target.parent.mkdir(exist_ok=True)
        if remove:
            target.unlink(missing_ok=True)
        else:
            target.write_text(f"new {path}\n")
    changes = place.tree.changes([])
    for change in changes:
        place.tree.keep(change)
    expected = set(paths) - ({"new/b"} if remove else set())
    assert {change.path for change in changes} == expected
    assert place.found() == {}


def test_ignored_files_count_where_they_are_named(place: Place) -> None:
    """Ignored files are left out, unless a glob says more of them than wildcards."""
    for path in ("__pycache__/x.pyc", "dir/__pycache__/y.pyc"):
        (place.root / path).parent.mkdir()
        (place.root / path).touch()
    assert place.found("dir/*.py") == {}
    assert place.found("**", "dir/**", "*/*/*") == {}
    assert place.found("dir/__pycache__/**") == {"dir/__pycache__/y.pyc": "+"}
    assert place.found("**/x.pyc") == {"__pycache__/x.pyc": "+"}
    assert len(place.found("**/*.pyc")) == 2


@pytest.mark.parametrize(
    "make,code",
    [
        (lambda root: os.mkfifo(root / "pipe"), "special_file"),
        (lambda root: (root / "x/.git").mkdir(parents=True), "git_dir"),
        (lambda root: (root / "x\u202ey").touch(), "control_character"),
        (lambda root: (root / "a\nb").touch(), "control_character"),
        (lambda root: (root / "CON").touch(), "device_name"),
        (lambda root: (root / os.fsdecode(b"\xff")).touch(), "encoding"),
    ],
)
def test_D02_what_cannot_be_recorded(place: Place, make: object, code: str) -> None:
    """What no record could hold is refused with its reason, and a fresh fill removes it."""
    assert callable(make)
    make(place.root)
    with pytest.raises(WorkspaceSecurityError) as caught:
        place.tree.changes(["**"])
    assert caught.value.reason_code == code
    place.fill()
    assert place.found() == {}


def test_submodules_are_empty_folders(place: Place) -> None:
    """A submodule is an empty folder that must stay one."""
    tree = place.store.commit(place.commit).tree
    with_sub = place.store.edit_tree(tree, {"sub": Entry(mode=SUBMODULE, oid="1" * 40)})
    place.tree.fill(with_sub, place.commit)
    place.tree.index()
    assert place.found() == {}
    (place.root / "sub/x").touch()
    with pytest.raises(WorkspaceSecurityError, match="submodule"):
        place.tree.changes(["**"])


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", ".git ", ".g\u200cit", "..", "."])
def test_C08_names_that_reach_git(place: Place, name: str) -> None:
    """A tree that holds such a name is not written."""
    tree = place.store.write_tree({name: Entry(mode=FILE, oid=place.store.write("blob", b"x"))})
    place.tree.fill(tree, place.commit)
    with pytest.raises(WorkspaceSecurityError):
        place.tree.index()
    assert not any(each.is_file() for each in place.root.iterdir())


def test_C02_links_in_a_tree_are_not_followed(place: Place, tmp_path: Path) -> None:
    """A tree cannot write through its own link: git's trees have one entry a name."""
    outside = tmp_path / "outside"
    outside.mkdir()
    oid = place.store.write("blob", os.fsencode(outside))
    tree = place.store.write_tree({"out": Entry(mode=LINK, oid=oid)})
    place.tree.fill(tree, place.commit)
    place.tree.index()
    assert (place.root / "out").is_symlink()
    place.fill()
    assert outside.is_dir()


def test_unwritable_place(place: Place, tmp_path: Path) -> None:
    """Where the folder cannot be made the error names it."""
    (tmp_path / "file").touch()
    tree = WorkTree(tmp_path / "file/work", place.store)
    with pytest.raises(FileAccessError, match="making work tree"):
        tree.fill(place.store.commit(place.commit).tree, place.commit)


def test_modes_of_new_files(place: Place) -> None:
    """The owner's execute bit is what git records."""
    for name, mode in (("plain", 0o600), ("tool", 0o700), ("group", 0o670)):
        (place.root / name).touch()
        (place.root / name).chmod(mode)
    modes = {each.path: each.after.mode for each in place.tree.changes([]) if each.after}
    assert modes == {"plain": FILE, "tool": EXECUTABLE, "group": FILE}
