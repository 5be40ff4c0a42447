from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import schemas
from runner.core import documents, plan_checks, validation
from runner.core.document_problems import check, node_path
from runner.core.documents import path_text
from runner.core.errors import InvalidDocument, Problem
from runner.core.validation import read_plan
from runner.models import config as models

EXAMPLES: Final = Path(__file__).parents[1] / "examples/valid"
FORMATS: Final = {**validation.FORMATS, "models": models.FORMAT}
FILE: Final = "plans/example/plan.yaml"
HEAD: Final = "version: 1\nid: example\ngoal: Say what is wrong\n"
STEP: Final = "- {id: read, step_type: read_file, description: Read, input: {path: a.txt}}\n"

B07: Final = """\
version: 2
id: Add Fact
gaol: the key is misspelt
owner: nobody
budget: {tokens: many}
questions: [1, ""]
steps:
  - id: read
    step_type: read_file
    description: Read
    input: {path: /etc/passwd, max_bytes: "10"}
  - id: read
    step_type: analyze
    description: Names a later step and one that does not exist
    input: {instruction: Compare, context: [edit, read, nothing], temperature: 1}
  - id: edit
    step_type: edit_file
    description: Changes a file in two ways
    input: {path: a.txt, delete: true, new_content: x, mode: "0644"}
  - id: test
    step_type: run_command
    input: {command: make, timeout_s: 0, env: {A B: x}, writes: [../x]}
  - just a text
"""


def refusals(text: str, kind: str = "plan") -> list[Problem]:
    document = documents.parse(text.encode(), file=FILE)
    with pytest.raises(InvalidDocument) as caught:
        validation.read(document, FORMATS[kind], schema=schemas.load(kind))
    return caught.value.problems


def plan_with(step: str) -> str:
    return f"{HEAD}steps:\n{STEP}{step}"


def the_only(text: str) -> Problem:
    (problem,) = refusals(text)
    return problem


def test_B07_every_problem_is_reported_at_once_with_its_place() -> None:
    """Unknown fields, wrong types, version, double ids and later context: all, by line."""
    found = [(each.line, each.column, each.path, each.code) for each in refusals(B07)]
    assert found == [
        (1, 10, "version", "wrong_value"),
        (2, 5, "id", "wrong_format"),
        (3, 1, "gaol", "unknown_field"),
        (4, 1, "owner", "unknown_field"),
        (5, 18, "budget.tokens", "wrong_type"),
        (6, 13, "questions[0]", "wrong_type"),
        (6, 16, "questions[1]", "empty"),
        (11, 19, "steps[0].input.path", "path_absolute"),
        (11, 43, "steps[0].input.max_bytes", "wrong_type"),
        (12, 9, "steps[1].id", "duplicate_step"),
        (15, 45, "steps[1].input.context[0]", "unknown_context"),
        (15, 57, "steps[1].input.context[2]", "unknown_context"),
        (15, 67, "steps[1].input.temperature", "unknown_field"),
        (19, 12, "steps[2].input", "exactly_one"),
        (19, 62, "steps[2].input.mode", "delete_mode"),
        (20, 5, "steps[3].description", "missing_field"),
        (22, 39, "steps[3].input.timeout_s", "out_of_range"),
        (22, 48, 'steps[3].input.env["A B"]', "wrong_format"),
        (22, 66, "steps[3].input.writes[0]", "path_parent"),
        (23, 5, "steps[4]", "wrong_type"),
    ]


def test_B07_every_problem_says_how_to_fix_it() -> None:
    """No problem is without a fix or a message, and each names the file."""
    for problem in refusals(B07):
        assert problem.fix
        assert problem.message
        assert problem.file == FILE


def test_B07_missing_steps_are_placed_at_the_mapping_that_lacks_them() -> None:
    """What is not there has the place of what should hold it, and its own path."""
    problem = the_only("# a comment\n" + HEAD)
    assert (problem.line, problem.column, problem.path) == (2, 1, "steps")
    assert problem.message == "the document has no field 'steps'"


def test_B07_an_unknown_version_is_refused_whatever_else_it_says() -> None:
    """A version is the integer 1, neither true nor a text."""
    for version in ("2", "true", '"1"', "null"):
        problem = the_only(f"{HEAD}steps:\n{STEP}".replace("version: 1", f"version: {version}"))
        assert (problem.path, problem.code) == ("version", "wrong_value")


