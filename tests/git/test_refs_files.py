"""Refs read in process are what git itself reads, and where it is not sure git is asked."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded import git, make_repository

from runner.core.errors import GitError
from runner.git import refs, refs_files
from runner.git.refs_files import NotPlain

NAMES = ("refs/heads/a", "refs/heads/b/c", "refs/heads/b/d", "refs/planlock/x/1", "refs/tags/t")
ACTS = st.one_of(
    st.tuples(st.just("update"), st.sampled_from(NAMES), st.integers(0, 2)),
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.just(0)),
    st.tuples(st.just("pack"), st.sampled_from(["--all", "--all --no-prune"]), st.just(0)),
)
QUICK = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "it")


def commits(folder: Path, count: int) -> list[str]:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    return [
        git(folder, *who, "commit-tree", "-m", str(each), "main^{tree}") for each in range(count)
    ]


@given(acts=st.lists(ACTS, max_size=8))
@QUICK
def test_git_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, str, int]]
) -> None:
    """After whatever git did to refs, each and all of them are read as git reads them."""
    folder = make_repository(tmp_path_factory.mktemp("refs") / "it")
    made = commits(folder, 3)
    for act, what, number in acts:
        if act == "update":
            git(folder, "update-ref", what, made[number])
        elif act == "delete":
            git(folder, "update-ref", "-d", what)
        else:
            git(folder, "pack-refs", *what.split())
    git_dir = folder / ".git"
    listed = git(folder, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    expected = dict(line.split(" ") for line in listed)
    assert list(refs.under(git_dir, "refs/").items()) == list(expected.items())
    assert {name: refs.read(git_dir, name) for name in NAMES} == {
        name: expected.get(name) for name in NAMES
    }
    assert refs.under(git_dir, "refs/heads/b", "refs/tags/").keys() == {
        name for name in expected if name.startswith(("refs/heads/b/", "refs/tags/"))
    }


@pytest.mark.parametrize("content", [b"", b"\n", b"garbage\n", b"1" * 39, b"0" * 40, b"\0" * 41])
def test_broken_ref_is_an_error(folder: Path, content: bytes) -> None:
    """A file without an id is never taken for a ref that is not there, packed or not."""
    git_dir = folder / ".git"
    git(folder, "pack-refs", "--all")
    (git_dir / "refs/heads/main").write_bytes(content)
    for call in (
        lambda: refs.read(git_dir, "refs/heads/main"),
        lambda: refs.under(git_dir, "refs/heads/"),
    ):
        with pytest.raises(GitError, match="refs/heads/main: its file holds no object id"):
            call()


@pytest.mark.parametrize("content", [b"\0" * 100, b"cut off", b"zz refs/heads/main\n"])
def test_broken_packed_refs_are_an_error(folder: Path, content: bytes) -> None:
    """A damaged list of packed refs is not taken for one without the ref."""
    git(folder, "pack-refs", "--all")
    (folder / ".git/packed-refs").write_bytes(content)
    with pytest.raises(GitError):
        refs.read(folder / ".git", "refs/heads/main")


def test_symbolic_and_linked_refs_are_for_git(folder: Path) -> None:
    """A ref that names another one, either way, has the value that git gives it."""
    git_dir, main = folder / ".git", git(folder, "rev-parse", "main")
    git(folder, "symbolic-ref", "refs/heads/also", "refs/heads/main")
    (git_dir / "refs/heads/link").symlink_to("main")
    assert refs.read(git_dir, "refs/heads/also") == refs.read(git_dir, "refs/heads/link") == main
    assert refs.under(git_dir, "refs/heads/") == {
        f"refs/heads/{name}": main for name in ("also", "link", "main")
    }
    assert refs.read(git_dir, "HEAD") == main


def test_tag_objects_are_followed_to_their_commits(folder: Path) -> None:
    """The value of a tag that is an object is the commit below it."""
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    git(folder, *who, "tag", "-a", "-m", "x", "t", "main")
    assert refs.read(folder / ".git", "refs/tags/t") == git(folder, "rev-parse", "main")


def test_refs_of_a_linked_work_tree(folder: Path) -> None:
    """From a linked work tree the repository's refs are read, and its own HEAD."""
    git(folder, "worktree", "add", "-q", "-b", "other", "../linked", "main")
    git_dir = Path(git(folder.parent / "linked", "rev-parse", "--absolute-git-dir"))
    assert refs_files.common_dir(git_dir) == git_dir / "../.."
    assert refs.under(git_dir, "refs/heads/").keys() == {"refs/heads/main", "refs/heads/other"}
    assert refs.read(git_dir, "HEAD") == git(folder, "rev-parse", "main")


