from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_answers import MODEL, answered, question, structured

from runner.core.model_call import Params, Request
from runner.models.contract import Failure
from runner.models.semantic import Semantic, cosine, vector_of


def embed(text: str) -> Sequence[float]:
    """Count some letters: enough to be near or far."""
    return [float(text.count(letter)) for letter in "aeioutn"]


@pytest.fixture
def semantic(tmp_path: Path) -> Semantic:
    return Semantic(tmp_path / "semantic", embed, 0.95)


NEAR = "What does this function return"


def test_nearly_the_same_question_has_the_same_answer(semantic: Semantic) -> None:
    """A question over the threshold gets the nearest one's answer."""
    assert semantic.find(question(NEAR), model=MODEL) is None
    semantic.add(question("zzz aaa"), model=MODEL, answer=answered(question(), "Far."))
    semantic.add(question(NEAR), model=MODEL, answer=answered(question(), "Near."))
    found = semantic.find(question(f"{NEAR}?"), model=MODEL)
    assert found is not None
    assert found.text == "Near."
    assert semantic.find(question("uuuu"), model=MODEL) is None


@pytest.mark.parametrize(
    "other",
    [
        question(f"{NEAR}?", system="Be long."),
        question(f"{NEAR}?", params=Params(temperature=0.5)),
        question(f"{NEAR}?", kind="analyze"),
        structured(f"{NEAR}?"),
    ],
    ids=["earlier-message", "parameters", "kind", "schema"],
)
def test_all_else_must_be_equal(semantic: Semantic, other: Request) -> None:
    """Another context, schema, parameter or kind makes another question, however near."""
    semantic.add(question(NEAR), model=MODEL, answer=answered(question()))
    assert semantic.find(other, model=MODEL) is None


def test_another_model_has_its_own_answers(semantic: Semantic) -> None:
    """An answer of one model is never given for another."""
    semantic.add(question(NEAR), model=MODEL, answer=answered(question()))
    assert semantic.find(question(NEAR), model="openai/gpt-6-luna") is None
    assert semantic.find(question(NEAR), model=MODEL) is not None


def test_an_embedding_that_cannot_be_had_is_a_miss(semantic: Semantic) -> None:
    """A server that is down costs the cache, not the call."""
    semantic.add(question(NEAR), model=MODEL, answer=answered(question()))

    def down(_text: str) -> Sequence[float]:
        raise Failure("unreachable", "nobody listens")

    broken = Semantic(semantic.folder, down, 0.95)
    assert broken.find(question(NEAR), model=MODEL) is None
    broken.add(question("New"), model=MODEL, answer=answered(question()))
    assert semantic.find(question("New"), model=MODEL) is None


def test_a_conversation_that_ends_with_the_model_is_left_alone(semantic: Semantic) -> None:
    """Only a last message of the user is a question that can be like another."""
    last = question().messages[-1].model_copy(update={"role": "assistant"})
    request = Request(messages=[last])
    semantic.add(request, model=MODEL, answer=answered(question()))
    assert semantic.find(request, model=MODEL) is None
    assert not semantic.folder.exists()


@pytest.mark.parametrize("content", [b"", b"[]", b'["a"]', b"[1", b"[NaN]", b"[" * 100_000])
def test_what_cannot_be_read_does_not_count(semantic: Semantic, content: bytes) -> None:
    """A damaged vector is passed over, and so is a damaged answer."""
    semantic.add(question(NEAR), model=MODEL, answer=answered(question()))
    (vector,) = semantic.folder.rglob("*.vector")
    whole = vector.read_bytes()
    vector.write_bytes(content)
    assert semantic.find(question(NEAR), model=MODEL) is None
    vector.write_bytes(whole)
    assert semantic.find(question(NEAR), model=MODEL) is not None
    (entry,) = semantic.folder.rglob("*.json")
    entry.write_text("{}")
    assert semantic.find(question(NEAR), model=MODEL) is None


def test_a_folder_that_cannot_be_written_costs_only_the_memory(tmp_path: Path) -> None:
    """Adding where nothing can be written is no error."""
    (tmp_path / "semantic").write_text("")
    Semantic(tmp_path / "semantic", embed, 0.9).add(
        question(), model=MODEL, answer=answered(question())
    )


numbers = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=5)


@given(numbers, numbers)
def test_likeness_is_between_minus_one_and_one(one: list[float], other: list[float]) -> None:
    """Whatever a server sends, likeness is a number in its range, never NaN."""
    first, second = vector_of(one), vector_of(other)
    if first is not None and second is not None:
        assert -1.0000001 <= cosine(first, second) <= 1.0000001


def test_likeness_by_hand() -> None:
    """Equal directions are 1, square ones 0, opposite ones -1, and none has no direction."""
    assert cosine([1, 1], [2, 2]) == pytest.approx(1)
    assert cosine([1, 0], [0, 1]) == 0
    assert cosine([1, 0], [-1, 0]) == -1
    assert cosine([0, 0], [1, 0]) == -1
    assert cosine([1, 0], [1, 0, 0]) == -1
