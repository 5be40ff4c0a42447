"""Take secrets of well-known shapes out of a text, each within its line."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Redacted:
    """The text without secrets; `names` are the kinds that were found, once each."""

    text: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shape:
    """A kind of secret; a text that it is in holds one of `needs`, for `folded` in small letters."""

    name: str
    pattern: re.Pattern[str]
    needs: tuple[str, ...]
    folded: bool = False


# No pattern reaches over a line end. Every repetition is bounded or of one class that what
# follows cannot match: no text is slow.
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
    re.IGNORECASE | re.ASCII,
)
# Names that stand beside much else: what follows must look made, not spelt.
_UPPER = re.compile(
    r"(?P<keep>(?:TOKEN|CREDENTIALS?|_PASS)[A-Z0-9_]{0,20}[\"']?[ \t]{0,4}[=:][ \t]{0,4}[\"']?)"
    r"(?P<mixed>[^\s\"'(){}\[\],;<>$]{8,4000}+)(?![(\[])"
)
_TOKEN = re.compile(
    r"(?P<keep>token(?!iz)[A-Za-z0-9_]{0,20}[\"']?[ \t]{0,4}(?::=|=>|=|:)[ \t]{0,4}[\"'])"
    r"(?P<mixed>[A-Za-z0-9._~+/=-]{16,4000}+)(?=[\"'])",
    re.IGNORECASE | re.ASCII,
)
_DEFINED = re.compile(
    r"(?P<keep>\bdefine[ \t(]{1,4}[\"']?[A-Za-z0-9_]{0,40}?(?:PASS|SECRET|TOKEN|API_?KEY|AUTH_KEY|SALT)"
    r"[A-Za-z0-9_]{0,20}[\"']?[ \t,]{1,8}[\"'])[^\"'\n]{6,500}(?=[\"'])"
)
_BASIC = re.compile(
    r"(?P<keep>(?:authorization[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?basic[ \t]{1,4}"
    r"|[\"']auth[\"'][ \t]{0,4}:[ \t]{0,4}[\"']))(?P<pair>[A-Za-z0-9+/]{4,4000}+={0,2})",
    re.IGNORECASE | re.ASCII,
)
_BEARER = re.compile(
    r"(?P<keep>\bbearer[ \t]{1,4})[A-Za-z0-9._~+/-]{16,4000}={0,2}", re.IGNORECASE | re.ASCII
)
_SHAPES = (
    Shape(
        "AWS key id",
        re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        needs=(
            "AKIA",
            "ASIA",
        ),
    ),
    Shape(
        "GitHub token",
        re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})"),
        needs=(
            "ghp_",
            "gho_",
            "ghu_",
            "ghs_",
            "ghr_",
            "github_pat_",
        ),
    ),
    Shape("GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,255}"), needs=("glpat-",)),
    Shape("Slack token", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,255}"), needs=("xox",)),
    Shape("Google key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}"), needs=("AIza",)),
    Shape("Google token", re.compile(r"\bya29\.[0-9A-Za-z_-]{20,2000}"), needs=("ya29.",)),
    Shape(
        "Stripe key",
        re.compile(r"\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,255}"),
        needs=(
            "k_live_",
            "k_test_",
        ),
    ),
    Shape(
        "API key", re.compile(r"\bsk-(?:[A-Za-z]{2,10}-){0,3}[A-Za-z0-9_-]{20,255}"), needs=("sk-",)
    ),
    Shape("Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{20,255}"), needs=("hf_",)),
    Shape("Groq key", re.compile(r"\bgsk_[A-Za-z0-9]{40,255}"), needs=("gsk_",)),
    Shape("xAI key", re.compile(r"\bxai-[A-Za-z0-9]{40,255}"), needs=("xai-",)),
    Shape("age key", re.compile(r"\bAGE-SECRET-KEY-1[0-9A-Z]{50,80}"), needs=("AGE-SECRET-KEY-1",)),
    Shape("npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b"), needs=("npm_",)),
    Shape("PyPI token", re.compile(r"\bpypi-[A-Za-z0-9_-]{50,1000}"), needs=("pypi-",)),
    Shape(
        "JWT",
        re.compile(r"\beyJ[A-Za-z0-9_-]{8,4000}\.eyJ[A-Za-z0-9_-]{4,8000}\.[A-Za-z0-9_-]{10,2000}"),
        needs=("eyJ",),
    ),
    Shape("password in a URL", _URL, needs=("://",)),
    Shape("bearer token", _BEARER, needs=("bearer",), folded=True),
    Shape("basic authorization", _BASIC, needs=("auth",), folded=True),
    Shape("password", _ASSIGNED, needs=("pass", "secret", "key", "token"), folded=True),
    Shape("password", _DEFINED, needs=("define",)),
    Shape("token", _UPPER, needs=("TOKEN", "CREDENTIAL", "_PASS")),
    Shape("token", _TOKEN, needs=("token",), folded=True),
)
_DIGIT = re.compile(r"[0-9]")
_LETTER = re.compile(r"[A-Za-z]")


def redact_shapes(text: str) -> Redacted:
    """Replace each secret by `[redacted: kind]`."""
    names: dict[str, None] = {}
    folded = text.lower()
    for shape in _SHAPES:
        if any(need in (folded if shape.folded else text) for need in shape.needs):
            text, found = _take(shape, text)
            names |= dict.fromkeys([shape.name] if found else [])
    return Redacted(text=text, names=tuple(names))


def _take(shape: Shape, text: str) -> tuple[str, bool]:
    found = False

    def put(match: re.Match[str]) -> str:
        nonlocal found
        groups = match.groupdict()
        if not _is_secret(groups):
            return match.group()
        found = True
        quoted = '"' if groups.get("double") else "'" if groups.get("single") else ""
        return f"{groups.get('keep', '')}{quoted}[redacted: {shape.name}]{quoted}"

    return shape.pattern.sub(put, text), found


def _is_secret(groups: dict[str, str | None]) -> bool:
    """Leave alone what was taken already, and code that only names where a secret comes from."""
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
