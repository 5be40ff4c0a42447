"""Secrets leave a text before it is kept or sent."""

from __future__ import annotations

import base64
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.redaction import redact, secrets_of

# Put together here, so that no scanner takes this file for a leak.
GITHUB = "ghp_" + "a1B2" * 9
KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    + "b3BlbnNzaC1r\n" * 9
    + "-----END OPENSSH PRIVATE KEY-----"
)
PAIR = base64.b64encode(b"bob:correct horse").decode()
JWT = ".".join(["eyJ" + "a" * 20, "eyJ" + "b" * 20, "c" * 40])


@pytest.mark.parametrize(
    "text, left",
    [
        (f"before {KEY} after", "before [redacted: private key] after"),
        ("id AKIA" + "ABCD" * 4, "id [redacted: AWS key id]"),
        (f"git clone with {GITHUB}!", "git clone with [redacted: GitHub token]!"),
        ("xoxb-" + "1234567890-abc", "[redacted: Slack token]"),
        ("AIza" + "x" * 35, "[redacted: Google key]"),
        ("use sk-proj-" + "a1" * 20, "use [redacted: API key]"),
        ("sk-ant-api03-" + "Zz9_" * 10, "[redacted: API key]"),
        (JWT, "[redacted: JWT]"),
        ("Authorization: Bearer " + "t0k3n" * 5, "Authorization: Bearer [redacted: bearer token]"),
        ("https://bob:hunter2@host/x", "https://bob:[redacted: password in a URL]@host/x"),
        ("password = 'correct horse'", "password = '[redacted: password]'"),
        ('"api_key": "abcdefgh"', '"api_key": "[redacted: password]"'),
        ("DB_PASSWORD=s3cretvalue", "DB_PASSWORD=[redacted: password]"),
        ("client_secret: s3cretvalue9", "client_secret: [redacted: password]"),
        ("HF_TOKEN=hf_" + "aB1c" * 8, "HF_TOKEN=[redacted: Hugging Face token]"),
        ("gsk_" + "a1" * 26, "[redacted: Groq key]"),
        ("xai-" + "a1" * 40, "[redacted: xAI key]"),
        ("AGE-SECRET-KEY-1" + "Q" * 58, "[redacted: age key]"),
        ("TOKEN=abcd1234efgh5678", "TOKEN=[redacted: token]"),
        ("  MY_TOKEN: 'abcd1234'", "  MY_TOKEN: '[redacted: token]'"),
        ("token = 'abcd1234efgh5678'", "token = '[redacted: token]'"),
        ("SMTP_PASS=hunter2!abc", "SMTP_PASS=[redacted: password]"),
        ("APP_PASS='hunter2!abc'", "APP_PASS='[redacted: token]'"),
        (f"AccountKey=Eby8{'d1' * 30}==;X=y", "AccountKey=[redacted: password];X=y"),
        ("define('DB_PASSWORD', 'hunter');", "define('DB_PASSWORD', '[redacted: password]');"),
        ('#define WIFI_PASS "hunter two"', '#define WIFI_PASS "[redacted: password]"'),
        (f'"auth": "{PAIR}"', '"auth": "[redacted: basic authorization]"'),
        (f"Authorization: Basic {PAIR}", "Authorization: Basic [redacted: basic authorization]"),
    ],
)
def test_E04_well_known_shapes_are_taken_out(text: str, left: str) -> None:
    """The kind is said in the secret's place, and what stands around it stays."""
    found = redact(text)
    assert found.text == left
    assert len(found.names) == 1


@pytest.mark.parametrize(
    "text",
    [
        "password = os.environ['DB_PASSWORD']",
        "def login(password: str) -> None:",
        "secret = get_secret(name)",
        "https://example.com:8080/path@2x.png",
        "task-force sk-ip the next AKIA",
        "if '-----BEGIN PRIVATE KEY-----' in text: return",
        "token = self.lexer.next_token2",
        "TOKEN = base64.b64decode(text)",
        "GITHUB_TOKEN: ${{ secrets.GITHUB_TOKEN }}",
        "tokenizer = 'Qwen/Qwen2.5-Coder-7B'",
        "max_tokens: 16000000",
        "PASS: tests/test_a1.py",
        "fields = ['password', 'username']",
        '"auth": "required"',
        "Authorization: Basic credentials",
        "hf_hub_download(repo)",
        "sha256:" + "a" * 64,
        "commit 4f1c09d2a7e35b8c6f0192a3b4c5d6e7f8091a2b",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    """Code that handles secrets, digests and addresses without a password are no secrets."""
    assert redact(text).text == text
    assert redact(text).names == ()


@given(
    st.text(st.characters(codec="utf-8"), min_size=6, max_size=40).filter(
        lambda value: len(value.strip()) >= 6
    ),
    st.binary(max_size=7),
    st.binary(max_size=7),
)
def test_E04_a_known_value_is_found_in_every_form(value: str, head: bytes, tail: bytes) -> None:
    """Plain, in hexadecimal, in a URL, and in base64 whatever stands before and after it."""
    data = value.encode()
    for form in (value, data.hex(), quote(value, safe="")):
        assert "[redacted: secret]" in redact(f"<{form}>", [value]).text
    encoded = base64.b64encode(head + data + tail).decode()
    assert "[redacted: secret]" in redact(encoded, [value]).text


def test_E04_the_environment_tells_which_values_are_secret() -> None:
    """By the names of variables; a path to a key and a value of few characters are none."""
    environment = {
        "GEMINI_API_KEY": "made-of-words-only",
        "PLANLOCK_ROUTER_TOKEN": "another-such-value",
        "PLANLOCK_KEY": "~/.ssh/id_ed25519",
        "PLANLOCK_RUNNER_KEY": "/etc/planlock/runner_key",
        "SIGNING_KEY": "key::ssh-ed25519 AAAA",
        "TOKEN": "test",
        "EDITOR": "/usr/bin/an-editor",
    }
    assert secrets_of(environment) == ("made-of-words-only", "another-such-value")
    found = redact("is made-of-words-only here?", secrets_of(environment))
    assert found.text == "is [redacted: secret] here?"


def test_short_values_are_not_looked_for() -> None:
    """A value of a few characters would blacken innocent text."""
    assert redact("abc abc", ["abc"]).text == "abc abc"


@given(st.text(max_size=200))
def test_what_is_redacted_stays_so(text: str) -> None:
    """Doing it twice changes nothing more."""
    once = redact(text).text
    assert redact(once).text == once


@pytest.mark.parametrize(
    "text",
    [
        "eyJ" + "a" * 300_000,
        "eyJaaaaaaaa." * 30_000,
        "-----BEGIN PRIVATE KEY-----" * 10_000,
        "password" * 40_000,
        "password=" * 40_000,
        "a://" * 80_000,
        "a" * 300_000 + "://",
        "sk-" * 100_000,
        "secret" + " " * 300_000,
        "TOKEN=" * 50_000,
        "TOKEN=" + "a" * 300_000,
        "token='" * 50_000,
        "token='" + "a1" * 150_000,
        "define " * 50_000,
        "define('" + "PASS" * 75_000,
        "authorization:basic " * 15_000,
        '"auth":"' + "a" * 300_000,
        "hf_" * 100_000,
        "AGE-SECRET-KEY-1" * 20_000,
    ],
)
def test_no_text_is_slow(text: str) -> None:
    """Texts made to make patterns go back and forth take no longer than others."""
    started = time.monotonic()
    redact(text)
    assert time.monotonic() - started < 5
