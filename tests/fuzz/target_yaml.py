"""The reader of strict YAML, against PyYAML's two parsers, and the writer after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from runner.core.canonical import canonical_json
from runner.core.documents import Document, Limits, dump, parse
from runner.core.errors import InvalidDocument
from runner.core.yaml_reader import MAX_PROBLEMS

MAX_LENGTH = 400
TOKENS = (
    *(
        b"a: ",
        b"b",
        b"- ",
        b"? ",
        b": ",
        b"\n",
        b"\n  ",
        b"\n    ",
        b"\n- ",
        b"\nc: ",
        b"\t",
        b" #",
    ),
    *(b"[", b"]", b"{", b"}", b",", b"'", b'"', b"|", b"|-\n  ", b">\n  ", b"|2\n", b"\\", b"\\n"),
    *(b"&a ", b"*a", b"!!str ", b"!x ", b"<<: ", b"---\n", b"...\n", b"%YAML 1.1\n", b"%TAG ! x\n"),
    *(b"NO", b"true", b"null", b"~", b"0755", b"22:22", b"1e3", b"0x1f", b"1_0", b"-1", b".inf"),
    *(
        b"2001-01-01",
        b"9007199254740992",
        b"=",
        b"\\u202e",
        b"\\x85",
        b"\\_",
        b"\\/",
        b"\xef\xbb\xbf",
    ),
    *(b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xae", b"\r\n", b"\0", b"\xff", b"\xf0\x9f\x98\x80"),
)
_FILE = "plan.yaml"
_LIMITS = Limits(max_bytes=2_000, max_depth=6, max_nodes=60)


def check(data: bytes, *, parse: Callable[..., Document] = parse) -> None:
    """A document has one meaning to all, or is refused with places that are in the file."""
    try:
        document = parse(data, file=_FILE, limits=_LIMITS)
    except InvalidDocument as refusal:
        _places_are_in_the_file(data, refusal)
        return
    _means_the_same_to_others(document.text, document.value)
    _within_limits(document.value, _LIMITS.max_depth)
    _survives_writing(document.value)
    _spans_are_in_the_text(document, (), document.value)


def _places_are_in_the_file(data: bytes, refusal: InvalidDocument) -> None:
    lines = data.decode("utf-8", "replace").split("\n")
    assert 0 < len(refusal.problems) <= MAX_PROBLEMS
    for problem in refusal.problems:
        assert problem.file == _FILE
        assert problem.code
        assert problem.message.isprintable()
        assert problem.path.isprintable()
        if problem.line:
            assert 1 <= problem.line <= len(lines)
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


def _means_the_same_to_others(text: str, value: Any) -> None:
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        assert repr(yaml.load(text, Loader=loader)) == repr(value), loader.__name__  # noqa: S506  # both are safe


def _within_limits(value: Any, depth: int) -> None:
    if isinstance(value, list | dict):
        assert depth > 0, "nested too deep"
        for item in value.values() if isinstance(value, dict) else value:
            _within_limits(item, depth - 1)


def _survives_writing(value: Any) -> None:
    written = dump(value)
    again = parse(written, file=_FILE)
    assert repr(again.value) == repr(value), "written and read again"
    assert dump(again.value) == written, "written again"
    assert canonical_json(again.value) == canonical_json(value), "canonical"


def _spans_are_in_the_text(document: Document, path: tuple[str | int, ...], value: Any) -> None:
    start, end = document.span(path)
    assert 0 <= start <= end <= len(document.text)
    line, column = document.place(path)
    assert line >= 1
    assert column >= 1
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value if isinstance(value, list) else ())
    )
    for key, item in items:
        inner = (*path, key)
        inner_start, inner_end = document.span(inner)
        assert start <= inner_start <= inner_end <= end, inner
        _spans_are_in_the_text(document, inner, item)
