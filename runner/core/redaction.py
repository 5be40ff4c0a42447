"""Take secrets out of a text by their well-known shapes and by their known values."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from runner.core.model_call import Request

AnyRequest = TypeVar("AnyRequest", bound=Request)

SHORTEST_VALUE = 6
SHORTEST_NAMED = 12
_B64_GROUP = 3
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

# Every repetition is bounded or of one class that what follows cannot match: no text is slow.
_TOKENS: Mapping[str, str] = {
    "AWS key id": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})",
    "GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,255}",
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,255}",
    "Google key": r"\bAIza[0-9A-Za-z_-]{35}",
    "Google token": r"\bya29\.[0-9A-Za-z_-]{20,2000}",
    "Stripe key": r"\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,255}",
    "API key": r"\bsk-(?:[A-Za-z]{2,10}-){0,3}[A-Za-z0-9_-]{20,255}",
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{20,255}",
    "Groq key": r"\bgsk_[A-Za-z0-9]{40,255}",
    "xAI key": r"\bxai-[A-Za-z0-9]{40,255}",
    "age key": r"\bAGE-SECRET-KEY-1[0-9A-Z]{50,80}",
    "npm token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "PyPI token": r"\bpypi-[A-Za-z0-9_-]{50,1000}",
    "JWT": r"\beyJ[A-Za-z0-9_-]{8,4000}\.eyJ[A-Za-z0-9_-]{4,8000}\.[A-Za-z0-9_-]{10,2000}",
}
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?!-----END)[A-Za-z0-9+/=\s:,.()\\-]){40,20000}(?:-----END [A-Z0-9 ]{0,60}-----)?"
)
_URL = re.compile(
    r"(?P<keep>\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>]{0,100}:)[^\s/@\"'<>]{1,200}(?=@)"
)
_ASSIGNED = re.compile(
    r"(?P<keep>(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|auth[_-]?token"
    r"|access[_-]?token|private[_-]?token|client[_-]?secret|secret[_-]?key|account[_-]?key"
    r"|(?:db|smtp|mail|ftp|root|admin)[_-]?pass)"
    r"[A-Za-z0-9_]{0,20}[\"']?[ \t]{0,4}(?::=|=>|=|:)[ \t]{0,4})"
    r"(?:\"(?P<double>[^\"\n]{6,500})\"|'(?P<single>[^'\n]{6,500})'"
    r"|(?P<bare>[^\s\"'(){}\[\],;<>$]{8,500}))",
    re.IGNORECASE,
)
# Names that stand beside much else: what follows must look made, not spelt.
_UPPER = re.compile(
    r"(?P<keep>(?:TOKEN|CREDENTIALS?|_PASS)[A-Z0-9_]{0,20}[\"']?[ \t]{0,4}[=:][ \t]{0,4}[\"']?)"
    r"(?P<mixed>[^\s\"'(){}\[\],;<>$]{8,4000}+)(?![(\[])"
)
_TOKEN = re.compile(
    r"(?P<keep>token(?!iz)[A-Za-z0-9_]{0,20}[\"']?[ \t]{0,4}(?::=|=>|=|:)[ \t]{0,4}[\"'])"
    r"(?P<mixed>[A-Za-z0-9._~+/=-]{16,4000}+)(?=[\"'])",
    re.IGNORECASE,
)
_DEFINED = re.compile(
    r"(?P<keep>\bdefine[ \t(]{1,4}[\"']?[A-Za-z0-9_]{0,40}?(?:PASS|SECRET|TOKEN|API_?KEY|AUTH_KEY|SALT)"
    r"[A-Za-z0-9_]{0,20}[\"']?[ \t,]{1,8}[\"'])[^\"'\n]{6,500}(?=[\"'])"
)
_BASIC = re.compile(
    r"(?P<keep>(?:authorization[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?basic[ \t]{1,4}"
    r"|[\"']auth[\"'][ \t]{0,4}:[ \t]{0,4}[\"']))(?P<pair>[A-Za-z0-9+/]{4,4000}+={0,2})",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?P<keep>\bbearer[ \t]{1,4})[A-Za-z0-9._~+/-]{16,4000}={0,2}", re.IGNORECASE)
_SHAPES = tuple((name, re.compile(pattern)) for name, pattern in _TOKENS.items())
_DIGIT = re.compile(r"[0-9]")
_LETTER = re.compile(r"[A-Za-z]")
_HOLDS_SECRET = re.compile(r"(?:KEY|TOKEN|SECRET|PASS|PASSWORD|PASSPHRASE)$")
_PLACE = re.compile(r"[~./]|key::|ssh-|ecdsa-|sk-ssh-|sk-ecdsa-")


@dataclass(frozen=True, kw_only=True)
class Redacted:
    """The text without secrets; `names` are the kinds that were found, once each."""

    text: str
    names: tuple[str, ...] = ()


def redact(text: str, values: Iterable[str] = ()) -> Redacted:
    """Replace each secret by `[redacted: kind]`; `values` are secrets known by their text."""
    found: dict[str, None] = {}

    def take(pattern: re.Pattern[str], name: str, held: str) -> str:
        def put(match: re.Match[str]) -> str:
            if not _is_secret(match):
                return match.group()
            found[name] = None
            quoted = next((sign for sign in "\"'" if match.group().endswith(sign)), "")
            quoted = quoted if "double" in match.groupdict() else ""
            return f"{match.groupdict().get('keep', '')}{quoted}[redacted: {name}]{quoted}"

        return pattern.sub(put, held)

    for pattern in _forms(values):
        text = take(pattern, "secret", text)
    for name, pattern in (
        ("private key", _PRIVATE_KEY),
        *_SHAPES,
        ("password in a URL", _URL),
        ("bearer token", _BEARER),
        ("basic authorization", _BASIC),
        ("password", _ASSIGNED),
        ("password", _DEFINED),
        ("token", _UPPER),
        ("token", _TOKEN),
    ):
        text = take(pattern, name, text)
    return Redacted(text=text, names=tuple(found))


def redact_request(request: AnyRequest, values: Iterable[str]) -> AnyRequest:
    """Redact every message of a question, before it is hashed, sent or kept."""
    known = tuple(values)
    messages = [
        message.model_copy(update={"content": redact(message.content, known).text})
        for message in request.messages
    ]
    return request.model_copy(update={"messages": messages})


def _is_secret(match: re.Match[str]) -> bool:
    """Leave alone what was taken already, and code that only names where a secret comes from."""
    groups = match.groupdict()
    if mixed := groups.get("mixed"):
        return bool(_DIGIT.search(mixed) and _LETTER.search(mixed))
    if pair := groups.get("pair"):
        return _names_a_user(pair)
    value = next((groups[name] for name in ("double", "single", "bare") if groups.get(name)), None)
    if value is None:
        return True
    if value.startswith("[redacted:"):
        return False
    return groups.get("bare") is None or bool(_DIGIT.search(value))


def _names_a_user(pair: str) -> bool:
    """Whether it is `user:password` in base64, as registries and basic authorization have it."""
    try:
        return b":" in base64.b64decode(pair, validate=True)
    except binascii.Error:
        return False


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Values of the variables whose names say that they hold a secret."""
    return tuple(
        value
        for name, value in sorted(environment.items())
        if len(value) >= SHORTEST_NAMED
        and _HOLDS_SECRET.search(name.upper())
        and not _PLACE.match(value)
    )


def _forms(values: Iterable[str]) -> Iterator[re.Pattern[str]]:
    """Each value as it is, in hexadecimal, as part of a URL, and in base64 at any offset."""
    forms: set[str] = set()
    for value in values:
        if len(value) >= SHORTEST_VALUE:
            data = value.encode()
            forms |= {value, _in_url(data), data.hex(), data.hex().upper()}
            forms |= set(_base64(data))
    if forms:
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        yield re.compile("|".join(map(re.escape, longest_first)))


def _in_url(data: bytes) -> str:
    return "".join(chr(each) if chr(each) in _UNRESERVED else f"%{each:02X}" for each in data)


def _base64(data: bytes) -> Iterator[str]:
    """What of the encoding is sure at each of the three places where the data may begin."""
    for offset in range(_B64_GROUP):
        encoded = base64.b64encode(b"\0" * offset + data).decode().rstrip("=")
        whole = (offset + len(data)) * 8 // 6
        sure = encoded[-(-offset * 8 // 6) : whole]
        yield sure
        yield sure.translate(str.maketrans("+/", "-_"))