@pytest.mark.parametrize(
    "key, meant",
    [("step_typ", "step_type"), ("type", "step_type"), ("desc", "description"), ("Input", "input")],
)
def test_a_misspelt_key_is_reported_once_with_what_was_meant(key: str, meant: str) -> None:
    """The unknown key is placed and corrected, and the field that it stands for is not missing."""
    step = STEP.replace(f"{meant}:", f"{key}:")
    problem = the_only(f"{HEAD}steps:\n{step}")
    assert problem.path == f"steps[0].{key}"
    assert problem.column == step.index(key) + 1
    assert problem.message == f'the field "{key}" is not known here'
    assert problem.fix == f"did you mean '{meant}'?"


def test_an_unknown_key_without_a_likeness_lists_the_known_ones() -> None:
    """The fix names every field in the schema's order."""
    problem = the_only(f"{HEAD}zzz: 1\nsteps:\n{STEP}")
    assert problem.fix.startswith("remove it; known are: version, id, goal, base, author")


@pytest.mark.parametrize(
    "step_input, message, fix",
    [
        ("{path: 5}", "`path` must be text, not 5", 'quote it: "5"'),
        ("{path: true}", "`path` must be text, not true", 'quote it: "true"'),
        ("{path: [a]}", "`path` must be text, not a list", "for example: utils.py"),
        ("[path]", "`input` must be a mapping, not a list", "write a mapping"),
        (
            '{path: a, max_bytes: "9"}',
            '`max_bytes` must be a whole number, not "9"',
            "for example: 200000",
        ),
        ('{path: ""}', "`path` is empty", "for example: src/utils.py"),
        (
            "{path: a, max_bytes: 1000001}",
            "`max_bytes` must be at most 1000000, not 1000001",
            "write 1000000 or less",
        ),
        ("{max_bytes: 1}", "`input` has no field 'path'", "add `path: utils.py`"),
    ],
)
def test_messages_speak_to_a_reviewer(step_input: str, message: str, fix: str) -> None:
    """A message names the field, what is asked, and what stands there instead."""
    problem = the_only(
        plan_with(STEP.replace("id: read", "id: b").replace("{path: a.txt}", step_input))
    )
    assert (problem.message, problem.fix) == (message, fix)


def test_a_long_value_is_cut_in_the_message() -> None:
    """Nobody has to scroll through a whole wrong value."""
    problem = the_only(f"{HEAD}base: {'f' * 5000}\nsteps:\n{STEP}")
    assert len(problem.message) < 200
    assert "f…" in problem.message


def test_a_line_end_behind_a_digest_is_refused() -> None:
    """`$` in a pattern is the end of the text, unlike in Python."""
    problem = the_only(f'{HEAD}base: "{"a" * 40}\\n"\nsteps:\n{STEP}')
    assert (problem.path, problem.code) == ("base", "wrong_format")


def test_a_key_and_its_value_are_both_judged() -> None:
    """A mapping with names as keys can be wrong on both sides of the colon."""
    text = (EXAMPLES / "approval.yaml").read_text().replace("  test: sha256:", "  A B: ")
    found = [(each.path, each.message[:7]) for each in refusals(text, "approval")]
    assert found == [('steps["A B"]', "the key"), ('steps["A B"]', '`["A B"')]


@pytest.mark.parametrize("text", ["[]\n", "text\n", "null\n", "1\n"])
@pytest.mark.parametrize("kind", schemas.NAMES)
def test_a_document_that_is_no_mapping_is_refused(kind: str, text: str) -> None:
    """There is one problem, at the document itself."""
    (problem,) = refusals(text, kind)
    assert (problem.path, problem.code, problem.line) == ("", "wrong_type", 1)


def test_B05_a_list_that_is_too_long_is_not_looked_into() -> None:
    """The list is refused as a whole; of other problems there is a bounded number."""
    (problem,) = refusals(f"{HEAD}steps:\n" + "- {id: 5}\n" * 20_000)
    assert problem.message == "`steps` has 20000 entries; at most 1000 are allowed"


def test_B05_the_number_of_problems_is_bounded() -> None:
    """A document may not make its own report huge."""
    context = ", ".join(["nothing"] * 90)
    step = "- {{id: s{}, step_type: analyze, description: d, input: {{instruction: i, context: [{}]}}}}\n"
    found = refusals(f"{HEAD}steps:\n" + "".join(step.format(n, context) for n in range(20)))
    assert len(found) == plan_checks.MAX_FINDINGS


