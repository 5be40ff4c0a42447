from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.canonical import MAX_INTEGER
from runner.core.documents import Document, Limits, dump, parse
from runner.core.errors import InvalidDocument
from runner.core.text import hidden_characters
from runner.core.yaml_nodes import Node
from runner.core.yaml_reader import Loader, read


def load(text: str) -> Document:
    return parse(text.encode(), file="plan.yaml")


def codes(text: str) -> set[str]:
    """List why a text is refused; nothing when it is accepted."""
    try:
        load(text)
    except InvalidDocument as refusal:
        return {it.code for it in refusal.problems}
    return set()


def refused_at(data: bytes) -> list[tuple[int, int]]:
    try:
        parse(data, file="x")
    except InvalidDocument as refusal:
        return [(it.line, it.column) for it in refusal.problems]
    return []


def read_by(loader: Loader, text: str) -> Node | None:
    try:
        return read(text, file="x", limits=Limits(), loader=loader)
    except InvalidDocument:
        return None


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(
    lambda text: not hidden_characters(text)
)
PIECES = ["a", "b c", "  ", "\n", "\t", "#", ": ", "- ", "0", "1e3", "no", "'", '"', "é", "|", "?"]
TRICKY = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
WORDS = st.from_regex(r"[-+.:]?(no|~|0[xbo]?|[0-9]{1,4})[-_.:,eExaf0-9TZ ]{0,8}", fullmatch=True)
STRINGS = TEXTS | TRICKY | WORDS
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | STRINGS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(STRINGS.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=12,
)
TOKENS = [
    *("a", "b: ", "- ", "? ", ": ", "\n", "\n", "\n  ", "\n    ", " ", "[", "]", "{", "}", ","),
    *("'x'", '"y"', "'", '"', "|", "|-\n", ">\n", "|2", "# c", "~", "1", "0", "-", "é", "😀", "\t"),
    *("\\n", "a:b", "x#y", "a?b", "\n- ", "\nc: ", "%", "---", "...", "<<: ", "!", "&a ", "x y"),
]
YAMLISH = st.lists(st.sampled_from(TOKENS), max_size=14).map("".join)


class TestOneMeaning:
    @given(VALUES)
    def test_dumped_documents_read_back_as_they_were(self, value: Any) -> None:
        """What `dump` writes, the strict reader and PyYAML read as the same value."""
        data = dump(value)
        assert parse(data, file="x").value == value
        assert repr(yaml.safe_load(data)) == repr(value)

    @given(
        VALUES, st.sampled_from([None, True, False]), st.sampled_from([None, "|", ">", '"', "'"])
    )
    def test_documents_of_another_writer_are_refused_or_read_alike(
        self, value: Any, flow: Any, style: str | None
    ) -> None:
        """PyYAML's own writing is never read as another value than PyYAML reads."""
        text = yaml.safe_dump(
            value, default_flow_style=flow, default_style=style, width=20, allow_unicode=True
        )
        if not codes(text):
            assert repr(load(text).value) == repr(yaml.safe_load(text))

    @settings(max_examples=500)
    @given(STRINGS)
    def test_plain_scalars_are_refused_or_read_alike(self, plain: str) -> None:
        """A word that PyYAML takes for a number or a date is not taken for a string."""
        text = f"- {plain}\n"
        if not codes(text):
            assert repr(load(text).value) == repr(yaml.safe_load(text))

    @settings(max_examples=500)
    @given(YAMLISH)
    def test_both_parsers_give_the_same_values_and_places(self, text: str) -> None:
        """PyYAML's own parser and libyaml accept the same texts, with the same marks."""
        node = read_by(yaml.CSafeLoader, text)
        assert node == read_by(yaml.SafeLoader, text)
        if node is not None:
            assert repr(node.value) == repr(yaml.safe_load(text))

    @given(st.binary(max_size=40) | YAMLISH.map(str.encode))
    def test_no_input_crashes_the_reader(self, data: bytes) -> None:
        """Any bytes are a document or a refusal with places inside the file."""
        for line, column in refused_at(data):
            assert 1 <= line <= data.count(b"\n") + 1
            assert column >= 1
