"""What is known of history, kept from one question to the next, against git's own answers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.errors import GitError
from runner.git import history
from runner.git.history_known import MOST_LINES, KnownHistory
from runner.git.objects import FILE, LINK, Entry, NewCommit, ObjectStore, Signature

BY = Signature(name="a", email="a@example.com", when=1_700_000_000)
PATHS = ("p/a", "p/b/c", "p", "q")
MOST = 12


@dataclass(frozen=True)
class Draft:
    """A commit to be: places of its parents among those before it, and what it changes."""

    parents: tuple[int, ...]
    path: str
    entry: tuple[str, bytes] | None


@dataclass(frozen=True)
class Ask:
    """Tips, a base and a path."""

    tips: tuple[int, ...]
    base: int
    path: str


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    """Any shape: roots, merges of up to three, also of commits that have nothing in common."""
    parents = draw(st.lists(st.integers(0, MOST), max_size=3, unique=True))
    leaf = st.tuples(st.sampled_from([FILE, LINK]), st.sampled_from([b"1", b"2"]))
    return Draft(tuple(parents), draw(st.sampled_from(PATHS)), draw(st.none() | leaf))


asks = st.builds(
    Ask,
    tips=st.lists(st.integers(0, MOST), min_size=1, max_size=3).map(tuple),
    base=st.integers(0, 2),
    path=st.sampled_from(["p", "p/a", "q"]),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    git_dir = tmp_path_factory.mktemp("bare") / "it.git"
    subprocess.run(["git", "init", "-q", "--bare", str(git_dir)], check=True)
    with ObjectStore(git_dir, git_dir / "objects") as opened:
        yield opened


def written(store: ObjectStore, planned: Sequence[Draft]) -> list[str]:
    """Write commits; each has its first parent's tree with one path changed."""
    commits: list[str] = []
    for number, draft in enumerate(planned):
        parents = tuple(dict.fromkeys(commits[at] for at in draft.parents if at < number))
        tree = store.commit(parents[0]).tree if parents else store.write_tree({})
        made = (
            Entry(mode=draft.entry[0], oid=store.write("blob", draft.entry[1]))
            if draft.entry
            else None
        )
        tree = store.edit_tree(tree, {draft.path: made})
        by = Signature(name=BY.name, email=BY.email, when=BY.when + number)
        draft_commit = NewCommit(tree=tree, parents=parents, by=by, message=f"{number}\n")
        commits.append(store.write("commit", draft_commit.unsigned()))
    return commits


def listed(store: ObjectStore, tips: Sequence[str], base: str, path: str) -> set[str]:
    """The commits that git lists in a path's history."""
    argv = ["git", f"--git-dir={store.git_dir}", "rev-list", "--full-history"]
    argv += [*tips, f"^{base}", "--", path]
    return set(subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split())


@settings(max_examples=60, deadline=None)
@given(
    planned=st.lists(drafts(), min_size=3, max_size=MOST),
    questions=st.lists(asks, min_size=1, max_size=4),
    most_read=st.sampled_from([0, 2, 100]),
)
def test_answers_are_gits(
    store: ObjectStore, planned: list[Draft], questions: list[Ask], most_read: int
) -> None:
    """Whatever was asked before: versions and commits are those that git finds, merges and all."""
    commits = written(store, planned)
    known = KnownHistory(store, most_read=most_read)
    for each in questions:
        tips = [commits[at % len(commits)] for at in each.tips]
        base = commits[each.base]
        found = known.changed(tips, base=base, path=each.path)
        told = history.versions(store.git_dir, tips, base=base, folder=each.path)
        assert set(found.versions) == set(told)
        assert set(found.commits) == listed(store, tips, base, each.path)


def line_of(store: ObjectStore, *contents: bytes) -> list[str]:
    """A line of commits, each of which writes p/a."""
    above = [
        Draft((number - 1,) if number else (), "p/a", (FILE, text))
        for number, text in enumerate(contents)
    ]
    return written(store, above)


def test_a_merge_of_what_the_base_has_is_no_change(store: ObjectStore) -> None:
    """As for git: only where it differs from what came after the base did its maker write."""
    planned = [
        Draft((), "p/a", (FILE, b"0")),
        Draft((0,), "p/a", (FILE, b"1")),
        Draft((1,), "p/a", (FILE, b"2")),
        Draft((2, 0), "q", (FILE, b"1")),
    ]
    _, base, change, merge = commits = written(store, planned)
    found = KnownHistory(store).changed([merge], base=base, path="p")
    assert set(found.commits) == listed(store, commits[3:], base, "p") == {change}
    assert {each.commit for each in found.versions} == {change, merge}


