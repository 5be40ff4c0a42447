from __future__ import annotations

from typing import Any

import pytest

from runner.core.canonical import MAX_INTEGER
from runner.core.documents import dump, parse


class TestDump:
    def test_records_are_written_for_people(self) -> None:
        """Block style, keys in their order, quotes only where needed, text as literal blocks."""
        value = {
            "version": 1,
            "made_at": "2026-11-22T10:00:00Z",
            "steps": {"write": "sha256:0a", "test": None},
            "skipped": [],
            "calls": [{"cost_usd": "0.50", "ok": True}, ["a", ["b"]], {}],
            "output": "line: one\n\n  # two\n",
            "nested": [{"text": "a\nb", "reason": "it's fine, really"}],
        }
        assert dump(value).decode() == (
            "version: 1\n"
            'made_at: "2026-11-22T10:00:00Z"\n'
            "steps:\n  write: sha256:0a\n  test: null\n"
            "skipped: []\n"
            'calls:\n  - cost_usd: "0.50"\n    ok: true\n  - - a\n    - - b\n  - {}\n'
            "output: |\n  line: one\n\n    # two\n"
            "nested:\n  - text: |-\n      a\n      b\n    reason: it's fine, really\n"
        )

    def test_the_order_of_keys_is_kept(self) -> None:
        """A record comes back with its keys where they were."""
        value = {"b": 1, "a": {"d": 1, "c": 2}}
        again = parse(dump(value), file="x").value
        assert (list(again), list(again["a"])) == (["b", "a"], ["d", "c"])

    @pytest.mark.parametrize("value", ["x", {"k": [1]}, "a\nb\n", [[], {}]])
    def test_keys_longer_than_parsers_look_ahead_are_kept(self, value: Any) -> None:
        """A path of four thousand characters can be a key."""
        document = {"first": {"d/" * 2_000: value, "z": 1}, "list": [{"é" * 2_000: value}]}
        assert parse(dump(document), file="x").value == document

    @pytest.mark.parametrize(
        "value", ["\x1b", {"\u202e": 1}, ["a\r\nb"], "\ud800", {"<<": 1}, MAX_INTEGER + 1]
    )
    def test_values_that_could_not_be_read_back_are_refused(self, value: Any) -> None:
        """Hidden characters, merge keys and inexact integers are the caller's to escape."""
        with pytest.raises(ValueError, match=r"holds|merge key|range"):
            dump(value)

    @pytest.mark.parametrize("value", [1.5, {1: 2}, b"x", ("a",), [{"a": object()}]])
    def test_types_that_documents_cannot_hold_are_refused(self, value: Any) -> None:
        """A float, bytes, a tuple or a key that is no string cannot be written."""
        with pytest.raises(TypeError, match="cannot be written"):
            dump(value)

    def test_nesting_that_could_not_be_read_back_is_refused(self) -> None:
        """As deep as the reader's limit is written, deeper is refused."""
        value: list[Any] = []
        for _ in range(19):
            value = [value]
        assert parse(dump(value), file="x").value == value
        with pytest.raises(ValueError, match="nested more than 20"):
            dump([value])
