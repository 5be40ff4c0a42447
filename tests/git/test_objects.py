"""Objects written in process are what git itself would have written, and read back the same."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.core.errors import FileAccessError, GitError
from runner.git import command, objects, signing
from runner.git.objects import (
    EXECUTABLE,
    FILE,
    FOLDER,
    LINK,
    SUBMODULE,
    Entry,
    NewCommit,
    ObjectStore,
    Signature,
)

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
NAME = NAMES.filter(lambda name: name not in {".", "..", ".git"} and len(name.encode()) < 200)
OID = st.binary(min_size=20, max_size=20).map(bytes.hex)
ENTRIES = st.builds(Entry, mode=st.sampled_from([FILE, EXECUTABLE, LINK, FOLDER]), oid=OID)
QUICK = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
BY = Signature(name="Ada", email="ada@example.com", when=1_700_000_000)


def git(folder: Path, *args: str, stdin: bytes = b"") -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *args], cwd=folder, env=env, input=stdin, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObjectStore]:
    git(tmp_path, "init", "-q", ".")
    with ObjectStore(tmp_path / ".git", tmp_path / ".git/objects") as store:
        yield store


def blob(store: ObjectStore, text: str) -> Entry:
    return Entry(mode=FILE, oid=store.write("blob", text.encode()))


@given(st.dictionaries(NAME, ENTRIES))
@QUICK
def test_trees_survive_a_round_trip(tree: dict[str, Entry]) -> None:
    """Rendering and parsing a tree gives the same names, modes and ids."""
    assert objects.parse_tree(objects.render_tree(tree), 20) == tree


@given(content=st.binary(max_size=2000))
@QUICK
def test_blobs_have_gits_own_ids(store: ObjectStore, content: bytes) -> None:
    """A blob's id and content are those that git gives."""
    oid = store.write("blob", content)
    folder = store.git_dir.parent
    assert git(folder, "hash-object", "--stdin", stdin=content) == oid
    assert store.blob(oid) == content


@given(names=st.lists(NAME, unique=True, max_size=8), folders=st.lists(NAME, max_size=3))
@settings(QUICK, max_examples=15)
def test_trees_have_gits_own_order(
    store: ObjectStore, names: list[str], folders: list[str]
) -> None:
    """What git's own `mktree` makes of the same entries has the same id."""
    inner = store.write_tree({"x": blob(store, "x")})
    tree = {name: blob(store, name) for name in names}
    tree |= {name: Entry(mode=FOLDER, oid=inner) for name in folders}
    lines = [
        f"{each.mode:0>6} {'tree' if each.mode == FOLDER else 'blob'} {each.oid}\t{name}\0"
        for name, each in tree.items()
    ]
    expected = git(store.git_dir.parent, "mktree", "-z", stdin="".join(lines).encode())
    assert store.write_tree(tree) == expected


PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
EDITS = st.dictionaries(PATHS, st.none() | st.text("xyz", max_size=2), max_size=6)


def applied(files: dict[str, str], edits: dict[str, str | None]) -> dict[str, str]:
    """The same edits to a dict of files: removals first, then what is new takes its place."""
    left = {
        path: text
        for path, text in files.items()
        if not any(path == gone or path.startswith(f"{gone}/") for gone in edits)
    }
    return left | {path: text for path, text in edits.items() if text is not None}


@given(first=EDITS, second=EDITS)
@settings(QUICK, max_examples=60)
def test_edits_of_trees(
    store: ObjectStore, first: dict[str, str | None], second: dict[str, str | None]
) -> None:
    """Editing a tree path by path gives the tree of the edited files."""
    before = without_clashes(first)
    tree = store.edit_tree(None, {path: blob(store, text) for path, text in before.items()})
    changes = {path: text for path, text in second.items() if not clash(path, second)}
    if any(path.startswith(f"{old}/") for path in changes for old in before):
        return
    edits = {path: None if text is None else blob(store, text) for path, text in changes.items()}
    found = store.edit_tree(tree, edits)
    read = {path: store.blob(entry.oid).decode() for path, entry in store.walk(found)}
    assert read == applied(before, changes)


def clash(path: str, files: dict[str, str | None]) -> bool:
    return any(other.startswith(f"{path}/") for other in files)


def without_clashes(files: dict[str, str | None]) -> dict[str, str]:
    return {
        path: text for path, text in files.items() if text is not None and not clash(path, files)
    }


def test_file_takes_a_folders_place(store: ObjectStore) -> None:
    """A file or link that replaces a folder stays, whatever the order of the edits."""
    tree = store.edit_tree(None, {"dir/a": blob(store, "a"), "dir/b": blob(store, "b")})
    new = blob(store, "new")
    for edits in (
        {"dir": new, "dir/a": None, "dir/b": None},
        {"dir/a": None, "dir/b": None, "dir": new},
    ):
        assert store.tree(store.edit_tree(tree, edits)) == {"dir": new}


def test_folder_takes_a_files_place(store: ObjectStore) -> None:
    """Files below a former file's name stay, whatever the order of the edits."""
    tree = store.edit_tree(None, {"x": blob(store, "x")})
    new = blob(store, "new")
    for edits in ({"x": None, "x/y": new}, {"x/y": new, "x": None}):
        assert dict(store.walk(store.edit_tree(tree, edits))) == {"x/y": new}


