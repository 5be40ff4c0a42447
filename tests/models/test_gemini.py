"""What is particular to Gemini's own API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from provider_cases import SCHEMA, Served, an_ask, message, served
from provider_server import Raw, Said, as_json
from provider_server_gemini import GeminiApi

from runner.models.contract import Failure


@pytest.fixture
def tried() -> Iterator[Served]:
    with served(GeminiApi()) as found:
        yield found


def test_a_request_says_all_that_is_asked(tried: Served) -> None:
    """System messages stand apart, the assistant is the model, sampling has its place."""
    talk = [message(role, role) for role in ("system", "user", "assistant", "user")]
    tried.ask(an_ask(*talk, temperature=0.5, seed=7))
    assert tried.body == {
        "systemInstruction": {"parts": [{"text": "system"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "user"}]},
            {"role": "model", "parts": [{"text": "assistant"}]},
            {"role": "user", "parts": [{"text": "user"}]},
        ],
        "generationConfig": {"maxOutputTokens": 64, "temperature": 0.5, "seed": 7},
    }
    assert tried.server.seen[-1].path == "/v1beta/models/model-1:generateContent"


def test_instructions_alone_are_a_question(tried: Served) -> None:
    """Gemini refuses a request without contents."""
    tried.ask(an_ask(message("system", "Say hi.")))
    assert tried.body["contents"] == [{"role": "user", "parts": [{"text": "Say hi."}]}]
    assert "systemInstruction" not in tried.body


def test_a_models_name_cannot_bend_the_address(tried: Served) -> None:
    """It is quoted, and `models/` before it is understood."""
    tried.ask(an_ask(model="models/model-1"))
    tried.ask(an_ask(model="../x?a=1#"))
    assert [seen.path for seen in tried.server.seen] == [
        "/v1beta/models/model-1:generateContent",
        "/v1beta/models/..%2Fx%3Fa%3D1%23:generateContent",
    ]


def test_a_schema_goes_as_far_as_gemini_knows_it(tried: Served) -> None:
    """Unknown keywords are left out, and a constant is an enumeration of one."""
    schema = {**SCHEMA, "properties": {"g": {"const": "x"}, "maxLength": {"maxLength": 3}}}
    tried.server.give(Said(pieces=("{}",)))
    tried.ask(an_ask(schema=schema))
    config = tried.body["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    sent = config["responseJsonSchema"]
    assert sent == {**SCHEMA, "properties": {"g": {"enum": ["x"]}, "maxLength": {}}}


def test_a_schema_that_is_too_complex_is_told_in_words(tried: Served) -> None:
    """The answer stays JSON, without the constraint."""
    words = "The specified schema produces a constraint that has too many states for serving."
    tried.server.give(tried.server.api.error(400, words), Said(pieces=("{}",)))
    tried.ask(an_ask(schema=SCHEMA))
    config = tried.body["generationConfig"]
    assert "responseJsonSchema" not in config
    assert config["responseMimeType"] == "application/json"
    last = tried.body["contents"][-1]["parts"][0]["text"]
    assert json.loads(last.splitlines()[-1]) == SCHEMA
    tried.server.give(tried.server.api.error(400, "Invalid value at 'contents'"))
    assert tried.failure(an_ask(schema=SCHEMA)).kind == "refused"


def test_thoughts_are_output(tried: Served) -> None:
    """Output is the total without the prompt: `candidatesTokenCount` leaves thoughts unpaid."""
    tried.server.give(Said(written=112, reasoning=100, cached=30, thoughts="Hm."))
    usage = tried.ask().usage
    assert (usage.input_tokens, usage.output_tokens) == (40, 112)
    assert (usage.reasoning_output_tokens, usage.cache_read_input_tokens) == (100, 30)


@pytest.mark.parametrize(
    "usage, written",
    [
        ({"promptTokenCount": 40, "totalTokenCount": 90, "candidatesTokenCount": 10}, 50),
        ({"promptTokenCount": 40, "candidatesTokenCount": 9, "thoughtsTokenCount": 3}, 12),
        ({"promptTokenCount": 40, "totalTokenCount": 45, "candidatesTokenCount": 10}, 10),
    ],
    ids=["total", "parts", "the-larger"],
)
def test_output_never_counts_less_than_its_parts(tried: Served, usage: Any, written: int) -> None:
    """Whichever account is larger is believed."""
    tried.server.give(Said(usage=usage))
    assert tried.ask().usage.output_tokens == written


@pytest.mark.parametrize(
    "usage",
    [
        {"promptTokenCount": 40, "totalTokenCount": 12, "candidatesTokenCount": 10},
        {"promptTokenCount": 40, "totalTokenCount": 60, "candidatesTokenCount": -10},
        {"totalTokenCount": 60},
        "many",
    ],
    ids=["total-below-prompt", "negative", "no-prompt", "text"],
)
def test_an_account_that_contradicts_itself_is_estimated(tried: Served, usage: Any) -> None:
    """A total below the prompt cannot be."""
    tried.server.give(Said(usage=usage))
    found = tried.ask().usage
    assert found.source == "estimated"
    assert found.output_tokens > 0


@pytest.mark.parametrize(
    "reason, expected",
    [
        *[(each, "refused") for each in ("SAFETY", "RECITATION", "PROHIBITED_CONTENT", "SPII")],
        *[("MAX_TOKENS", "length"), ("MALFORMED_FUNCTION_CALL", None)],
    ],
)
def test_ends_are_told_apart(tried: Served, reason: str, expected: str | None) -> None:
    """A refusal is an answer; a malformed one is none, but was paid."""
    whole = tried.server.api.whole(Said())
    whole["candidates"][0] = {"finishReason": reason, "index": 0}
    tried.server.give(as_json(whole))
    if expected:
        assert tried.ask().finish_reason == expected
        return
    failure = tried.failure()
    assert failure.kind == "malformed"
    assert failure.usage


def test_a_blocked_prompt_has_no_candidates(tried: Served) -> None:
    """It is a refusal, with the prompt's tokens."""
    usage = {"promptTokenCount": 4, "totalTokenCount": 4}
    block = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": usage}
    tried.server.give(as_json(block))
    reply = tried.ask()
    assert (reply.text, reply.finish_reason, reply.usage.input_tokens) == ("", "refused", 4)
    tried.server.give(as_json({"usageMetadata": usage}))
    assert tried.failure().kind == "malformed"


