"""The forms in which a secret may show: as it is, escaped for some language, or encoded."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from runner.core.text import visible

SHORTEST_VALUE = 6
SHORTEST_LINE = 8
_B64_GROUP = 3
_URL_LETTERS = str.maketrans("+/", "-_")
_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
# What Python's `quote`, and `encodeURIComponent` and `encodeURI` in browsers, leave as it is.
_SAFE_SETS = ("", "/", "!*'()", "!*'();,/?:@&=+$#")
_PLAIN = re.compile(r"[^A-Za-z0-9_@%+=:,./-]")
_HTML_QUOTES = (
    ("&quot;", "&#x27;"),
    ("&quot;", "&#39;"),
    ("&#34;", "&#39;"),
    ("&quot;", "&apos;"),
)
_BOUNDARY = re.compile(r"-----.*-----")


@dataclass(frozen=True, kw_only=True)
class Forms:
    """What to look for; `wrapped` ones are found with gaps in them, and hold none."""

    exact: tuple[bytes, ...]
    wrapped: tuple[bytes, ...]


# A run asks for the same few secrets with every text of its records.
@lru_cache(maxsize=64)
def forms(values: tuple[str, ...]) -> Forms:
    """All forms of each value and, where it has several lines, of each line that is not short."""
    parts = {part for value in values for part in _parts(value)}
    exact = {form for part in parts for form in _escaped(part)}
    wrapped = {form for part in parts for data in _encoded(part) for form in _wrapped(data)}
    return Forms(exact=tuple(sorted(exact)), wrapped=tuple(sorted(wrapped)))


def _parts(value: str) -> Iterator[str]:
    whole = value.strip()
    if len(whole) >= SHORTEST_VALUE:
        yield whole
        yield whole.replace("\r\n", "\n")
    lines = [line.strip() for line in whole.splitlines()]
    if len(lines) > 1:
        yield from (line for line in lines if _is_telling(line))


def _is_telling(line: str) -> bool:
    """The first and last line of a key in PEM are no secret, and too common to look for."""
    return len(line) >= SHORTEST_LINE and not _BOUNDARY.fullmatch(line)


def _encoded(text: str) -> set[bytes]:
    """The text in UTF-8; what an environment held of other bytes, as those bytes too."""
    found = {text.encode("utf-8", "surrogatepass")}
    try:
        found.add(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return found
    return found


def _escaped(text: str) -> Iterator[bytes]:
    for form in {text, *_for_languages(text), *_in_url(text), *_numbered(text)}:
        yield from _encoded(form)


def _for_languages(text: str) -> Iterator[str]:
    """As JSON, HTML, shells and Python write it, and as it is shown to people."""
    for ascii_only in (True, False):
        dumped = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield dumped
        yield dumped.replace("/", "\\/")
        yield json.dumps(dumped)[1:-1]
    yield from _in_html(text)
    yield text.replace("'", "'\"'\"'")
    yield text.replace("'", "'\\''")
    yield _PLAIN.sub(r"\\\g<0>", text)
    yield repr(text)[1:-1]
    yield visible(text)
    yield text.replace("\n", "\r\n")


def _in_html(text: str) -> Iterator[str]:
    for double, single in _HTML_QUOTES:
        yield html.escape(text, quote=False).replace('"', double).replace("'", single)
    yield html.escape(text, quote=False)
    yield "".join(each if each.isascii() else f"&#{ord(each)};" for each in html.escape(text))
    for style in ("&#{};", "&#x{:x};", "&#x{:X};"):
        yield "".join(style.format(ord(each)) for each in text)


def _in_url(text: str) -> Iterator[str]:
    """As it is, and where such an address is itself part of another's query."""
    for data in _encoded(text):
        some = [_quoted(data, _UNRESERVED + safe) for safe in _SAFE_SETS]
        plus = _quoted(data, _UNRESERVED + " ").replace(" ", "+")
        for form in (*some, plus, _quoted(data, "")):
            lower = re.sub(r"%[0-9A-F]{2}", _lower, form)
            yield from (form, lower, form.replace("%", "%25"), lower.replace("%", "%25"))


def _quoted(data: bytes, safe: str) -> str:
    return "".join(chr(byte) if chr(byte) in safe else f"%{byte:02X}" for byte in data)


def _lower(match: re.Match[str]) -> str:
    return match.group().lower()


def _numbered(text: str) -> Iterator[str]:
    r"""Each byte as `\xNN`, each UTF-16 unit as `\uNNNN`."""
    units = text.encode("utf-16-be", "surrogatepass").hex()
    cases: tuple[Callable[[str], str], ...] = (str.lower, str.upper)
    for case in cases:
        yield re.sub("....", r"\\u\g<0>", case(units))
        for data in _encoded(text):
            yield re.sub("..", r"\\x\g<0>", case(data.hex()))


def _wrapped(data: bytes) -> Iterator[bytes]:
    for each in _base64(data):
        yield each.encode()
        yield each.translate(_URL_LETTERS).encode()
    yield data.hex().encode()
    yield data.hex().upper().encode()


def _base64(data: bytes) -> Iterator[str]:
    """What of the encoding is sure at each of the three places where the data may begin."""
    for offset in range(_B64_GROUP):
        encoded = base64.b64encode(b"\0" * offset + data).decode().rstrip("=")
        whole = (offset + len(data)) * 8 // 6
        yield encoded[-(-offset * 8 // 6) : whole]