@pytest.mark.parametrize(
    "name",
    [
        *("main", "HEAD", "refs", "refs/", "refs//x", "refs/heads/", "refs/heads/.x", "refs/a..b"),
        *(
            "refs/a.lock",
            "refs/a.lock/b",
            "refs/a.",
            "refs/a b",
            "refs/a~1",
            "refs/a@{1}",
            "refs/*",
        ),
        *("refs/a\nb", "refs/a\\b", "refs/../config", "refs/bisect/bad", "refs/worktree/x"),
    ],
)
def test_odd_names_are_for_git(folder: Path, name: str) -> None:
    """What is no plain name of a ref is not looked for among the files."""
    with pytest.raises(NotPlain):
        refs_files.value(folder / ".git", name)


@pytest.mark.parametrize("name", ["refs/heads/a.b", "refs/heads/ü", "refs/x/@", "refs/heads/a@b"])
def test_unusual_names_are_read(folder: Path, name: str) -> None:
    """Names that git allows are read, packed or not."""
    main = git(folder, "rev-parse", "main")
    git(folder, "update-ref", name, main)
    assert refs.read(folder / ".git", name) == main
    git(folder, "pack-refs", "--all")
    assert refs.read(folder / ".git", name) == main
    assert refs.under(folder / ".git", name) == {name: main}


@pytest.mark.parametrize("setting", ["extensions.refStorage=x", "core.sharedRepository=group"])
def test_other_kinds_of_repositories_are_for_git(folder: Path, setting: str) -> None:
    """Where refs may be kept in another way, or for a group, nothing is read from files."""
    refs_files.check_backend(folder / ".git")
    git(folder, "config", *setting.split("="))
    with pytest.raises(NotPlain):
        refs_files.check_backend(folder / ".git")


def test_shared_repository_works_through_git(folder: Path) -> None:
    """Refs of a repository that a group shares are read and moved by git itself."""
    git(folder, "config", "core.sharedRepository", "group")
    git_dir, main = folder / ".git", git(folder, "rev-parse", "main")
    refs.move(git_dir, [refs.Move(ref="refs/heads/x", old=None, new=main)], reason="x")
    assert refs.under(git_dir, "refs/heads/x") == {"refs/heads/x": main}
    assert (git_dir / "refs/heads/x").stat().st_mode & 0o060 == 0o060


def test_locks_and_hidden_files_are_no_refs(folder: Path) -> None:
    """What git passes over in the folders of refs is passed over."""
    for name in (".hidden", "main.lock"):
        (folder / ".git/refs/heads" / name).write_text("x")
    assert refs.under(folder / ".git", "refs/").keys() == {"refs/heads/main"}


def test_prefix_is_whole_names(folder: Path) -> None:
    """A prefix names a ref or a folder, not the beginning of a name."""
    git_dir, main = folder / ".git", git(folder, "rev-parse", "main")
    for name in ("a", "ab", "c/d"):
        git(folder, "update-ref", f"refs/heads/{name}", main)
    for _, prefix in itertools.product(range(2), ("refs/heads/a", "refs/heads/c", "refs/heads/x")):
        asked = git(folder, "for-each-ref", "--format=%(refname)", prefix).split()
        assert list(refs.under(git_dir, prefix)) == asked
        git(folder, "pack-refs", "--all")
