"""Secrets and a text with some of their forms in it, read from bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.fuzz import secret_forms
from tests.fuzz.pieces import clean_text_of

SHORTEST = 8
_MARKED = re.compile(r"([\x01-\x03])(.)", re.DOTALL)
_CUT = "\x04"
_MARK = "[redacted: secret] private key token password URL bearer basic authorization"


@dataclass(frozen=True, kw_only=True)
class Case:
    r"""Lines before a NUL are values; after it `\x01` and a letter put a form of the first."""

    values: tuple[str, ...]
    pieces: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @classmethod
    def read(cls, data: bytes) -> Case:
        r"""A value that could stand in a redaction's own words is left out; `\x04` cuts the text."""
        head, _, body = clean_text_of(data).partition("\0")
        lines = [line.strip() for line in head.split("\n")]
        values = tuple(line for line in lines[:3] if _is_value(line))
        text = _MARKED.sub(lambda match: _form(values, match), body) if values else body
        return cls(values=values, pieces=tuple(text.split(_CUT)))


def is_far_from(text: str, values: Iterable[str]) -> bool:
    """Whether the text has not even a small part of a form, however it is broken into lines."""
    parts = {part for value in values for form in _forms(value) for part in _parts(form)}
    joined = re.sub(r"\\[rn]|[\s:\\]", "", text).casefold()
    return not any(part in joined for part in parts) and not any(
        part in text.casefold() for part in parts
    )


def _forms(value: str) -> Iterator[str]:
    yield from secret_forms.streamed_forms(value)
    yield "".join(f"\\x{byte:02x}" for byte in value.encode())
    yield "".join(f"\\u{ord(each):04x}" for each in value)


def _parts(form: str) -> Iterator[str]:
    folded = form.casefold()
    yield from (folded[at : at + 4] for at in range(max(1, len(folded) - 3)))


def _is_value(line: str) -> bool:
    """Values of few different letters stand in much that is no secret."""
    varied = len(line) >= SHORTEST and len(set(line)) >= SHORTEST - 2
    return (
        varied and line.isprintable() and not any(part in _MARK.casefold() for part in _parts(line))
    )


def _form(values: tuple[str, ...], match: re.Match[str]) -> str:
    value = values[(ord(match[1]) - 1) % len(values)]
    number = ord(match[2])
    if number & 0x20:
        return secret_forms.written(value, form=number)
    return secret_forms.wrapped(value, form=number, width=4 + number // 8)
