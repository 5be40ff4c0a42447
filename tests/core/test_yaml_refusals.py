from __future__ import annotations

import pytest
import yaml

from runner.core.canonical import MAX_INTEGER
from runner.core.documents import Document, Limits, parse
from runner.core.errors import InvalidDocument, Problem
from runner.core.yaml_nodes import Node
from runner.core.yaml_reader import Loader, read


def load(text: str) -> Document:
    return parse(text.encode(), file="plan.yaml")


def problems(text: str) -> list[Problem]:
    with pytest.raises(InvalidDocument) as caught:
        load(text)
    return caught.value.problems


def places(text: str) -> list[tuple[str, int, int]]:
    return [(it.code, it.line, it.column) for it in problems(text)]


def codes(text: str) -> set[str]:
    """List why a text is refused; nothing when it is accepted."""
    try:
        load(text)
    except InvalidDocument as refusal:
        return {it.code for it in refusal.problems}
    return set()


def read_by(loader: Loader, text: str) -> Node | None:
    try:
        return read(text, file="x", limits=Limits(), loader=loader)
    except InvalidDocument:
        return None


class TestB01:
    @pytest.mark.parametrize(
        "text,expected",
        [
            ("a: 1\nb: 2\na: 3\n", [("duplicate_key", 3, 1)]),
            ('a: 1\n"a": 3\n', [("duplicate_key", 2, 1)]),
            ("- {b: 2, b: 3}\n", [("duplicate_key", 1, 10)]),
            ("a: &x 1\nb: *x\n", [("anchor", 1, 4), ("alias", 2, 4)]),
            ("a: !!int 1\nb: !x [1]\nc: ! d\n", [("tag", 1, 4), ("tag", 2, 4), ("tag", 3, 4)]),
            ("a: !!python/object/apply:os.system [x]\n", [("tag", 1, 4)]),
            ("a: {x: 1}\n<<: {z: 2}\n", [("merge_key", 2, 1)]),
            ('"<<": {z: 2}\n', [("merge_key", 1, 1)]),
            ("a: =\n", [("merge_key", 1, 4)]),
            ("a: 1\n---\nb: 2\n", [("second_document", 2, 1)]),
            ("%YAML 1.2\n---\na: 1\n", [("directive", 1, 1)]),
            ("1: a\n", [("key_not_string", 1, 1)]),
            ("true: a\n", [("key_not_string", 1, 1)]),
            ("[a, b]: c\n", [("key_not_string", 1, 1)]),
            ("{? {a: b} : c}\n", [("key_not_string", 1, 4)]),
            ("on: push\n", [("ambiguous_word", 1, 1)]),
        ],
    )
    def test_B01_what_yaml_allows_and_plans_do_not(
        self, text: str, expected: list[tuple[str, int, int]]
    ) -> None:
        """Duplicate and merge keys, anchors, aliases, tags and more documents are refused."""
        assert places(text) == expected

    def test_B01_an_alias_bomb_is_refused_without_unfolding(self) -> None:
        """Aliases are never followed, so a bomb stays as small as it is written."""
        lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
        found = problems("a0: &a0 x\n" + "\n".join(lines))
        assert {it.code for it in found} == {"anchor", "alias"}

    @pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml.CSafeLoader])
    def test_B01_directives_that_parsers_skip_are_refused(self, loader: Loader) -> None:
        """PyYAML's own parser skips a directive that it does not know; we do not."""
        assert read_by(loader, "%FOO bar\n---\na: 1\n") is None
        assert read_by(loader, "---\na: 1\n") is not None

    def test_a_duplicate_names_both_places(self) -> None:
        """The message says where the key stood first, the path which key it is."""
        (problem,) = problems("steps:\n  - id: a\n    id: b\n")
        assert problem.path == "steps[0].id"
        assert problem.message == 'the key "id" is already on line 2'
        assert problem.fix == "remove or rename one of the two"