def test_an_exhausted_resource_tells_when_to_come_back(tried: Served) -> None:
    """RetryInfo among the details counts where the header is missing, and yields to it."""
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "46.5s"}
    error = {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}
    value = {"error": error | {"details": [{"@type": "x"}, info]}}
    tried.server.give(as_json(value, status=429), as_json(value, status=429, retry_after="2"))
    first, second = tried.failure(), tried.failure(stream=True)
    assert (first.kind, first.retry_after_s) == ("rate_limited", 46.5)
    assert (second.kind, second.retry_after_s) == ("rate_limited", 2.0)
    # a stream's error may come as a list
    tried.server.give(Raw(status=429, body=json.dumps([value]).encode()))
    assert tried.failure(stream=True).retry_after_s == 46.5


def test_a_quota_of_zero_is_no_rate_limit(tried: Served) -> None:
    """A model that the tier does not include never comes back."""
    message_ = "Quota exceeded for metric: free_tier_requests, limit: 0, model: big"
    tried.server.give(tried.server.api.error(429, message_))
    assert tried.failure().kind == "refused"


def test_a_prompt_over_the_window_is_told_apart(tried: Served) -> None:
    """A model with a larger window may serve."""
    words = "The input token count (1300000) exceeds the maximum number of tokens allowed (1048575)"
    tried.server.give(tried.server.api.error(400, words))
    assert tried.failure(an_ask(schema=SCHEMA)).kind == "context_too_long"


def test_usage_of_a_broken_stream_is_told(tried: Served) -> None:
    """Every piece of Gemini's stream counts anew."""
    tried.server.give(Said(broken=True))
    failure = tried.failure(stream=True)
    assert failure.usage
    assert failure.usage.output_tokens == 12


def test_models_are_listed_page_by_page(tried: Served) -> None:
    """Only those that generate, by their short names."""
    assert tried.provider.offered() == ["model-1", "model-2"]
    assert "pageToken=two" in tried.server.seen[-1].path


def test_a_list_of_models_ends_somewhere(tried: Served) -> None:
    """A server that ever names a next page is not followed for ever."""
    tried.server.anything = as_json({"models": [], "nextPageToken": "more"})
    assert tried.provider.offered() == []
    assert len(tried.server.seen) < 50


def test_a_wrong_key_is_refused(tried: Served) -> None:
    """Gemini says 400 where others say 401."""
    error = tried.server.api.error(400, "API key not valid. Please pass a valid API key.")
    tried.server.anything = error
    with pytest.raises(Failure, match="API key not valid") as caught:
        tried.ask()
    assert caught.value.kind == "refused"
