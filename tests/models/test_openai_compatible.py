"""What is particular to OpenAI's API and to the servers that imitate it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from provider_cases import QUESTION, SCHEMA, Served, an_ask, message, served
from provider_server import Raw, Said, as_json
from provider_server_openai import OpenAiApi

from runner.models.contract import Failure
from runner.models.http import Wire
from runner.models.openai_compatible import OPENAI, OpenAiCompatible

GRAMMAR = "Failed to initialize samplers: failed to parse grammar"
CONVERSION = (
    "Unable to generate parser for this template. Automatic parser generation failed: JSON schema"
    " conversion failed:\nPattern must start with '^' and end with '$'"
)


@pytest.fixture
def tried() -> Iterator[Served]:
    with served(OpenAiApi()) as found:
        yield found


def body_for(url: str, **changes: Any) -> Any:
    """The request that goes to a server at `url`."""
    return OpenAiCompatible("tried", Wire(url))._body(an_ask(**changes), stream=True)  # noqa: SLF001  # the real host is not asked


def test_a_request_says_all_that_is_asked(tried: Served) -> None:
    """Model, messages, limit, temperature and seed go as given; what is not given is left out."""
    talk = [message(role, role) for role in ("system", "user", "assistant", "user")]
    tried.ask(an_ask(*talk, temperature=0.0, seed=7))
    assert tried.body == {
        "model": "model-1",
        "messages": [{"role": each.role, "content": each.content} for each in talk],
        "max_tokens": 64,
        "temperature": 0.0,
        "seed": 7,
    }
    tried.streamed()
    assert "temperature" not in tried.body
    assert tried.body["stream_options"] == {"include_usage": True}


def test_openai_itself_takes_another_name_for_the_limit() -> None:
    """Its newer models refuse `max_tokens`; others know nothing else."""
    assert body_for(OPENAI)["max_completion_tokens"] == 64
    assert body_for("https://openrouter.ai/api/v1")["usage"] == {"include": True}
    assert body_for("http://127.0.0.1:1/v1")["max_tokens"] == 64


def test_strict_is_asked_only_of_schemas_that_qualify() -> None:
    """OpenAI refuses a strict schema with lengths or optional properties."""
    strict = body_for(OPENAI, schema=SCHEMA)["response_format"]["json_schema"]
    assert strict["strict"] is True
    assert strict["schema"]["properties"] == {"g": {"type": "string"}}
    loose = {**SCHEMA, "required": []}
    told = body_for(OPENAI, schema=loose, schema_name="plan")["response_format"]["json_schema"]
    assert told == {"name": "plan", "strict": False, "schema": loose}


def test_a_grammar_gets_bounds_that_it_can_count_to(tried: Served) -> None:
    """llama.cpp refuses repetitions from 2000 on: such bounds stay out, smaller ones stay."""
    schema = {"type": "array", "maxItems": 500, "items": {"type": "string", "maxLength": 2000}}
    tried.server.give(Said(pieces=('["a"]',)))
    tried.ask(an_ask(schema=schema))
    sent = tried.body["response_format"]["json_schema"]["schema"]
    assert sent == {"type": "array", "maxItems": 500, "items": {"type": "string"}}


@pytest.mark.parametrize("words", [GRAMMAR, CONVERSION])
def test_a_grammar_that_does_not_compile_is_told_in_words(tried: Served, words: str) -> None:
    """The request goes once more without it, with the schema at the end of the question."""
    tried.server.give(tried.server.api.error(400, words), Said(pieces=('{"g": "a"}',)))
    assert tried.ask(an_ask(schema=SCHEMA)).text == '{"g": "a"}'
    assert "response_format" not in tried.body
    last = tried.body["messages"][-1]["content"]
    assert last.startswith(QUESTION)
    assert json.loads(last.splitlines()[-1]) == SCHEMA
    tried.server.give(*[tried.server.api.error(400, words)] * 2)
    assert tried.failure(an_ask(schema=SCHEMA)).kind == "refused"


@pytest.mark.parametrize(
    "name, words",
    [
        ("temperature", "Unsupported value: 'temperature' does not support 0 with this model."),
        ("seed", "Unsupported parameter: 'seed' is not supported with this model."),
        ("stream_options", "body.stream_options: Extra inputs are not permitted"),
    ],
)
def test_a_parameter_that_is_not_supported_is_left_out(
    tried: Served, name: str, words: str
) -> None:
    """Reasoning models take no temperature, old servers no options of streams."""
    tried.server.give(tried.server.api.error(400, words), Said())
    reply, _ = tried.streamed(an_ask(temperature=0.0, seed=1))
    assert reply.text == Said().text
    before, after = (seen.body for seen in tried.server.seen)
    assert before.keys() - after.keys() == {name}


def test_a_limit_under_its_new_name(tried: Served) -> None:
    """A proxy of OpenAI's newer models says how it wants the limit to be called."""
    words = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    tried.server.give(tried.server.api.error(400, words), Said())
    tried.ask()
    assert tried.body["max_completion_tokens"] == 64
    assert "max_tokens" not in tried.body