def test_submodules_are_not_edited(store: ObjectStore) -> None:
    """A path inside a submodule is refused."""
    tree = store.write_tree({"sub": Entry(mode=SUBMODULE, oid="1" * 40)})
    with pytest.raises(GitError, match="submodule"):
        store.edit_tree(tree, {"sub/x": blob(store, "x")})


def test_commits_are_gits_own(store: ObjectStore) -> None:
    """A commit reads back as written, for git too, and the signature covers all but itself."""
    draft = NewCommit(tree=store.write_tree({}), parents=(), by=BY, message="Subject\n\nBody\n")
    signed = draft.signed(b"-----BEGIN X-----\nabc\n-----END X-----\n")
    oid = store.write("commit", signed)
    found = store.commit(oid)
    assert found.signed_part == draft.unsigned()
    assert found.signature == b"-----BEGIN X-----\nabc\n-----END X-----\n"
    assert (found.parents, found.author) == ((), BY.line())
    told = git(store.git_dir.parent, "log", "-1", "--format=%an %ae %at %s", oid)
    assert told == f"Ada ada@example.com {BY.when} Subject"
    git(store.git_dir.parent, "fsck", "--strict")


def test_two_signatures_are_none(store: ObjectStore) -> None:
    """A commit with two signature headers has none that could be believed."""
    draft = NewCommit(tree=store.write_tree({}), parents=(), by=BY, message="x\n")
    once = draft.signed(b"one\n")
    twice = once.replace(b"\n\n", b"\ngpgsig two\n\n", 1)
    assert objects.parse_commit("0" * 40, twice).signature is None


@pytest.mark.parametrize("name", ["", "a\nb", "nothing", "0" * 40, "main:utils.py", "HEAD^{tree}"])
def test_missing_objects(store: ObjectStore, name: str) -> None:
    """A name that stands for nothing gives nothing, and the next question still has its answer."""
    assert store.look_up(name) is None
    with pytest.raises(GitError, match="not in this repository"):
        store.read(name)
    assert store.blob(store.write("blob", b"still")) == b"still"


def test_wrong_kind(store: ObjectStore) -> None:
    """An object of another kind is refused by name."""
    oid = store.write("blob", b"x")
    with pytest.raises(GitError, match="a blob, not a commit"):
        store.commit(oid)


def test_reader_that_died_is_started_again(store: ObjectStore) -> None:
    """When the reading git is gone, the next question starts another."""
    oid = store.write("blob", b"x")
    assert store.blob(oid) == b"x"
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        parent = path.parent
        if is_reader_of(store, parent):
            os.kill(int(parent.name), 9)
            os.waitid(os.P_PID, int(parent.name), os.WEXITED | os.WNOWAIT)
    assert store.blob(oid) == b"x"


def is_reader_of(store: ObjectStore, process: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"--git-dir={store.git_dir}".encode() in words


def test_C11_object_that_cannot_be_written(store: ObjectStore) -> None:
    """Where a file stands in a folder's place the error names the object, and nothing is left."""
    oid = git(store.git_dir.parent, "hash-object", "--stdin", stdin=b"x")
    place = store.objects / oid[:2]
    place.write_text("in the way")
    with pytest.raises(FileAccessError, match=f"writing object {oid}"):
        store.write("blob", b"x")
    place.unlink()
    assert store.write("blob", b"x") == oid
    assert [path.name for path in place.iterdir()] == [oid[2:]]


@pytest.mark.parametrize("kind", ["blob", "tree", "commit"])
def test_A27_content_that_is_not_what_its_id_names(store: ObjectStore, kind: str) -> None:
    """An object rewritten in place is not believed, though git shows it."""
    good, evil = (blob(store, text).oid for text in ("good", "evil"))
    if kind != "blob":
        good, evil = (store.write_tree({"x": Entry(mode=FILE, oid=oid)}) for oid in (good, evil))
    if kind == "commit":
        drafts = [NewCommit(tree=oid, parents=(), by=BY, message="") for oid in (good, evil)]
        good, evil = (store.write("commit", draft.unsigned()) for draft in drafts)
    place, other = (store.objects / oid[:2] / oid[2:] for oid in (good, evil))
    place.unlink()
    place.write_bytes(other.read_bytes())
    with ObjectStore(store.git_dir, store.objects) as fresh:
        with pytest.raises(GitError, match=f"its content is not what {good} names"):
            fresh.read(good)
        assert fresh.read(evil)[1] == kind
    assert git(store.git_dir.parent, "cat-file", "-t", good) == kind


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let nothing more be opened, as on a machine that has run out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_C01_process_that_cannot_start(store: ObjectStore, tmp_path: Path) -> None:
    """A machine that is at its limits is told as the cause, for git as for ssh-keygen."""
    key = tmp_path / "key"
    signing.generate_key(key, "")
    signer = signing.SshSigner(key)
    assert signer.public_key
    said = []
    with no_descriptors():
        for call in (lambda: store.read("HEAD"), lambda: command.attempt(["version"])):
            try:
                call()
            except GitError as error:
                said.append(error.message)
        with suppress(FileAccessError):
            signer.sign(b"", namespace="git")
    assert said == ["starting git: Too many open files"] * 2


def test_A33_git_that_never_ends(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git that waits forever, as for a pipe in the place of a file, is stopped."""
    monkeypatch.setattr(command, "LOCAL_SECONDS", 0.2)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GitError, match=r"git hash-object .* no end after"):
        command.attempt(
            ["hash-object", "--no-filters", "--stdin-paths"],
            git_dir=store.git_dir,
            cwd=tmp_path,
            stdin=b"pipe\n",
        )
