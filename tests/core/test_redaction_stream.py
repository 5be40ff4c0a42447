"""A stream is redacted while it comes, with the same result as if it had come at once."""

from __future__ import annotations

import base64
import html
import json
import shlex
import textwrap
from collections.abc import Sequence
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner.core.redaction import redact
from runner.core.redaction_known import Known
from runner.core.redaction_stream import LONGEST_LINE, Redactor

VALUE = "Tr0ub4dor&3/'blå'+zz\"x"
LINES = "first-line-9182\nsecond-line-7364\n"
MARK = b"[redacted: secret]"
KEY = f"-----BEGIN PRIVATE KEY-----\n{'b3BlbnNzaC1r' * 5}\n-----END PRIVATE KEY-----"
# Pieces that meet in many ways, for values that overlap each other and themselves.
VALUES = ["abcabcabd", "cabdcc-xx", "é-\n-abc9", "ababab"]
PIECES = st.sampled_from(
    [
        *("ab", "c", "abcabcab", "d", "cabdc", "c-xx", "é", "-", "\n", "\r\n", "\n\n\n", " "),
        *("\\", "\\n", "\\\\r\\\\n", "n", ":", "\n  ", 40 * " ", 50 * " ", "61 6", "2 61:62"),
        *("YWJjYWJj", "YWJk", "YWJj", "FiY2FiY2", "FiZ", "6162", "636162", "63616264", "é-\n"),
        *("password=", "hunter22", "-----BEGIN PRIVATE KEY-----", "QUJD" * 12, "!"),
        *("-----END PRIVATE KEY-----", "AKIA", "ABCD" * 4, "https://u:", "@", "\ud800"),
    ]
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)


def stream(chunks: Sequence[bytes], values: Sequence[str]) -> bytes:
    redactor = Redactor(values)
    return b"".join([redactor.feed(chunk) for chunk in chunks] + [redactor.finish()])


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


def wrapped(text: str, width: int = 76, end: str = "\n") -> str:
    return end.join(textwrap.wrap(text, width))


def forms() -> dict[str, str]:
    data = VALUE.encode()
    long = base64.b64encode(b"before it " + data * 9 + b" and after it").decode()
    encoded = {
        f"base64 after {skip}": base64.b64encode(b"x" * skip + data + b"yz").decode()
        for skip in range(3)
    }
    return {
        **encoded,
        "base64url": base64.urlsafe_b64encode(b"?" + data).decode(),
        "base64 wrapped": wrapped(long),
        "base64 wrapped by CRLF": wrapped(long, 64, "\r\n"),
        "base64 in odd lines": wrapped(base64.b64encode(data).decode(), 5),
        "hex": data.hex(),
        "HEX": data.hex().upper(),
        "hex wrapped": wrapped(data.hex(), 7),
        "hex as od has it": "\n".join(f" {data[at : at + 8].hex(' ')}" for at in (0, 8, 16)),
        "hex with colons": data.hex(":"),
        "hex as xxd groups it": data.hex(" ", 2),
        "base64 indented": wrapped(base64.b64encode(data).decode(), 20, "\n" + 12 * " "),
        "base64 in JSON": json.dumps(wrapped(base64.b64encode(data).decode(), 20)),
        "base64 by tabs in JSON": json.dumps(wrapped(base64.b64encode(data).decode(), 20, "\n\t")),
        "base64 in JSON in JSON": json.dumps(json.dumps(wrapped(long[:400], 19, "\r\n"))),
        "URL": quote(VALUE, safe=""),
        "URL with slashes": quote(VALUE),
        "url": quote(VALUE, safe="").lower().replace("tr0", "Tr0"),
        "URL in a URL": quote(quote(VALUE, safe=""), safe=""),
        "form": quote_plus(VALUE),
        "every byte in a URL": "".join(f"%{each:02x}" for each in data),
        "JSON": json.dumps(VALUE),
        "JSON in JSON": json.dumps(json.dumps(VALUE)),
        "HTML": html.escape(VALUE).replace("å", "&#229;"),
        "HTML all in numbers": "".join(f"&#{ord(each)};" for each in VALUE),
        "HTML of a template": html.escape(VALUE).replace("&quot;", "&#34;").replace("x27", "39"),
        "HTML in hexadecimal": "".join(f"&#x{ord(each):X};" for each in VALUE),
        "JSON in UTF-8": json.dumps(VALUE, ensure_ascii=False),
        "JSON all in numbers": "".join(f"\\u{ord(each):04X}" for each in VALUE),
        "shell": shlex.quote(VALUE),
        "repr": repr(VALUE),
        "bytes": "".join(f"\\x{each:02x}" for each in data),
    }


@pytest.mark.parametrize("form", forms())
def test_E04_every_form_is_found_however_it_comes(form: str) -> None:
    """Encoded, escaped, wrapped: byte by byte as well as at once."""
    data = f"head {forms()[form]} tail\n".encode()
    whole = stream([data], [VALUE])
    assert MARK in whole
    assert whole.startswith(b"head ")
    assert whole.endswith(b" tail\n")
    assert stream([bytes([each]) for each in data], [VALUE]) == whole
    assert MARK not in stream([data], ["another-value-81"])


