"""What is particular to Ollama's own API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_cases import SCHEMA, Served, an_ask, message, served
from provider_server import Raw, Said, as_json
from provider_server_ollama import OllamaApi

from runner.models.contract import Ask, Failure
from runner.models.ollama import Ollama, was_cut

WINDOW = 4096
LONG = "word " * 4000


@pytest.fixture
def tried() -> Iterator[Served]:
    with served(OllamaApi()) as found:
        yield found


def long_ask(text: str = LONG) -> Ask:
    return an_ask(message("user", text), window=WINDOW)


def counted(read: int | None, written: int = 12) -> Said:
    counts = {"eval_count": written} | ({} if read is None else {"prompt_eval_count": read})
    return Said(usage=counts)


def test_a_request_says_all_that_is_asked(tried: Served) -> None:
    """The window is told, or Ollama takes a small one; a longer prompt shall be refused."""
    tried.ask(an_ask(schema=SCHEMA, temperature=0.0, seed=7))
    body = dict(tried.body)
    assert [each["role"] for each in body.pop("messages")] == ["system", "user"]
    assert body == {
        "model": "model-1",
        "stream": False,
        "options": {"num_ctx": 4096, "num_predict": 64, "temperature": 0.0, "seed": 7},
        "truncate": False,
        "shift": False,
        "format": SCHEMA,
    }
    tried.streamed()
    assert tried.body["stream"] is True
    assert "format" not in tried.body


def test_a_prompt_that_the_server_refuses_as_too_long(tried: Served) -> None:
    """Newer servers honour `truncate: false`."""
    tried.server.give(tried.server.api.error(400, "the input length exceeds the context length"))
    assert tried.failure(long_ask()).kind == "context_too_long"


@pytest.mark.parametrize(
    "read",
    [WINDOW, WINDOW - 1, WINDOW // 2 + 2, 300, 0, None],
    ids=["whole", "near", "half", "too-few", "zero", "absent"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_prompt_that_was_cut_silently_is_found_out(
    tried: Served, read: int | None, *, stream: bool
) -> None:
    """Older servers cut to the window or to half of it, and report what was left."""
    tried.server.give(counted(read))
    failure = tried.failure(long_ask(LONG * 2), stream=stream)
    assert failure.kind == "context_too_long"
    assert failure.usage


@pytest.mark.parametrize("read", [2, 0, None])
def test_a_cached_prompt_is_not_taken_for_a_cut_one(tried: Served, read: int | None) -> None:
    """A prompt that surely fits was not cut, however few tokens the server counts anew."""
    tried.server.give(counted(read))
    reply = tried.ask(long_ask("word " * 500))
    assert reply.text == Said().text
    assert reply.usage.source == "estimated"
    assert reply.usage.input_tokens == 625


def test_a_long_prompt_that_was_read_whole_is_fine(tried: Served) -> None:
    """The count fits the bytes, so it is believed."""
    tried.server.give(counted(3900))
    reply = tried.ask(long_ask("word " * 3800))
    assert (reply.usage.input_tokens, reply.usage.source) == (3900, "provider")


@given(st.integers(1, 20_000), st.integers(2, 5), st.integers(9, 30_000))
def test_a_prompt_read_whole_is_never_condemned(tokens: int, density: int, room: int) -> None:
    """Between two and five bytes a token, a prompt that leaves room is taken as whole."""
    asked = an_ask(message("user", "x" * tokens * density), window=tokens + room)
    assert not was_cut(asked, tokens)


@given(st.integers(600, 20_000), st.integers(3, 8), st.floats(1.05, 20))
def test_a_prompt_cut_to_half_is_always_found_out(window: int, density: int, times: float) -> None:
    """Whatever the text, half a window of a prompt that did not fit does not pass."""
    asked = an_ask(message("user", "x" * int(window * density * times)), window=window)
    assert was_cut(asked, window // 2 + 2)


def test_an_answer_written_over_the_window_is_cut(tried: Served) -> None:
    """A server that forgets the beginning while it writes gives no whole answer."""
    tried.server.give(counted(3000, 2000))
    assert tried.ask(long_ask("word " * 2800)).finish_reason == "length"


def test_an_error_in_the_middle_of_a_stream(tried: Served) -> None:
    """A line with an error ends the answer."""
    lines = [{"message": {"content": "a"}, "done": False}, {"error": "llama runner died"}]
    tried.server.give(Raw(body=b"".join(json.dumps(each).encode() + b"\n" for each in lines)))
    failure = tried.failure(stream=True)
    assert (failure.kind, failure.message) == ("unavailable", "an error: llama runner died")


def test_a_format_that_does_not_compile_is_told_in_words(tried: Served) -> None:
    """The request goes once more without it."""
    error = tried.server.api.error(500, "invalid JSON schema in format")
    tried.server.give(error, Said(pieces=("{}",)))
    assert tried.ask(an_ask(schema=SCHEMA)).text == "{}"
    assert "format" not in tried.body
    assert json.loads(tried.body["messages"][-1]["content"].splitlines()[-1]) == SCHEMA


def test_a_busy_server_may_be_asked_again(tried: Served) -> None:
    """Ollama says 503 where its queue is full."""
    words = "server busy, please try again.  maximum pending requests exceeded"
    tried.server.give(tried.server.api.error(503, words))
    assert tried.failure().kind == "unavailable"


@pytest.mark.parametrize("reason", ["load", "unload", 7])
def test_an_end_without_an_answer_is_none(tried: Served, reason: Any) -> None:
    """Loading a model ends with `done` too."""
    value = {"model": "m", "message": {"content": ""}, "done": True, "done_reason": reason}
    tried.server.give(as_json(value))
    assert tried.failure().kind == "malformed"


@pytest.mark.parametrize("found", [[[0.5, 1]], [], [[]], [[1, float("1e308") * 10]], "x"])
def test_embeddings_are_lists_of_numbers(tried: Served, found: Any) -> None:
    """A text too long to embed whole shall not be embedded in part."""
    tried.server.anything = as_json({"embeddings": found})
    provider = tried.provider
    assert isinstance(provider, Ollama)
    if found == [[0.5, 1]]:
        assert provider.embed("e", "text") == [0.5, 1.0]
        assert tried.body == {"model": "e", "input": "text", "truncate": False}
    else:
        with pytest.raises(Failure):
            provider.embed("e", "text")
