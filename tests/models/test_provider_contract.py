"""What every adapter promises, tried against servers that speak the providers' published APIs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from provider_cases import Served, an_ask, opened, served
from provider_server import KEY, Api, Raw, Said, Silence
from provider_server_gemini import GeminiApi
from provider_server_ollama import OllamaApi
from provider_server_openai import OpenAiApi

from runner.models.contract import Failure
from runner.models.http import MAX_BODY

BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture(params=[OpenAiApi, GeminiApi, OllamaApi], ids=["openai", "gemini", "ollama"])
def api(request: pytest.FixtureRequest) -> Any:
    return request.param()


@pytest.fixture
def tried(api: Api) -> Iterator[Served]:
    with served(api) as found:
        yield found


def test_streaming_gives_the_same_answer(tried: Served) -> None:
    """Text, usage, model and finish are the same whether an answer comes whole or in pieces."""
    tried.server.give(Said(), Said())
    whole = tried.ask()
    streamed, heard = tried.streamed()
    assert whole == streamed
    assert (whole.text, "".join(heard)) == (Said().text, Said().text)
    assert len(heard) == 3
    assert (whole.finish_reason, whole.response_model) == ("stop", "model-1-2026")
    usage = whole.usage
    assert (usage.input_tokens, usage.output_tokens, usage.source) == (40, 12, "provider")
    assert whole.raw_usage


@BOTH
def test_thoughts_stay_out_of_the_text(tried: Served, *, stream: bool) -> None:
    """Thinking in its own field, and thinking in tags at the beginning, is no answer."""
    tagged = ("\n<th", "ink>Let me </", "think", ">\n\n", "It is <think>", "</think>")
    tried.server.give(Said(thoughts="Hm."), Said(pieces=tagged))
    replies = [tried.streamed()[0] if stream else tried.ask() for _ in range(2)]
    assert [each.text for each in replies] == [Said().text, "It is <think></think>"]


@BOTH
def test_an_answer_cut_by_length_says_so(tried: Served, *, stream: bool) -> None:
    """JSON that a grammar left unfinished comes as it is, with the reason."""
    tried.server.give(Said(pieces=('{"g": ', '"Hel'), finish="length"))
    reply = tried.streamed()[0] if stream else tried.ask()
    assert (reply.text, reply.finish_reason) == ('{"g": "Hel', "length")


@BOTH
def test_thoughts_that_used_the_length_up_are_no_failure(tried: Served, *, stream: bool) -> None:
    """An empty answer cut by length is one, so that another model may be asked."""
    tried.server.give(Said(pieces=("<think>On and on",), finish="length"))
    reply = tried.streamed()[0] if stream else tried.ask()
    assert (reply.text, reply.finish_reason, reply.usage.output_tokens) == ("", "length", 12)


@BOTH
def test_an_empty_answer_is_none_but_was_paid(tried: Served, *, stream: bool) -> None:
    """Nothing, properly finished, is malformed, and its tokens are told."""
    tried.server.give(Said(pieces=("",)))
    failure = tried.failure(stream=stream)
    assert failure.kind == "malformed"
    assert failure.usage
    assert failure.usage.input_tokens == 40


@BOTH
def test_too_many_requests_wait_as_told(tried: Served, *, stream: bool) -> None:
    """Retry-After counts as seconds, or as a date against the server's own clock."""
    date = {"date": "Sun, 22 Nov 2026 10:00:00 GMT", "retry-after": "Sun, 22 Nov 2026 10:00:07 GMT"}
    body = tried.server.api.error(429, "Slow down").body
    for headers in ({"retry-after": "3"}, date, {"retry-after": "soon"}, {"retry-after": "-4"}):
        tried.server.give(Raw(status=429, headers=headers, body=body))
    found = [tried.failure(stream=stream) for _ in range(4)]
    assert [each.kind for each in found] == ["rate_limited"] * 4
    assert [each.retry_after_s for each in found] == [3.0, 7.0, None, 0.0]
    assert "Slow down" in found[0].message


@pytest.mark.parametrize(
    "status, kind",
    [
        *[(400, "refused"), (404, "refused"), (408, "timeout"), (413, "context_too_long")],
        *[(500, "unavailable"), (501, "refused"), (503, "unavailable"), (529, "unavailable")],
    ],
)
def test_statuses_are_told_apart(tried: Served, status: int, kind: str) -> None:
    """Whether to try again, elsewhere or never depends on the status."""
    tried.server.give(Raw(status=status, body=b'{"error": {"message": "because"}}'))
    failure = tried.failure()
    assert (failure.kind, failure.message) == (kind, f"HTTP {status}: because")


def test_an_unknown_model_is_refused(tried: Served) -> None:
    """The provider's own words are shown."""
    failure = tried.failure(an_ask(model="no-such"))
    assert failure.kind == "refused"
    assert "no-such" in failure.message


def test_the_key_travels_in_a_header_alone(tried: Served) -> None:
    """Neither address nor body hold it, and the program names itself."""
    tried.ask()
    seen = tried.server.seen[-1]
    assert [name for name, value in seen.headers.items() if KEY in value] in (
        ["authorization"],
        ["x-goog-api-key"],
    )
    assert KEY not in f"{seen.path}{seen.body}"
    assert seen.headers["user-agent"].startswith("planlock/")


