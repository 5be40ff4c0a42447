"""How targets read their bytes."""

from __future__ import annotations


def text_of(data: bytes) -> str:
    """Any bytes as text; what is not UTF-8 becomes lone surrogates, as in names of files."""
    return data.decode("utf-8", "surrogateescape")


def clean_text_of(data: bytes) -> str:
    """Any bytes as text that can be written as UTF-8."""
    return data.decode("utf-8", "replace")
