from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import FileAccessError, InvalidDocument, StepFailed
from runner.models.scripted import BYTES_PER_TOKEN, ScriptedModel, load

SCRIPT = """\
version: 1
answers:
  - {match: why, answer: Because., tokens: {input: 10, output: 2}, cost_usd: "0.25"}
  - {match: "", answer: Anything., tokens: {input: 1, output: 1}, cost_usd: "0.01"}
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.yaml"
    path.write_text(SCRIPT)
    return path


def test_the_first_answer_that_matches_is_given(script: Path) -> None:
    """Tokens and cost are those that the script states."""
    found = load(script).complete("and why?", "material")
    assert (found.text, found.input_tokens, found.output_tokens) == ("Because.", 10, 2)
    assert (found.cost_usd, found.cost_status) == (Decimal("0.25"), "computed")
    assert load(script).complete("what?", "why").text == "Anything."


def test_the_price_is_known_before_the_question_is_asked(script: Path) -> None:
    """What an answer will cost is what it costs."""
    model = load(script)
    assert model.price("why") == model.complete("why", "").cost_usd
    assert ScriptedModel().price("why") == 0


def test_without_a_script_nobody_takes_it_for_a_model() -> None:
    """The question is echoed with the size of the material, for free."""
    found = load(None).complete(" why? ", "12345")
    assert found.text == (
        "(scripted model, no provider is configured) asked: why?\ngiven: 5 characters of material"
    )
    assert (found.cost_usd, found.cost_status) == (Decimal(0), "free")


def test_a_question_that_the_script_does_not_answer_fails_the_step(tmp_path: Path) -> None:
    """No answer is made up where a script is given."""
    path = tmp_path / "script.yaml"
    path.write_text("\n".join(SCRIPT.splitlines()[:3]) + "\n")
    with pytest.raises(StepFailed, match="no answer matches 'how'") as caught:
        load(path).complete("how", "")
    assert "PLANLOCK_MODEL_SCRIPT" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    ["version: 2\nanswers: []\n", "version: 1\n", "a: 1\na: 2\n", "version: 1\nanswers: [{}]\n"],
)
def test_a_script_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """A script is read as strictly as a plan."""
    path = tmp_path / "script.yaml"
    path.write_text(text)
    with pytest.raises(InvalidDocument):
        load(path)


def test_a_script_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The file's name stands in the message."""
    with pytest.raises(FileAccessError, match="reading model script"):
        load(tmp_path / "none.yaml")


@given(st.text(max_size=50), st.text(max_size=200))
def test_tokens_grow_with_what_is_asked(instruction: str, material: str) -> None:
    """The same question has the same answer, and its tokens follow from the bytes."""
    first, second = (ScriptedModel().complete(instruction, material) for _ in range(2))
    assert first == second
    assert first.input_tokens == len((instruction + material).encode()) // BYTES_PER_TOKEN
