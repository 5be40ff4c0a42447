"""The text of an answer, however it is cut into pieces."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from runner.models.answer_text import Spoken, mended

PARTS = st.lists(st.sampled_from(["<think>", "</think>", "<th", "a", "\n", " ", "😀", "\u2028"]))


def spoken(pieces: list[str]) -> tuple[str, str]:
    heard: list[str] = []
    text = Spoken(heard.append)
    for piece in pieces:
        text.add(piece)
    return text.end(), "".join(heard)


@given(PARTS, st.lists(st.integers(0, 60)))
def test_pieces_make_no_difference(parts: list[str], cuts: list[int]) -> None:
    """The same text in any pieces, surrogates split as well, is the same answer, heard as kept."""
    text = "".join(parts)
    halves = text.encode("utf-16-le")
    edges = [0, *sorted(min(each * 2, len(halves)) for each in cuts), len(halves)]
    pieces = [
        halves[start:end].decode("utf-16-le", "surrogatepass") for start, end in pairwise(edges)
    ]
    assert spoken(pieces) == spoken([text])
    assert spoken(pieces)[0] == spoken(pieces)[1]


@given(st.text())
def test_a_text_without_thoughts_comes_as_it_is(text: str) -> None:
    """Nothing is trimmed."""
    if not text.lstrip().startswith("<think>"):
        assert spoken([text])[0] == text


def test_only_thoughts_at_the_beginning_are_left_out() -> None:
    """Later the tag may be what was asked for; thoughts without an end leave nothing."""
    assert spoken(["  <think>a</think>\n\n b<think>c</think>"])[0] == "b<think>c</think>"
    assert spoken(["<think>a"])[0] == ""
    assert spoken(["<thin"])[0] == "<thin"


@given(st.text())
def test_mended_text_can_be_written(text: str) -> None:
    """No surrogate is left, and sound text is unchanged."""
    assert mended(text) == text
    assert mended(f"\ud83d{text}\ude00").encode()
