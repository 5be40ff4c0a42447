"""How a model's draft is read, applied on trial and checked."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core import drafting
from runner.core.checks import lost_names, syntax
from runner.core.drafting import WHOLE_FILE, Draft, Misfit

LINES = st.sampled_from(["a\n", "b\n", "c\n", "\n", "  \n"])
LARGE = "".join(f"line {number}\n" for number in range(2_000))


def block(search: str, replace: str) -> str:
    return f"<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


def test_a_small_file_is_asked_for_whole_and_a_large_one_in_blocks() -> None:
    """The border is a number of characters, and the prompt says which form is wanted."""
    assert drafting.is_whole(None)
    assert drafting.is_whole("x" * WHOLE_FILE)
    assert not drafting.is_whole("x" * (WHOLE_FILE + 1))
    small, large = (
        drafting.messages(goal="g", path="a.py", instruction="i", before=before)[1].content
        for before in ("x", LARGE)
    )
    assert "complete new text of a.py" in small
    assert "<<<<<<< SEARCH" in large


@pytest.mark.parametrize(
    "answer",
    [
        "x = 1\n",
        "```python\nx = 1\n```",
        "Here you are:\n\n```python\nx = 1\n```\nDone.",
        "```\nx = 1\n",
        '<data 0123456789abcdef0123456789abcdef name="a.py">\nx = 1\n\n</data 0123456789abcdef0123456789abcdef>',
        "~~~py\nx = 1\n~~~\n",
        "```py\n# o\n```\nand\n```py\nx = 1\n```",
    ],
)
def test_a_whole_file_is_read_from_what_models_write_around_it(answer: str) -> None:
    """Fences, prose and repeated marks of the material are not part of the file."""
    assert drafting.read(answer, path="a.py", before=None) == Draft(content="x = 1\n")


def test_fences_inside_a_markdown_file_stay() -> None:
    """A document in one fence keeps the blocks that it holds; one without a fence too."""
    inner = "# Title\n\n```python\nx = 1\n```\n\nEnd\n"
    whole = drafting.read(f"```markdown\n{inner}```\n", path="README.md", before=None)
    assert whole.content == inner
    assert drafting.read(inner, path="README.md", before=None).content == inner


def test_an_answer_without_text_is_no_draft() -> None:
    """Nothing, or an empty fence, is refused."""
    for answer in ("", "```python\n```", "  \n"):
        with pytest.raises(Misfit):
            drafting.read(answer, path="a.py", before=None)


def test_blocks_are_applied_one_after_the_other() -> None:
    """Each block sees the file as the one before left it."""
    answer = block("line 7\n", "line seven\n") + "and\n" + block("line seven\nline 8\n", "8\n")
    draft = drafting.read(answer, path="a.txt", before=LARGE)
    after = drafting.apply(draft, LARGE)
    assert after == LARGE.replace("line 7\nline 8\n", "8\n", 1)
    assert draft.input("a.txt")["edits"][0] == {"search": "line 7\n", "replace": "line seven\n"}


@pytest.mark.parametrize(
    "answer, why",
    [
        ("no blocks at all", "no SEARCH/REPLACE"),
        (block("not there\n", "x\n"), "block 1: its SEARCH text occurs 0 times"),
        (block("line 1\n", "line one\n") + block("gone\n", "x\n"), "block 2: its SEARCH"),
        (block("", "x\n"), "not once"),
        (block("line 7\n", "line 7\n"), "leaves the file as it is"),
    ],
)
def test_a_block_that_does_not_match_once_is_refused_with_its_number(answer: str, why: str) -> None:
    """The reason can be handed back to the model."""
    with pytest.raises(Misfit, match=why):
        drafting.apply(drafting.read(answer, path="a.txt", before=LARGE), LARGE)


@given(st.text(max_size=300), st.booleans())
def test_any_answer_is_a_draft_or_a_misfit(answer: str, large: bool) -> None:  # noqa: FBT001  # hypothesis gives it
    """Whatever a model says, reading it ends in one of two ways."""
    before = LARGE if large else None
    with contextlib.suppress(Misfit):
        draft = drafting.read(answer, path="a.py", before=before)
        assert drafting.apply(draft, before) != before


def test_a_file_that_no_longer_parses_is_refused_unless_it_never_did() -> None:
    """Broken syntax is the draft's fault only where the file was sound before."""
    with pytest.raises(Misfit, match=r"a.py is not valid: line 1"):
        drafting.check("a.py", "x = 1\n", "x = = 1\n")
    assert drafting.check("a.py", "x = = 1\n", "y = = 1\n") == ()
    with pytest.raises(Misfit, match="not valid"):
        drafting.check("new.json", None, "{")


@pytest.mark.parametrize(
    "before, after, calm",
    [
        ("a\n\nb\n", "a\nb\n", "a\n\nb\n"),
        ("a\nb\n", "a\n\n \nb\nc\n", "a\nb\nc\n"),
        ("a\nb\n", "a\n\nx\n\nb\n", "a\n\nx\n\nb\n"),
    ],
)
def test_changes_of_empty_lines_alone_are_taken_back(before: str, after: str, calm: str) -> None:
    """A reviewer sees what was meant; empty lines around new code stay."""
    assert drafting.calmed(before, after) == calm


@given(st.lists(LINES, max_size=12), st.lists(LINES, max_size=12))
def test_taking_back_empty_lines_changes_no_other(before: list[str], after: list[str]) -> None:
    """Every line with text stays, in order."""
    calm = drafting.calmed("".join(before), "".join(after))
    assert [line for line in calm.splitlines() if line.strip()] == [
        line.rstrip("\n") for line in after if line.strip()
    ]


def test_lost_top_level_names_are_told() -> None:
    """Functions, classes and constants that vanish are a complaint, not a refusal."""
    before = "A = 1\nB: int = 2\n\ndef f(): ...\n\nclass C: ...\n\nasync def g(): ...\n"
    assert lost_names("a.py", before, "A = 1\n") == ("B", "C", "f", "g")
    assert lost_names("a.txt", before, "") == ()
    assert drafting.check("a.py", before, "A = 1\nB = 3\nC = f = None\n") == (
        "a.py no longer defines g",
    )


@pytest.mark.parametrize(
    "path, text",
    [
        ("a.py", "def f(:\n"),
        ("a.py", "x\0"),
        ("a.json", "{,}"),
        ("a.toml", "a = "),
        ("a.yaml", "a: [b"),
        ("A.YML", "\t- a: b: c"),
        ("deep.json", "[" * 100_000),
    ],
)
def test_syntax_errors_are_found_by_the_files_ending(path: str, text: str) -> None:
    """Each kind that can be checked says what is wrong, deep nesting too."""
    assert syntax(path, text)


@pytest.mark.parametrize(
    "path, text",
    [
        ("a.py", 'x = "\\d"\n'),
        ("a.json", '{"a": [1]}'),
        ("a.toml", "a = 1"),
        ("a.yaml", "a: 1\n---\nb: !x 2\n"),
        ("a.c", "int main( {"),
        ("Makefile", "x:"),
    ],
)
def test_sound_files_and_unknown_kinds_pass(path: str, text: str) -> None:
    """An odd escape is no error, and what nobody can check is not complained of."""
    assert syntax(path, text) is None