class TestB02:
    @pytest.mark.parametrize(
        "code,plains",
        [
            ("ambiguous_word", "yes no on off NO y n Y N True TRUE False Null NULL ~ nUlL tRue"),
            ("ambiguous_word", ":sym :80 ---x ...x"),
            ("ambiguous_number", "0755 0o17 0x1F -0x1f 0b1 0B1 0X1 22:22 190:20:30.15 08 +1 -0 00"),
            ("ambiguous_number", "1e3 1E3 1.5 1. .5 -1.5e-3 1_000 1,000 1__0 1_ 12e03 1.5e3 . +."),
            ("ambiguous_number", ".inf -.INF .NaN inf NaN infinity"),
            ("timestamp", "2026-01-02 2026-1-2 2026-01-02T03:04:05Z 2026-01-02T03:04"),
            ("integer_out_of_range", f"{MAX_INTEGER + 1} -{MAX_INTEGER + 1} {'9' * 5000}"),
        ],
    )
    def test_B02_ambiguous_plain_scalars_are_refused(self, code: str, plains: str) -> None:
        """What some YAML parser reads as another type is refused, wherever it stands."""
        for plain in plains.split():
            assert places(f"- x\n- {plain}\n") == [(code, 2, 3)], plain
            assert load(f'- x\n- "{plain}"\n').value == ["x", plain]

    def test_B02_timestamps_with_blanks_are_refused(self) -> None:
        """A date and a time with a blank between them are a timestamp too."""
        assert codes("a: 2026-01-02 03:04:05 +1\n") == {"timestamp"}
        assert codes("a: 2026-01-02 we met\n") == set()

    @pytest.mark.parametrize(
        "text", ["a:\n", "- \n- x\n", "{a: , b: 1}", "[{a}]", "? a\n", "---\n"]
    )
    def test_B02_a_missing_value_is_not_null(self, text: str) -> None:
        """Where a value is missing, nothing is assumed."""
        assert codes(text) == {"empty_value"}

    def test_the_fix_fits_the_problem(self) -> None:
        """The fix for a value offers the typed words, that for a key only quotes."""
        value, key = problems("a: No\nNO: b\n")
        assert value.fix == 'quote it: "No", or write true, false or null'
        assert key.fix == "quote the key"

    def test_a_message_stays_on_one_line(self) -> None:
        """A text of several lines is quoted with its line ends as codes."""
        (problem,) = problems("- :a\n\n  b\n")
        assert '":a\\nb"' in problem.message
        assert problem.fix == 'quote it: ":a\\nb"'


class TestB03:
    @pytest.mark.parametrize("code_point", [0x85, 0xAD, 0x200B, 0x2028, 0x2029, 0x202E, 0xE0041])
    def test_B03_hidden_characters_are_refused_raw_and_escaped(self, code_point: int) -> None:
        """A hidden character is refused in a value, a key, a comment and as an escape."""
        raw = chr(code_point)
        assert places(f"a: b\nc: d{raw}e\n") == [("hidden_character", 2, 5)]
        assert places(f"a{raw}: b\n") == [("hidden_character", 1, 2)]
        assert places(f"a: b # {raw}\n") == [("hidden_character", 1, 8)]
        assert places(f'a: "x\\U{code_point:08x}"\n') == [("hidden_character", 1, 4)]

    @pytest.mark.parametrize("escape", ["\\0", "\\a", "\\e", "\\r", "\\N", "\\L", "\\P", "\\x7f"])
    def test_B03_escapes_that_hide_are_refused(self, escape: str) -> None:
        """YAML's short escapes for controls and separators are refused like the long ones."""
        assert codes(f'- "{escape}"\n') == {"hidden_character"}

    def test_B03_escapes_that_name_no_character_are_refused(self) -> None:
        """Half a surrogate pair, or a number beyond Unicode, is not a character."""
        assert codes('- "\\ud800"\n') <= {"syntax", "hidden_character"}
        assert codes('- "\\U00110000"\n') == {"syntax"}
        assert codes('- "\\Uffffffff"\n') == {"syntax"}

    def test_B03_the_message_names_the_character(self) -> None:
        """The reader learns which character it was, without seeing its effect."""
        (problem,) = problems("a: \u202e\n")
        assert problem.message == "RIGHT-TO-LEFT OVERRIDE (U+202E) is not allowed"


class TestParsersDisagree:
    @pytest.mark.parametrize(
        "code,text",
        [
            ("no_line_end", "a: |\n  b"),
            ("block_place", "|\n  b\n"),
            ("block_place", "a:\n  b:\n  >\n    c\n"),
            ("block_header", "a: |#c\n  b\n"),
            ("block_start", "a: |1\n    \n"),
            ("block_end", "a: |1\n  x\n  \n"),
            ("quoted_line_end", "a: 'x \n  y'\n"),
            ("quoted_line_end", 'a: "x\\\n\n  y"\n'),
            ("quoted_indentation", "- 'x\n- y'\n"),
            ("flow_question_mark", "[a?b]"),
            ("ambiguous_word", "{a: -}"),
        ],
    )
    def test_texts_that_some_parser_reads_otherwise_are_refused(self, code: str, text: str) -> None:
        """PyYAML, js-yaml or `yaml` for JavaScript read these to different values."""
        assert codes(text) == {code}

    def test_a_block_that_begins_with_a_tab_is_refused(self) -> None:
        """PyYAML's own parser reads the tab and libyaml does not, so neither decides."""
        assert read_by(yaml.SafeLoader, "a: |\n  \tb\n") is None
        assert read_by(yaml.CSafeLoader, "a: |\n  \tb\n") is None
