from __future__ import annotations

import tracemalloc

import pytest
import yaml

from runner.core.documents import Limits, parse
from runner.core.errors import InvalidDocument, Problem
from runner.core.yaml_nodes import Node
from runner.core.yaml_reader import MAX_PROBLEMS, Loader, read


def problems(data: str | bytes, **limits: int) -> list[Problem]:
    raw = data.encode() if isinstance(data, str) else data
    with pytest.raises(InvalidDocument) as caught:
        parse(raw, file="plan.yaml", limits=Limits(**limits))
    return caught.value.problems


def places(data: str | bytes) -> list[tuple[str, int, int]]:
    return [(it.code, it.line, it.column) for it in problems(data)]


def codes(text: str) -> set[str]:
    """List why a text is refused; nothing when it is accepted."""
    try:
        parse(text.encode(), file="plan.yaml")
    except InvalidDocument as refusal:
        return {it.code for it in refusal.problems}
    return set()


def read_by(loader: Loader, text: str) -> Node | None:
    try:
        return read(text, file="x", limits=Limits(), loader=loader)
    except InvalidDocument:
        return None


class TestB05:
    def test_B05_a_huge_file_is_refused_before_it_is_decoded(self) -> None:
        """A file over the limit costs no memory beyond its bytes."""
        data = b"a: " + b"x" * 50_000_000
        tracemalloc.start()
        found = problems(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert [it.code for it in found] == ["too_large"]
        assert peak < 1_000_000

    @pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
    def test_B05_deep_nesting_is_refused_where_the_limit_is_passed(self, opening: str) -> None:
        """The parser stops at the first level too many, whatever follows."""
        assert {it.code for it in problems(opening * 10_000)} == {"too_deep"}

    @pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml.CSafeLoader])
    def test_B05_the_limit_of_depth_is_exact(self, loader: Loader) -> None:
        """As many levels as the limit are read, one more is refused, by both parsers."""
        assert read_by(loader, "[" * 20 + "]" * 20) is not None
        assert read_by(loader, "[" * 21 + "]" * 21) is None

    def test_B05_a_million_steps_are_refused_where_the_limit_is_passed(self) -> None:
        """Counting ends at the limit, so memory does not grow with the file."""
        (problem,) = problems("- a\n" * 1_000_000, max_bytes=10_000_000, max_nodes=1_000)
        assert (problem.code, problem.line) == ("too_many_nodes", 1_000)

    def test_B05_no_more_problems_are_collected_than_people_read(self) -> None:
        """A file with a problem in each line is refused after a hundred of them."""
        assert len(problems("- no\n" * 100_000)) == MAX_PROBLEMS
        assert len(problems("\u202e" * 100_000)) == MAX_PROBLEMS


class TestB06:
    @pytest.mark.parametrize(
        "data,expected",
        [
            (b"a: b\nc: \xc3\xa9\xff\n", ("not_utf8", 2, 5)),
            (b"a: \xed\xa0\x80\n", ("not_utf8", 1, 4)),
            ("a: b\n".encode("utf-16"), ("not_utf8", 1, 1)),
            (b"\xef\xbb\xbfa: b\n", ("byte_order_mark", 1, 1)),
            (b"a: \x00b\n", ("hidden_character", 1, 4)),
            (b"a: b\r\nc: d\r\n", ("carriage_return", 1, 5)),
            (b"a: b\rc: d\n", ("carriage_return", 1, 5)),
            (b"", ("empty_document", 1, 1)),
            (b"# only a comment\n", ("empty_document", 1, 1)),
        ],
    )
    def test_B06_bytes_that_are_not_plain_text_are_refused(
        self, data: bytes, expected: tuple[str, int, int]
    ) -> None:
        """Other encodings, marks, NUL and other line ends have a clear error with its place."""
        assert places(data) == [expected]

    @pytest.mark.parametrize(
        "text", ["a:\tb\n", "a: b\t# c\n", "a: b\tc\n", "a: 'b'\t\n", "#\t\na: b\n"]
    )
    def test_B06_tabs_between_tokens_are_refused(self, text: str) -> None:
        """A tab is a blank to one parser and an error to another, unless it is within a text."""
        assert "tab" in codes(text)
        assert not codes(text.replace("\t", " "))

    def test_broken_yaml_is_an_error_with_its_place(self) -> None:
        """A syntax error stands beside the problems that were found before it."""
        assert places("a: no\nb: [x\nc: d\n")[0] == ("ambiguous_word", 1, 4)
        (problem,) = problems("a: 'x\n")
        assert (problem.code, problem.line) == ("syntax", 2)
        assert problem.message.startswith("not YAML: ")
