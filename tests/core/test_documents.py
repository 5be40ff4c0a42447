from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from runner.core.canonical import MAX_INTEGER
from runner.core.documents import Document, NodePath, parse, path_text
from runner.core.errors import InvalidDocument, Problem

PLAN = """\
# a comment
version: 1
"goal": 'Grüße 🎉'
steps:
  - id: read-utils   # the first
    input: {path: utils.py, max_bytes: 10}
  - id: write
    input:
      new_content: |
        def f():
        \treturn 1

  # between
  - [true, null, -3]
"""


def load(text: str) -> Document:
    return parse(text.encode(), file="plan.yaml")


def problems(text: str) -> list[Problem]:
    with pytest.raises(InvalidDocument) as caught:
        load(text)
    return caught.value.problems


class TestAccepted:
    def test_a_plan_is_read_as_its_value(self) -> None:
        """Mappings, lists, strings, integers, booleans and null are what documents hold."""
        document = load(PLAN)
        assert document.value == {
            "version": 1,
            "goal": "Grüße 🎉",
            "steps": [
                {"id": "read-utils", "input": {"path": "utils.py", "max_bytes": 10}},
                {"id": "write", "input": {"new_content": "def f():\n\treturn 1\n"}},
                [True, None, -3],
            ],
        }
        assert (document.file, document.text) == ("plan.yaml", PLAN)

    @pytest.mark.parametrize(
        "plain",
        [
            *(
                "a",
                "1.2.3",
                "127.0.0.1",
                "8080:80",
                "sha256:0a",
                "..",
                "./x",
                "python -m pytest -q",
            ),
            *(
                "nope",
                "truely",
                "nulls",
                "0xg",
                "1-2",
                "2026-01",
                "a: b".replace(": ", ":"),
                "http://x",
            ),
            *(
                "4f1c09d2a7e35b8c6f0192a3b4c5d6e7f8091a2b",
                "a b\n  c",
                "\u0661",
                "_1",
                "-x",
                "what?",
            ),
        ],
    )
    def test_plain_words_are_strings(self, plain: str) -> None:
        """A plain scalar that no parser takes for something else is a string."""
        assert load(f"key: {plain}\n").value == {"key": plain.replace("\n  ", " ")}

    @pytest.mark.parametrize("number", [0, 7, -7, MAX_INTEGER, -MAX_INTEGER])
    def test_exact_integers_are_typed(self, number: int) -> None:
        """Decimal integers that JSON keeps exactly are integers."""
        assert load(f"- {number}\n").value == [number]

    @pytest.mark.parametrize(
        "text,value",
        [
            ('"no"\n', "no"),
            ("--- a\n", "a"),
            ("{}", {}),
            ("[]\n...\n", []),
            ("? a\n: b\n", {"a": "b"}),
            ('{"a":1}', {"a": 1}),
            ('- "\\t\\n\\u00e9\\\\"\n', ["\t\n\u00e9\\"]),
            ("- >-\n  a\n  b\n- 'it''s'\n", ["a b", "it's"]),
            ("a: |2-\n    x\n", {"a": "  x"}),
            ("a: 'x\ty'\n", {"a": "x\ty"}),
            ("a: 'x\n  y'\n", {"a": "x y"}),
            ("a:\n- 'x\n\n  y'\n", {"a": ["x\ny"]}),
        ],
    )
    def test_each_style_of_yaml_has_its_value(self, text: str, value: Any) -> None:
        """Block and flow, quotes and text blocks, and one explicit document are read."""
        assert load(text).value == value


class TestPlaces:
    @pytest.mark.parametrize(
        "path,value,key",
        [
            ((), (2, 1), (2, 1)),
            (("version",), (2, 10), (2, 1)),
            (("goal",), (3, 9), (3, 1)),
            (("steps",), (5, 3), (4, 1)),
            (("steps", 0), (5, 5), (5, 5)),
            (("steps", 0, "input"), (6, 12), (6, 5)),
            (("steps", 0, "input", "max_bytes"), (6, 40), (6, 29)),
            (("steps", 2, 2), (14, 18), (14, 18)),
            (("steps", 0, "absent", "deeper"), (5, 5), (5, 5)),
            (("steps", 9), (5, 3), (5, 3)),
        ],
    )
    def test_values_and_keys_have_places(
        self, path: NodePath, value: tuple[int, int], key: tuple[int, int]
    ) -> None:
        """Line and column count from 1; what does not exist has the place of what holds it."""
        document = load(PLAN)
        assert (document.place(path), document.key_place(path)) == (value, key)

    @pytest.mark.parametrize(
        "path,written",
        [
            (("version",), "1"),
            (("goal",), "'Grüße 🎉'"),
            (("steps", 0, "input"), "{path: utils.py, max_bytes: 10}"),
            (
                ("steps", 0),
                "id: read-utils   # the first\n    input: {path: utils.py, max_bytes: 10}",
            ),
            (("steps", 2), "[true, null, -3]"),
        ],
    )
    def test_spans_cut_values_out_of_the_text(self, path: NodePath, written: str) -> None:
        """A span holds the value as written, without what follows it."""
        document = load(PLAN)
        start, end = document.span(path)
        assert document.text[start:end] == written

    def test_a_text_block_ends_before_the_next_line_that_is_not_its_own(self) -> None:
        """The span of a block, and of what ends with it, leaves the comment after it out."""
        document = load(PLAN)
        ends = {document.span(path)[1] for path in [("steps", 1), ("steps", 1, "input")]}
        assert ends == {PLAN.index("  # between")}

    def test_flow_style_is_told(self) -> None:
        """Braces and brackets are flow style, indentation is not."""
        document = load(PLAN)
        assert document.is_flow(("steps", 0, "input"))
        assert document.is_flow(("steps", 2))
        assert not document.is_flow(("steps", 1, "input"))
        assert not document.is_flow(())

    def test_what_does_not_exist_has_no_span(self) -> None:
        """A span or style of nothing is an error that names the path."""
        with pytest.raises(KeyError, match=r"steps\[7\].id"):
            load(PLAN).span(("steps", 7, "id"))
        with pytest.raises(KeyError, match="none"):
            load(PLAN).is_flow(("none",))

    @pytest.mark.parametrize(
        "path,text",
        [
            ((), ""),
            (("steps", 2, "input", "path"), "steps[2].input.path"),
            ((0, "a-b"), "[0].a-b"),
            (("env", "a.b", "\u202e"), 'env["a.b"]["\\u202e"]'),
        ],
    )
    def test_paths_are_written(self, path: NodePath, text: str) -> None:
        """Keys that are no words are quoted and harmless."""
        assert path_text(path) == text

    def test_problems_carry_path_and_file(self) -> None:
        """Each problem says in which file and under which path it is."""
        found = problems("steps:\n  - input: {path: no}\n  - [a, 1.5]\n")
        assert [(it.file, it.path) for it in found] == [
            ("plan.yaml", "steps[0].input.path"),
            ("plan.yaml", "steps[1][1]"),
        ]


def test_importing_documents_stays_light() -> None:
    """Start-up pays for PyYAML and nothing heavier."""
    script = "import sys, runner.core.documents; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "yaml" in loaded
    assert not loaded & {"pydantic", "jsonschema", "sqlalchemy", "git", "cryptography", "click"}
