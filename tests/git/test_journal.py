"""A journal gives back every frame that was whole, in order, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import in_a_process

from runner.core.errors import GitError
from runner.git import durable, journal, packs
from runner.git.journal import BLOCK, HEAD, MAGIC, Frame, Journal
from runner.git.refs import Move

OID = st.binary(min_size=20, max_size=20).map(bytes.hex)
MOVES = st.builds(
    Move, ref=st.sampled_from(["refs/heads/a", "refs/b/ü"]), old=st.none() | OID, new=OID
)
OBJECTS = st.tuples(OID, st.sampled_from(["blob", "tree"]), st.binary(max_size=5000))
FRAMES = st.builds(
    Frame,
    moves=st.lists(MOVES, max_size=3).map(tuple),
    packs=st.lists(st.text("abc", min_size=1), max_size=2).map(tuple),
    part=st.lists(OBJECTS, max_size=3).map(packs.part),
)
SOME = [Frame(packs=(str(number),), part=packs.part([])) for number in range(3)]


@pytest.fixture
def held(tmp_path: Path) -> Journal:
    return journal.begin(tmp_path, "job", 1)


def written(held: Journal, *frames: Frame) -> bytes:
    for frame in frames:
        held.append(frame, sync=True)
    return held.path.read_bytes()


@given(frames=st.lists(FRAMES, max_size=4))
@settings(max_examples=40, deadline=None)
def test_frames_come_back(tmp_path_factory: pytest.TempPathFactory, frames: list[Frame]) -> None:
    """What was appended is read, in order, whatever it holds."""
    with journal.begin(tmp_path_factory.mktemp("common"), "job", 1) as held:
        written(held, *frames)
        assert list(held.frames()) == frames
        held.remove()


def test_every_cut_leaves_the_whole_frames(held: Journal) -> None:
    """Wherever the file is cut off, the frames that are whole are read and no others."""
    content = written(held, *SOME)
    ends = [number * BLOCK + HEAD.size + len(SOME[number].payload()) for number in range(3)]
    places = {0, 1, HEAD.size, BLOCK - 1, BLOCK, BLOCK + 1, len(content), *ends}
    for place in sorted(places | {end - 1 for end in ends} | {end + 1 for end in ends}):
        whole = sum(end <= place for end in ends)
        assert list(journal.frames(content[:place])) == SOME[:whole], place


@pytest.mark.parametrize("number", range(3))
def test_flipped_bit_ends_the_journal(held: Journal, number: int) -> None:
    """From a frame on in which anything changed, nothing is believed."""
    content = written(held, *SOME)
    length = HEAD.size + len(SOME[number].payload())
    for place in range(number * BLOCK, number * BLOCK + length):
        if place - number * BLOCK == len(MAGIC) - 1:
            continue  # the version: another test
        damaged = bytearray(content)
        damaged[place] ^= 4
        assert list(journal.frames(bytes(damaged))) == SOME[:number], place


def test_another_version_is_refused(held: Journal) -> None:
    """A journal of a version to come is neither read nor taken for empty."""
    content = written(held, *SOME)
    with pytest.raises(GitError, match="another version"):
        list(journal.frames(content.replace(MAGIC, MAGIC[:-1] + b"2")))


def test_what_was_cleared_does_not_come_back(held: Journal) -> None:
    """After a journal was cleared, older frames never follow newer ones."""
    written(held, *SOME)
    held.clear()
    assert list(held.frames()) == []
    again = Frame(packs=("9",))
    assert len(again.payload()) == len(SOME[0].payload())
    written(held, again)
    assert list(held.frames()) == [again]


def test_frame_that_cannot_be_written_is_none(
    held: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the disk fails while a frame is synced, the frame is void and the next one counts."""
    written(held, SOME[0])

    def fail(name: str, _: Path, act: Callable[[], object]) -> object:
        if name == "sync":
            raise OSError(5, "Input/output error")
        return act()

    with monkeypatch.context() as patch:
        patch.setattr(durable, "perform", fail)
        with pytest.raises(OSError, match="Input/output"):
            held.append(SOME[1], sync=True)
    assert list(held.frames()) == SOME[:1]
    written(held, SOME[2])
    assert list(held.frames()) == [SOME[0], SOME[2]]


def held_now(common: Path) -> list[Journal]:
    """The journals that could be taken, and now are."""
    return [held for path in journal.dead(common) if (held := journal.take(path)) is not None]


def test_only_the_dead_are_found(tmp_path: Path) -> None:
    """A journal that its writer holds is left alone; one of a process that ended is found."""
    held = journal.begin(tmp_path, "job", 1)
    assert in_a_process(lambda: written(journal.begin(tmp_path, "job", 2), SOME[0])) == 0
    found = held_now(tmp_path)
    assert [each.name.split(".")[1] for each in found] == ["2"]
    assert list(found[0].frames()) == SOME[:1]
    assert held_now(tmp_path) == []  # `found` holds it now
    found[0].close()
    held.close()
    assert len(held_now(tmp_path)) == 2


def test_no_journals_where_there_is_no_folder(tmp_path: Path) -> None:
    """A repository in which nothing was ever recorded has none."""
    assert held_now(tmp_path) == []
