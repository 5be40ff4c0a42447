"""Taking secrets out of a text."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from runner.core import redaction
from runner.core.redaction import Redacted
from tests.fuzz import secret_forms
from tests.fuzz.secret_cases import Case, is_far_from

MAX_LENGTH = 300
TOKENS = (
    *(
        b"\0",
        b"\n",
        b"\x01r",
        b"\x01h",
        b"\x01b",
        b"\x02b",
        b"\x02u",
        b"correct horse",
        b"p4ss/w0rd+1",
    ),
    *(b"password = '", b"'", b"token=", b"ghp_", b"AKIA", b"-----BEGIN PRIVATE KEY-----", b"eyJ"),
    *(
        b"https://bob:",
        b"@host",
        b"Bearer ",
        b"Authorization: Basic ",
        b"[redacted: secret]",
        b"%2F",
    ),
    *(b"\xc3\xa9\xc3\xbc\xc3\x9f", b"\xf0\x9f\x98\x80", b"\\", b'"'),
)


def check(
    data: bytes, *, redact: Callable[[str, Iterable[str]], Redacted] = redaction.redact
) -> None:
    """No form of a value stays, doing it twice changes nothing, and other text stays as it is."""
    case = Case.read(data)
    found = redact(case.text, case.values)
    for value in case.values:
        for form in secret_forms.plain_forms(value):
            assert form not in found.text, "a secret stays"
    assert redact(found.text, case.values).text == found.text, "twice"
    assert bool(found.names) == (found.text != case.text)
    if is_far_from(case.text, case.values):
        assert found == redact(case.text, ()), "harmless text changes"