@pytest.mark.parametrize(
    "text", [LINES, "> second-line-7364 <", json.dumps(LINES), "first-line-9182\r\n"]
)
def test_E04_each_line_of_a_long_secret_is_one(text: str) -> None:
    """A key of many lines may be printed in part, or with other line ends."""
    said = stream([text.encode()], [LINES])
    assert MARK in said
    assert b"line" not in said


def test_E04_a_secret_over_two_writes_leaves_nothing_of_it() -> None:
    """What may be the beginning of a secret waits, and all else goes on at once."""
    redactor = Redactor(["open-sesame-77"])
    assert redactor.feed(b"one\ntwo open-ses") == b"one\n"
    assert redactor.feed(b"ame-77 three\n") == b"two [redacted: secret] three\n"
    assert redactor.feed(b"open-season\n") == b"open-season\n"
    assert redactor.finish() == b""


@pytest.mark.parametrize("gap", ["\n", " ", "\\n", "\\\\r\\\\n", ":", "\t\\"])
def test_what_lies_beyond_a_wide_gap_is_not_joined(gap: str) -> None:
    """So that little is held back; the same halves with a lesser gap between them are a secret."""
    head, tail = (part.hex() for part in (b"open-ses", b"ame-77"))
    wide, narrow = gap * 41, gap * (40 // len(gap))
    assert Known(["open-sesame-77"]).feed(f"{head}{wide}.".encode()) == f"{head}{wide}.".encode()
    assert stream([f"{head}{wide}{tail}".encode()], ["open-sesame-77"]).endswith(tail.encode())
    assert stream([f"<{head}{narrow}{tail}>".encode()], ["open-sesame-77"]) == b"<" + MARK + b">"


def test_E04_overlapping_secrets_are_taken_out_whole() -> None:
    """The end of the second one does not stay behind."""
    assert stream([b"<abcabcabdcc-xx>"], ["abcabcabd", "cabdcc-xx"]) == b"<" + MARK + b">"


@given(TEXTS, st.lists(st.integers(0, 400), max_size=6))
@example(KEY, [3, 40])
@example(KEY[:60] + "\n" + KEY, [3, 40])
def test_any_cut_gives_the_same_as_the_whole(text: str, places: list[int]) -> None:
    """Cuts fall inside of secrets, characters, line ends and private keys."""
    data = text.encode("utf-8", "surrogatepass")
    assert stream(cut(data, places), VALUES) == stream([data], VALUES)


@given(TEXTS)
@example(KEY + " " + KEY)
def test_stream_and_text_agree(text: str) -> None:
    """For what has no very long line, a stream is redacted as a text is."""
    expected = redact(text, VALUES).text.encode("utf-8", "surrogatepass")
    assert stream([text.encode("utf-8", "surrogatepass")], VALUES) == expected


@given(TEXTS)
def test_nothing_of_a_value_is_left(text: str) -> None:
    """No value is in the result, and to redact that again changes nothing."""
    once = stream([text.encode("utf-8", "surrogatepass")], VALUES)
    assert not [value for value in VALUES if value.encode() in once]
    assert stream([once], VALUES) == once


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_other_bytes_pass_unharmed(chunks: list[bytes]) -> None:
    """What holds no secret stays as it is, text or not."""
    assert stream(chunks, [VALUE]) == b"".join(chunks)


@given(
    st.lists(
        st.sampled_from(["x" * 5000, "y z" * 900, "\n", KEY, "abcabcabd", "é" * 999]), max_size=14
    ),
    st.lists(st.integers(0, 90_000), max_size=4),
)
def test_long_lines_are_cut_at_the_same_places(parts: list[str], places: list[int]) -> None:
    """A line beyond the bound comes in pieces that do not depend on the chunks."""
    data = "".join(parts).encode()
    assert stream(cut(data, places), VALUES) == stream([data], VALUES)


def test_E05_a_line_without_end_comes_in_pieces() -> None:
    """A long line is not held until its end, and a secret in it is found all the same."""
    redactor = Redactor(["open-sesame-77"])
    said = [redactor.feed(b"x" * LONGEST_LINE) for _ in range(8)]
    assert all(len(each) == LONGEST_LINE for each in said)
    assert MARK in redactor.feed(b" open-sesame-77 " * LONGEST_LINE)


def test_a_key_without_end_is_held_within_bounds() -> None:
    """What only begins like a private key comes out when it is longer than any."""
    redactor = Redactor([])
    redactor.feed(b"-----BEGIN PRIVATE KEY-----\n")
    said = [redactor.feed(b"QUJD" * 20 + b"\n") for _ in range(600)]
    assert b"".join(said).startswith(b"[redacted: private key]")
    assert sum(map(len, said)) > 20_000