READERS: Final[list[tuple[str, str, Callable[..., tuple[documents.Document, Any]]]]] = [
    ("plan-nulls.yaml", "plan", validation.read_plan),
    ("policy.yaml", "policy", validation.read_policy),
    ("approval.yaml", "approval", validation.read_approval),
    ("run.yaml", "run", validation.read_header),
    ("record-step.yaml", "record", validation.read_record),
]


@pytest.mark.parametrize("name, kind, reader", READERS, ids=[kind for _, kind, _ in READERS])
def test_a_reader_gives_the_document_and_its_typed_form(
    name: str, kind: str, reader: Callable[..., tuple[documents.Document, Any]]
) -> None:
    """The typed form is what the model makes of the value as written."""
    data = (EXAMPLES / name).read_bytes()
    document, value = reader(data, file=name, schema=schemas.load(kind))
    assert document.text.encode() == data
    assert value == validation.FORMATS[kind].build(document.value, file=name)


@pytest.mark.parametrize("name, kind, reader", READERS, ids=[kind for _, kind, _ in READERS])
def test_a_reader_refuses_what_is_no_strict_yaml(
    name: str, kind: str, reader: Callable[..., tuple[documents.Document, Any]]
) -> None:
    """A duplicate key is refused before any schema is asked."""
    data = (EXAMPLES / name).read_bytes() + b"version: 1\n"
    with pytest.raises(InvalidDocument) as caught:
        reader(data, file=name, schema=schemas.load(kind))
    assert [each.code for each in caught.value.problems] == ["duplicate_key"]


def test_the_model_refuses_what_a_wrong_schema_lets_pass() -> None:
    """The model is the second judge, and its problems have places too."""
    text = plan_with("- {id: b, step_type: read_file, description: d, input: {path: 5, x: 1}}\n")
    with pytest.raises(InvalidDocument) as caught:
        read_plan(text.encode(), file=FILE, schema={})
    found = [(each.line, each.path, each.code) for each in caught.value.problems]
    assert found == [(6, "steps[1].input.path", "schema"), (6, "steps[1].input.x", "schema")]
    with pytest.raises(InvalidDocument) as caught:
        read_plan(f"{HEAD}zzz: 1\nsteps:\n{STEP}".encode(), file=FILE, schema={})
    assert [(each.line, each.path) for each in caught.value.problems] == [(4, "zzz")]


@pytest.mark.parametrize(
    "schema",
    [
        {"not": {}},
        {"oneOf": [{"required": ["id"]}, {"required": ["id"], "type": "object"}]},
        {"properties": {"id": {"multipleOf": 2}, "version": {"multipleOf": 2}}},
        {"type": ["null"]},
        {"properties": {"id": {"pattern": "^x$"}}},
    ],
)
def test_a_keyword_that_has_no_words_of_its_own_still_refuses(schema: dict[str, Any]) -> None:
    """Schemas of plugins may use all of JSON Schema; whatever refuses, refuses."""
    document = documents.parse(f"{HEAD}steps:\n{STEP}".encode(), file=FILE)
    (problem,) = check(document, schema)
    assert problem.message
    assert problem.fix


def test_schemas_that_share_an_id_are_not_mistaken_for_each_other() -> None:
    """A composed schema judges by its own content."""
    document = documents.parse(f"{HEAD}steps:\n{STEP}".encode(), file=FILE)
    plain = schemas.load("plan")
    composed = {**plain, "required": [*plain["required"], "base"]}
    assert check(document, plain) == []
    assert [each.path for each in check(document, composed)] == ["base"]


def test_an_edit_of_two_wrong_kinds_is_told_once() -> None:
    """The schema and the checks between fields do not say the same twice."""
    text = plan_with("- {id: b, step_type: edit_file, description: d, input: {path: a}}\n")
    assert the_only(text).code == "exactly_one"


KEYS: Final = st.one_of(
    st.integers(0, 99), st.from_regex(r"[a-z_][a-z0-9_-]{0,8}", fullmatch=True), st.text(max_size=8)
)


@given(st.lists(KEYS, max_size=6))
def test_a_path_can_be_read_back_from_its_text(parts: list[str | int]) -> None:
    """Places of problems are found by their paths, whatever the keys are."""
    assert node_path(path_text(tuple(parts))) == tuple(parts)