@pytest.mark.parametrize(
    "status, error",
    [
        (
            400,
            {
                "code": 400,
                "message": "request (12030 tokens) exceeds the available context size (8192"
                " tokens), try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 12030,
                "n_ctx": 8192,
            },
        ),
        (400, {"message": "too many", "code": "context_length_exceeded"}),
        (
            400,
            {
                "object": "error",
                "message": "This model's maximum context length is 4096 tokens. However, you"
                " requested 5000 tokens (4000 in the messages, 1000 in the completion).",
                "code": 400,
            },
        ),
        (429, {"message": "Request too large for gpt-x: Limit 30000, Requested 40000"}),
    ],
    ids=["llama-server", "openai", "vllm", "per-minute"],
)
def test_a_context_overflow_is_told_apart(tried: Served, status: int, error: Any) -> None:
    """A model with a larger window may serve: no retry, no other fault."""
    tried.server.give(as_json({"error": error}, status=status))
    failure = tried.failure(an_ask(schema=SCHEMA), stream=True)
    assert failure.kind == "context_too_long"
    assert len(tried.server.seen) == 1


def test_an_empty_purse_is_no_rate_limit(tried: Served) -> None:
    """Status 429 for a quota that is used up would be retried in vain."""
    error = tried.server.api.error(429, "You exceeded your quota", code="insufficient_quota")
    tried.server.give(error)
    assert tried.failure().kind == "refused"


def test_milliseconds_to_wait_are_read(tried: Served) -> None:
    """OpenAI tells them more exactly than `Retry-After` can."""
    headers = {"retry-after": "1", "retry-after-ms": "250"}
    tried.server.give(Raw(status=429, headers=headers, body=b"{}"))
    assert tried.failure().retry_after_s == 0.25


def test_cached_and_reasoning_tokens_are_parts_of_the_totals(tried: Served) -> None:
    """Parts larger than their total are cut to it."""
    tried.server.give(Said(cached=24, reasoning=5), Said(cached=99, reasoning=99))
    first, second = tried.ask().usage, tried.ask().usage
    assert (first.cache_read_input_tokens, first.reasoning_output_tokens) == (24, 5)
    assert (first.input_tokens, first.output_tokens) == (40, 12)
    assert (second.cache_read_input_tokens, second.reasoning_output_tokens) == (40, 12)


def test_thoughts_that_only_the_total_counts_are_output(tried: Served) -> None:
    """Some servers leave thoughts out of `completion_tokens`, but bill them."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115}
    tried.server.give(Said(usage=usage))
    assert tried.ask().usage.output_tokens == 105


@pytest.mark.parametrize(
    "cost, read",
    [(0.0000125, "0.0000125"), (0, "0"), (-1, None), ("1", None), (True, None), (1e12, None)],
)
def test_the_price_that_a_provider_names_is_reported(
    tried: Served, cost: Any, read: str | None
) -> None:
    """OpenRouter's `usage.cost` is money in USD; what cannot be a price is none."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "cost": cost}
    tried.server.give(Said(usage=usage))
    assert tried.ask().cost_usd == (None if read is None else Decimal(read))


def test_a_refusal_is_told_as_one(tried: Served) -> None:
    """The model's reason stands in the text; a filter's silence is a refusal too."""
    whole = tried.server.api.whole(Said(pieces=()))
    whole["choices"][0]["message"] = {"role": "assistant", "content": None, "refusal": "I can't."}
    tried.server.give(as_json(whole), Said(finish="refused"))
    refused, filtered = tried.ask(), tried.ask()
    assert (refused.text, refused.finish_reason) == ("I can't.", "refused")
    assert filtered.finish_reason == "refused"


