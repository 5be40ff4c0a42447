"""Who may ask the router over HTTP, and what of a request comes to light elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from router_service import OPEN, StandIn, answer, app_over, service_over, serving

from runner.api import router_app
from runner.core.errors import UsageError
from runner.core.model_call import Answer, Request
from runner.verbs.router import Access, access

TOKEN = "0123456789abcdef-token"
ANY = "0.0.0.0"  # noqa: S104  # nothing listens there
ASK = {"messages": [{"role": "user", "content": "my secret prompt"}]}
GUARDED = Access(token=TOKEN, hosts=frozenset({"127.0.0.1"}))


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """A service that asks for a token."""
    with serving(app_over(access=GUARDED)) as url:
        yield url


@pytest.fixture(scope="module")
def loopback() -> Iterator[str]:
    """A service that knows the names of loopback, and asks for no token."""
    with serving(app_over()) as url:
        yield url


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ü"]
)
def test_without_the_token_nobody_asks(guarded: str, header: str) -> None:
    """A missing or wrong token is 401 wherever calls or their counts are told."""
    headers = {b"authorization": header.encode("latin-1")} if header else {}
    with httpx.Client(headers=headers) as client:
        refused = client.post(f"{guarded}/v1/complete", json=ASK)
        assert refused.status_code == client.get(f"{guarded}/metrics").status_code == 401
        assert refused.json()["code"] == "unauthorized"
        assert refused.headers["www-authenticate"] == "Bearer"
        for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
            assert client.get(guarded + path).status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_token_opens(guarded: str, scheme: str) -> None:
    """The right token is let in, whatever the case of its scheme."""
    headers = {"authorization": f"{scheme} {TOKEN}"}
    assert httpx.post(f"{guarded}/v1/complete", json=ASK, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host,status",
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("127.0.0.1:80", 200),
        ("127.0.0.1.", 200),
        ("evil.example:8000", 403),
        ("localhost.evil.example", 403),
        ("[::2]:80", 403),
        ("", 403),
    ],
)
def test_a_name_that_is_not_ours_is_refused(loopback: str, host: str, status: int) -> None:
    """A page whose name was made to resolve to loopback reaches nothing (DNS rebinding)."""
    headers = {"host": host}
    response = httpx.post(f"{loopback}/v1/complete", json=ASK, headers=headers)
    assert response.status_code == status
    assert httpx.get(f"{loopback}/healthz", headers=headers).status_code == status


def test_loopback_needs_no_token() -> None:
    """On loopback the names of loopback are served."""
    assert access("127.0.0.1", {}) == access("localhost", {})
    assert access("::1", {}).hosts == frozenset({"localhost", "127.0.0.1", "::1"})
    assert access("127.0.0.1", {}).token is None


@pytest.mark.parametrize("host", [ANY, "::", "192.0.2.7", "router.example"])
def test_elsewhere_a_token_is_needed(host: str) -> None:
    """What others can reach does not start without a token."""
    with pytest.raises(UsageError, match=r"it needs a token") as caught:
        access(host, {"PLANLOCK_ROUTER_TOKEN": ""})
    assert "PLANLOCK_ROUTER_TOKEN=" in caught.value.hint
    assert access(host, {"PLANLOCK_ROUTER_TOKEN": TOKEN}).token == TOKEN


@pytest.mark.parametrize(
    "token", ["short", "with a space in the middle", "é" * 20, "x" * 20 + "\n"]
)
def test_a_token_that_is_easily_guessed_or_cannot_be_sent_is_refused(token: str) -> None:
    """A token has 16 ASCII characters or more and no blanks, also on loopback."""
    with pytest.raises(UsageError, match="PLANLOCK_ROUTER_TOKEN"):
        access("127.0.0.1", {"PLANLOCK_ROUTER_TOKEN": token})


def test_other_names_are_served_if_told() -> None:
    """Behind a token any address of the machine serves, or its names alone if some are named."""
    environment = {"PLANLOCK_ROUTER_TOKEN": TOKEN}
    assert access(ANY, environment).hosts is None
    assert "router.example" in (
        access("192.0.2.7", environment, names=["Router.Example"]).hosts or ()
    )
    named = access(ANY, environment, names=["router.example"]).hosts
    assert named is not None
    assert "other.example" not in named


def test_a_bug_is_told_without_its_words(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """An unforeseen error is a 500, and neither answer nor log quote the prompt."""

    def act(request: Request) -> Answer:
        raise LookupError(request.messages[0].content)

    with caplog.at_level(logging.DEBUG), serving(app_over(act)) as url:
        response = httpx.post(f"{url}/v1/complete", json=ASK)
        assert response.status_code == 500
        assert response.json()["code"] == "bug"
        assert 'status="bug"} 1.0' in httpx.get(f"{url}/metrics").text
    logged = caplog.text + "".join(capfd.readouterr())
    assert "LookupError" in logged
    assert Path(__file__).name in logged
    assert "secret prompt" not in logged + response.text


def test_the_log_tells_of_calls_and_not_what_they_say(caplog: pytest.LogCaptureFixture) -> None:
    """A line has endpoint, kind, status, model and cost; no prompt, answer, token or query."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    with caplog.at_level(logging.DEBUG), serving(app_over(access=GUARDED)) as url:
        httpx.post(f"{url}/v1/complete?key=hidden", json=ASK, headers=headers)
        httpx.post(f"{url}/v1/complete", json={**ASK, "x": "hidden"}, headers=headers)
    assert "complete custom: 200 " in caplog.text
    assert "fake/m1-2026, miss, 0.002 USD" in caplog.text
    assert "complete none: 400 bad_request" in caplog.text
    ours = "\n".join(each.getMessage() for each in caplog.records if each.name != "httpx")
    assert not [each for each in ("secret", "four", "hidden", TOKEN) if each in ours]


def test_the_app_closes_its_router() -> None:
    """When the service ends, so does the router under it."""
    models = StandIn(answer)
    with serving(router_app.create(service_over(models), access=OPEN)):
        assert not models.closed
    assert models.closed