def test_newest_goes_first(store: ObjectStore) -> None:
    """Versions and commits of a line come in the order of `git log`, however they were learnt."""
    line = line_of(store, b"0", b"1", b"2", b"3", b"4")
    known = KnownHistory(store)
    for tip in (line[2], line[4]):
        found = known.changed([tip], base=line[0], path="p")
    assert list(found.commits) == line[:0:-1]
    assert [each.commit for each in found.versions] == line[:0:-1]


def test_what_stays_the_same_is_the_same_answer(store: ObjectStore) -> None:
    """A new commit that leaves the path alone gives the very answer from before."""
    line = line_of(store, b"0", b"1")
    known = KnownHistory(store)
    first = known.changed([line[1]], base=line[0], path="p")
    beside = NewCommit(tree=store.commit(line[1]).tree, parents=(line[1],), by=BY, message="x\n")
    tip = store.write("commit", beside.unsigned())
    assert known.changed([tip], base=line[0], path="p") is first


def test_a_tip_that_is_gone_takes_along_what_only_it_had(store: ObjectStore) -> None:
    """An answer is about the tips that were asked for, not about all that were ever seen."""
    line = line_of(store, b"0", b"1", b"2")
    known = KnownHistory(store)
    assert len(known.changed(line, base=line[0], path="p").commits) == 2
    assert known.changed([line[1]], base=line[0], path="p").commits == (line[1],)


def test_a_submodule_is_no_version(store: ObjectStore) -> None:
    """A commit of another repository in the place of a record is nothing that could be read."""
    line = line_of(store, b"0")
    tree = store.edit_tree(None, {"p/a": Entry(mode="160000", oid=line[0])})
    tip = store.write(
        "commit", NewCommit(tree=tree, parents=(line[0],), by=BY, message="x\n").unsigned()
    )
    assert KnownHistory(store).changed([tip], base=line[0], path="p").versions == ()
    assert history.versions(store.git_dir, [tip], base=line[0], folder="p") == []


@pytest.mark.parametrize("most_read", [0, 100])
def test_a_missing_commit_is_an_error(store: ObjectStore, most_read: int) -> None:
    """Nothing is concluded from a history that is not all there; once it is, it is read."""
    line = line_of(store, b"0", b"1")
    known = KnownHistory(store, most_read=most_read)
    with pytest.raises(GitError):
        known.changed([line[1], "1" * 40], base=line[0], path="p")
    assert known.changed([line[1]], base=line[0], path="p").commits == (line[1],)


def test_only_the_last_questions_are_remembered(store: ObjectStore) -> None:
    """However many plans are looked at, the answers stay right."""
    line = line_of(store, b"0", b"1")
    known = KnownHistory(store)
    paths = [f"p{number}" for number in range(2 * MOST_LINES)]
    assert not any(known.changed([line[1]], base=line[0], path=path).commits for path in paths)
    assert known.changed([line[1]], base=line[0], path="p").commits == (line[1],)


def test_an_object_that_comes_later_is_found(tmp_path: Path) -> None:
    """What was missing is looked for again; what was there is not."""
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "it.git")], check=True)
    with ObjectStore(tmp_path / "it.git", tmp_path / "it.git/objects") as fresh:
        known = KnownHistory(fresh)
        oid = "78981922613b2afb6025042ff6bd878ac1994e85"
        assert not known.has(oid)
        assert fresh.write("blob", b"a\n") == oid
        assert known.has(oid)


def test_that_a_commit_is_missing_is_not_remembered(tmp_path: Path, store: ObjectStore) -> None:
    """A descendant that comes later is one, though it was none before."""
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "it.git")], check=True)
    with ObjectStore(tmp_path / "it.git", tmp_path / "it.git/objects") as fresh:
        first, second = line_of(store, b"0", b"1")
        assert not history.is_ancestor(fresh.git_dir, first, second)
        assert line_of(fresh, b"0", b"1") == [first, second]
        assert history.is_ancestor(fresh.git_dir, first, second)
        assert not history.is_ancestor(fresh.git_dir, second, first)
