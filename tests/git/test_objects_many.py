from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from runner.core.errors import GitError
from runner.git.objects import AT_ONCE, ObjectStore

CONTENTS = [f"{number}\n".encode() * (number % 7) for number in range(2 * AT_ONCE + 3)]


@pytest.fixture
def git_dir(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", "--bare", "x.git"], cwd=tmp_path, check=True)
    return tmp_path / "x.git"


def store(git_dir: Path) -> ObjectStore:
    return ObjectStore(git_dir, git_dir / "objects")


def test_many_blobs_are_read_in_their_order(git_dir: Path) -> None:
    """However many there are, also the same one twice."""
    with store(git_dir) as writer:
        oids = [writer.write("blob", content) for content in CONTENTS]
    with store(git_dir) as reader:
        assert list(reader.blobs(oids)) == CONTENTS
        assert list(reader.blobs(oids[:2] * 2)) == CONTENTS[:2] * 2
        assert list(reader.blobs([])) == []


def test_a_reader_that_is_left_half_way_goes_on_rightly(git_dir: Path) -> None:
    """What was asked for and not taken is not the answer to the next question."""
    with store(git_dir) as writer:
        oids = [writer.write("blob", content) for content in CONTENTS]
    with store(git_dir) as reader:
        assert next(reader.blobs(oids)) == CONTENTS[0]
        assert reader.blob(oids[-1]) == CONTENTS[-1]


def test_a_blob_that_is_not_there_is_told(git_dir: Path) -> None:
    """Among many, by its name; the next question is answered all the same."""
    with store(git_dir) as reader:
        here = reader.write("blob", b"here")
        tree = reader.write_tree({})
        for strange in ("e" * 40, tree):
            with pytest.raises(GitError, match=strange):
                list(reader.blobs([here, strange, here]))
            assert reader.blob(here) == b"here"


def test_content_that_was_changed_is_told(git_dir: Path) -> None:
    """A content that is not what its name says is refused, and the next answer is the right one."""
    with store(git_dir) as writer:
        oids = [writer.write("blob", content) for content in (b"one", b"two", b"three")]
    first, second = (git_dir / "objects" / oid[:2] / oid[2:] for oid in oids[:2])
    first.chmod(0o644)
    first.write_bytes(second.read_bytes())
    with store(git_dir) as reader:
        with pytest.raises(GitError, match=r"its content is not what|not in this repository"):
            list(reader.blobs(oids))
        assert reader.blob(oids[2]) == b"three"