def test_a_key_that_an_error_repeats_is_not_shown(tried: Served) -> None:
    """Hidden characters are escaped, the key is cut out, and the length is bounded."""
    message = f"bad key {KEY}\x1b[2J\n" + "x" * 5000
    tried.server.give(tried.server.api.error(401, message))
    failure = tried.failure()
    assert failure.message.startswith("HTTP 401: bad key [key]\\x1b[2J xxx")
    assert len(failure.message) < 400


def test_a_redirect_is_not_followed(tried: Served) -> None:
    """Where a server redirects to, the key would go."""
    tried.server.give(Raw(status=307, headers={"location": "/elsewhere"}))
    failure = tried.failure()
    assert (failure.kind, len(tried.server.seen)) == ("refused", 1)
    assert "redirects" in failure.message


def test_netrc_gives_nothing_away(
    tried: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passwords of `.netrc` are no business of a provider, nor of a proxy, on this machine."""
    path = tmp_path / "netrc"
    path.write_text("default login eve password hunter2\n")
    monkeypatch.setenv("NETRC", str(path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    tried.ask()
    sent = tried.server.seen[-1].headers
    assert "Basic" not in str(sent)


def test_nobody_listens(api: Api) -> None:
    """A closed port is unreachable; the message names it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        provider = opened(api.kind, f"http://127.0.0.1:{port}")
        failure = Served(None, provider).failure()  # type: ignore[arg-type]  # nobody serves
        provider.close()
    assert failure.kind == "unreachable"
    assert str(port) in failure.message


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "no address", "http://[::1", "http://127.0.0.1:99999", f"http://{'a' * 70}"],
)
def test_an_address_that_is_none_is_refused(api: Api, url: str) -> None:
    """Asking there is no crash."""
    provider = opened(api.kind, url)
    failure = Served(None, provider).failure()  # type: ignore[arg-type]  # nobody serves
    provider.close()
    assert failure.kind == "refused"


@BOTH
def test_a_connection_that_breaks_in_the_middle(tried: Served, *, stream: bool) -> None:
    """Half an answer is none, and may be had later."""
    tried.server.give(Said(broken=True))
    assert tried.failure(stream=stream).kind == "unavailable"


def test_a_stream_that_ends_too_early(tried: Served) -> None:
    """A stream without its end is broken even where the connection closed well."""
    pieces = b"".join(tried.server.api.stream(Said(broken=True)))
    tried.server.give(Raw(body=pieces))
    assert tried.failure(stream=True).kind == "unavailable"


@BOTH
def test_a_server_that_keeps_silent(tried: Served, *, stream: bool) -> None:
    """After the time given nobody waits on."""
    tried.server.give(Silence())
    failure = tried.failure(an_ask(timeout_s=0.1), stream=stream)
    assert failure.kind == "timeout"


@BOTH
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b"<html>502</html>", b'{"a": NaN}', b"\xff\xfe", b"[" * 99_999],
    ids=["nothing", "cut", "list", "empty", "page", "nan", "bytes", "deep"],
)
def test_an_answer_that_is_no_answer(tried: Served, body: bytes, *, stream: bool) -> None:
    """Whatever stands where JSON should, it is a failure and no crash."""
    tried.server.give(Raw(body=b"data: " + body + b"\n\n" if stream else body))
    assert tried.failure(stream=stream).kind in {"malformed", "unavailable"}


def test_a_page_of_html_is_not_repeated(tried: Served) -> None:
    """A proxy's error page is told as what it is."""
    tried.server.give(Raw(status=502, body=b"<html><script>x</script></html>"))
    failure = tried.failure()
    assert failure.kind == "unavailable"
    assert failure.message == "HTTP 502: a page of HTML instead of an error in JSON"


@BOTH
def test_an_endless_answer_is_cut_short(tried: Served, *, stream: bool) -> None:
    """A body over the bound is malformed; nobody holds all of it."""
    tried.server.give(Raw(body=b"{" + b" " * (MAX_BODY + 1)))
    assert tried.failure(stream=stream).kind == "malformed"


def test_a_compressed_answer_is_not_unpacked(tried: Served) -> None:
    """Nobody asked for one, and it could be a bomb."""
    tried.server.give(Raw(headers={"content-encoding": "gzip"}, body=b"\x1f\x8b"))
    assert tried.failure().kind == "malformed"
    assert tried.server.seen[-1].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("lie", [-5, "12", None, 1.5, True, 10**30, [1]])
def test_lies_about_usage_are_not_believed(tried: Served, lie: Any) -> None:
    """Counts that cannot be are replaced by an estimate, and never negative."""
    names = ("prompt_tokens", "completion_tokens", "promptTokenCount", "candidatesTokenCount")
    usage = dict.fromkeys((*names, "totalTokenCount", "prompt_eval_count", "eval_count"), lie)
    tried.server.give(Said(usage=usage))
    usage_told = tried.ask().usage
    assert usage_told.source == "estimated"
    assert 0 < usage_told.input_tokens < 100
    assert 0 < usage_told.output_tokens < 100


def test_models_are_listed(tried: Served) -> None:
    """Only names that can be shown, and models that answer."""
    assert next(iter(tried.provider.offered())) == "model-1"


def test_a_list_of_models_that_is_none(tried: Served) -> None:
    """A server that speaks something else is found out."""
    tried.server.anything = Raw(body=b"{}")
    with pytest.raises(Failure, match="list of models that is none"):
        tried.provider.offered()