def test_a_character_split_over_two_events_is_joined(tried: Served) -> None:
    """Half of an escaped surrogate pair waits for the other; a lone one is replaced."""
    halves = [b'{"content":"a\\ud83d"}', b'{"content":"\\ude00b"}', b'{"content":"\\ud83d"}']
    body = b"".join(
        b'data: {"choices":[{"index":0,"delta":%s,"finish_reason":null}]}\n\n' % each
        for each in halves
    )
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    tried.server.give(Raw(body=b": OPENROUTER PROCESSING\n\n" + body + end))
    reply, heard = tried.streamed()
    assert reply.text == "a😀b\ufffd"
    assert heard == ["a", "😀b", "\ufffd"]
    assert reply.usage.source == "estimated"


def test_a_line_separator_in_a_text_ends_no_line(tried: Served) -> None:
    """U+2028 may stand in JSON as it is."""
    tried.server.give(Said(pieces=("a\u2028b\x85", "c\r\n")))
    assert tried.streamed()[0].text == "a\u2028b\x85c\r\n"


@pytest.mark.parametrize(
    "event, kind",
    [
        (b'data: {"error": {"code": 429, "message": "slow down"}}', "rate_limited"),
        (b'error: {"error": {"code": 500, "message": "slot lost"}}', "unavailable"),
        (b'data: {"choices": [{"error": {"code": 502, "message": "x"}}]}', "unavailable"),
        (b'data: {"error": "context window is full"}', "context_too_long"),
        (b"data: {not json", "malformed"),
    ],
)
def test_an_error_in_the_middle_of_a_stream(tried: Served, event: bytes, kind: str) -> None:
    """Status 200 has been sent long since; the error's own code counts."""
    start = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    tried.server.give(Raw(body=start + event + b"\n\n"))
    assert tried.failure(stream=True).kind == kind


def test_usage_of_a_broken_stream_is_told_where_known(tried: Served) -> None:
    """What was counted before the connection broke has been paid."""
    usage = {"prompt_tokens": 11, "completion_tokens": 3}
    start = json.dumps({"choices": [{"delta": {"content": "abc"}}], "usage": usage}).encode()
    tried.server.give(Raw(body=b"data: " + start + b"\n\n", broken=True), Said(broken=True))
    known, unknown = tried.failure(stream=True), tried.failure(stream=True)
    assert known.usage
    assert known.usage.input_tokens == 11
    assert unknown.usage is None


def test_a_dripping_server_meets_the_deadline() -> None:
    """Each piece in time does not make the whole in time."""
    ticks = iter(range(0, 1000, 3))
    with served(OpenAiApi()) as found:
        headers = {"authorization": "Bearer sk-THE-SECRET-KEY-0123456789"}
        wire = Wire(found.server.url, headers=headers, monotonic=lambda: float(next(ticks)))
        slow = OpenAiCompatible("slow", wire)
        with pytest.raises(Failure) as caught:
            slow.ask(an_ask(timeout_s=5), lambda _text: None)
        slow.close()
    assert caught.value.kind == "timeout"


@pytest.mark.parametrize("finish", ["tool_calls", "\x1b[2J"])
def test_an_unknown_end_is_malformed(tried: Served, finish: str) -> None:
    """No tools were offered, so none can be called."""
    whole = tried.server.api.whole(Said())
    whole["choices"][0]["finish_reason"] = finish
    tried.server.give(as_json(whole))
    failure = tried.failure()
    assert failure.kind == "malformed"
    assert "\x1b" not in failure.message


def test_an_enormous_account_of_tokens_is_not_kept(tried: Served) -> None:
    """The raw usage goes into the store: it is bounded."""
    tried.server.give(Said(usage={"prompt_tokens": 1, "completion_tokens": 2, "x": "y" * 9000}))
    reply = tried.ask()
    assert (reply.raw_usage, reply.usage.input_tokens) == ({}, 1)


@pytest.mark.parametrize("data", [[{"embedding": [0.5, -1, 2]}], [], [{"embedding": ["a"]}], None])
def test_embeddings_are_lists_of_numbers(tried: Served, data: Any) -> None:
    """Anything else is malformed."""
    tried.server.anything = as_json({"data": data})
    provider = tried.provider
    assert isinstance(provider, OpenAiCompatible)
    if data and data[0]["embedding"] != ["a"]:
        assert provider.embed("e", "text") == [0.5, -1.0, 2.0]
        assert tried.body == {"model": "e", "input": "text", "encoding_format": "float"}
    else:
        with pytest.raises(Failure, match="embedding"):
            provider.embed("e", "text")
