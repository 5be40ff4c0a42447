from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from provider_cases import an_ask, message

from runner.core.errors import FileAccessError, InvalidDocument, NoRoute
from runner.models import providers
from runner.models.config import ProviderConfig
from runner.models.contract import Failure
from runner.models.scripted import load

SCRIPT = """\
version: 1
answers:
  - {match: why, answer: Because., tokens: {input: 10, output: 2}, cost_usd: "0.25"}
  - match: list
    answer: "one\\ntwo\\nth"
    tokens: {input: 3, output: 4}
    cost_usd: "0"
    finish_reason: length
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.yaml"
    path.write_text(SCRIPT)
    return path


def test_the_answer_that_matches_is_given(script: Path) -> None:
    """Tokens and cost are those that the script states, as if a provider had told them."""
    reply = load(script).ask(an_ask(message("user", "and why?")), None)
    assert (reply.text, reply.finish_reason, reply.response_model) == (
        "Because.",
        "stop",
        "scripted-1",
    )
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (10, 2)
    assert (reply.usage.source, reply.cost_usd) == ("provider", Decimal("0.25"))


def test_the_last_question_counts_first(script: Path) -> None:
    """What was said before is looked at only if no answer fits the last question."""
    talk = (message("system", "list"), message("user", "list"), message("assistant", "why"))
    model = load(script)
    assert model.ask(an_ask(*talk, message("user", "why?")), None).text == "Because."
    assert model.ask(an_ask(*talk[:1], message("user", "what?")), None).text.startswith("one")
    assert model.ask(an_ask(message("system", "why")), None).text == "Because."


def test_streaming_gives_the_same_answer(script: Path) -> None:
    """An answer streams line by line and may be cut by length."""
    model, heard = load(script), list[str]()
    ask = an_ask(message("user", "list"))
    assert model.ask(ask, heard.append) == model.ask(ask, None)
    assert heard == ["one\n", "two\n", "th"]
    assert model.ask(ask, None).finish_reason == "length"


def test_a_question_that_the_script_does_not_answer_is_refused(script: Path) -> None:
    """No answer is made up, and the question is shown without hidden characters."""
    with pytest.raises(Failure, match=r"no answer of the script matches 'how\\\\x1b") as caught:
        load(script).ask(an_ask(message("user", "how\x1b" + "x" * 500)), None)
    assert caught.value.kind == "refused"
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    "text",
    [
        "version: 2\nanswers: []\n",
        "version: 1\n",
        "a: 1\na: 2\n",
        "version: 1\nanswers: [{}]\n",
        SCRIPT.replace("length", "bored"),
        SCRIPT.replace("0.25", "-1"),
    ],
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


def test_the_scripted_provider_is_made_of_its_script(script: Path) -> None:
    """It bears its configured name and offers one model."""
    config = ProviderConfig(name="play", kind="scripted", script=str(script))
    model = providers.make(config, {})
    assert (model.name, list(model.offered())) == ("play", ["scripted-1"])
    model.close()


def test_without_a_script_it_is_no_provider() -> None:
    """Nothing answers in its place."""
    with pytest.raises(NoRoute, match="has no script") as caught:
        providers.make(ProviderConfig(name="play", kind="scripted"), {})
    assert "PLANLOCK_MODEL_SCRIPT" in caught.value.hint
