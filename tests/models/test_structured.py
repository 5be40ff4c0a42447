from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
from fake_provider import NUMBER

from runner.core.errors import BadSchema
from runner.core.model_call import Message
from runner.models import structured
from runner.models.structured import MAX_PROBLEMS, MAX_REPEATED, Form, repair

TREE = {
    "$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
    "$ref": "#/$defs/tree",
}
NAMED_REF = {"type": "object", "properties": {"$ref": {"type": "string"}}}


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    "schema,words",
    [
        ({"type": "strin"}, "checking the schema: $.type: 'strin' is not valid"),
        ({"properties": {"a": 3}}, "$.properties.a: 3 is not of type"),
        ({"pattern": "("}, "the pattern '(' in it is no regular expression"),
        ({"items": {"pattern": "(?=a)b"}}, "without lookaround and references back"),
        ({"patternProperties": {r"(a)\1": {}}}, "without lookaround and references back"),
        ({"pattern": "a" * 1001}, "has more than 1000 characters"),
        ({"anyOf": [{}] * 20_000}, "it has more than 10000 parts"),
        ({"items": {"$schema": structured.DIALECT}}, "has an `$schema` of its own"),
        ({"$ref": "#/properties", "properties": {"$schema": {}}}, "no schema at '#/properties'"),
        ({"patternProperties": {"^a": {}}, "unevaluatedProperties": False}, "it has unevaluated…"),
        ({"$ref": "https://example.com/x"}, "refers to another document, 'https://example.com/x'"),
        ({"items": {"$ref": "other.json#/a"}}, "refers to another document"),
        ({"items": [{"$dynamicRef": "file:///etc/passwd"}]}, "is not of type"),
        ({"items": {"$dynamicRef": "file:///etc/passwd"}}, "refers to another document"),
        ({"$ref": "#/$defs/gone"}, "it has nothing at '#/$defs/gone'"),
        ({"$ref": "#"}, "refers to itself without end"),
        ({"allOf": [{"$id": "https://example.com/y"}]}, "has an `$id` of its own"),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#"},
            "it is not of JSON Schema 2020-12",
        ),
        ({"$schema": 7}, "it is not of JSON Schema 2020-12 but '7'"),
        ({"maximum": float("nan")}, "it is no JSON"),
        ({"const": {1, 2}}, "it is no JSON"),
        ({"description": "x" * 256_000}, "bytes, more than 256000"),
        (deep(5000), "nested too deep"),
    ],
)
def test_a_schema_that_cannot_be_checked_is_refused(schema: dict[str, Any], words: str) -> None:
    """Before any money is spent, with what is wrong; nothing is ever fetched."""
    with pytest.raises(BadSchema) as caught:
        Form(schema)
    assert words in caught.value.message
    assert caught.value.hint == "write one document of JSON Schema 2020-12"


@pytest.mark.parametrize(
    "schema",
    [
        {},
        NUMBER,
        TREE,
        NAMED_REF,
        {"$schema": structured.DIALECT, "$id": "https://example.com/me", "$defs": {}},
        {"$id": "https://example.com/me", "$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}},
        {"maximum": 1.5},
    ],
)
def test_a_schema_of_one_document_can_be_checked(schema: Mapping[str, Any]) -> None:
    """References inside of it are followed; a property may be called `$ref`."""
    Form(schema)


@pytest.mark.parametrize(
    "text,problem",
    [
        ('{"n": 4}', ""),
        ('```json\n{"n": 4}\n```', ""),
        ('{"n": "4"}', "$.n: '4' is not of type 'integer'"),
        ("{}", "$: 'n' is a required property"),
        ('{"n": 4, "m": 1}', "$: Additional properties are not allowed ('m' was unexpected)"),
        ("no idea", "$: it is no JSON: Expecting value (line 1, column 1)"),
    ],
)
def test_answers_are_always_checked(text: str, problem: str) -> None:
    """Data that satisfies has no problems; each problem says where it is."""
    checked = Form(NUMBER).read(text)
    assert checked.problems == ((problem,) if problem else ())
    assert checked.data == (None if problem else {"n": 4})


def test_problems_are_few_and_short() -> None:
    """An answer that is wrong a thousand times does not fill the next question."""
    form = Form({"type": "array", "items": {"type": "string", "maxLength": 3}})
    checked = form.check([["x" * 9000]] * 1000)
    assert len(checked.problems) == MAX_PROBLEMS
    assert max(map(len, checked.problems)) < 350
    assert form.check(["a\n" + "b" * 900]).problems[0].startswith("$[0]: 'a\\n")


def test_data_nested_absurdly_deep_does_not_crash() -> None:
    """Neither by itself nor against a schema that follows it down."""
    assert "nested deeper" in Form(TREE).read("[" * 90_000 + "]" * 90_000).problems[0]
    value: list[Any] = []
    for _ in range(3000):
        value = [value]
    assert Form(TREE).check(value).problems == ("$: it is nested too deep to be checked",)


def test_a_schema_is_checked_in_no_time() -> None:
    """A large one of thousands of parts is refused or accepted well within a second."""
    schema = {"$defs": {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(50)}}
    schema["$defs"]["d50"] = {"type": "string"}
    began = time.monotonic()
    Form({**schema, "properties": {f"p{n}": {"type": "string"} for n in range(2000)}})
    assert time.monotonic() - began < 2


def doubled(levels: int, schema: dict[str, Any]) -> dict[str, Any]:
    """Ask twice for what asks twice, and so on."""
    parts = {"d0": schema}
    for n in range(1, levels):
        parts[f"d{n}"] = {"allOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2}
    return {"$defs": parts, "$ref": f"#/$defs/d{levels - 1}"}


@pytest.mark.parametrize("dialect", [{}, {"$schema": structured.DIALECT}])
def test_a_schema_that_multiplies_itself_is_refused(dialect: dict[str, Any]) -> None:
    """Few parts can ask for more checks than anybody can wait for."""
    began = time.monotonic()
    with pytest.raises(BadSchema, match="checking it takes too long"):
        Form(dialect | doubled(34, {"type": "integer"}))
    assert time.monotonic() - began < 10


def test_an_answer_that_takes_too_long_to_be_checked_does_not_satisfy() -> None:
    """A schema that is harmless by itself may multiply with what is answered."""
    tree = {"items": {"allOf": [{"$ref": "#/$defs/t"}, {"$ref": "#/$defs/t"}]}}
    value: list[Any] = []
    for _ in range(40):
        value = [value]
    checked = Form({"$defs": {"t": tree}, "$ref": "#/$defs/t"}).check(value)
    assert checked.problems == ("$: checking it takes too long",)


PATTERN = "^(a+)+$"
NAMES = {"patternProperties": {PATTERN: {"type": "integer"}}, "additionalProperties": False}


@pytest.mark.parametrize(
    "schema,data,problem",
    [
        ({"pattern": PATTERN}, "a" * 9000, ""),
        ({"pattern": PATTERN}, "a" * 40 + "!", "does not match"),
        ({"pattern": PATTERN}, "a" * 10_001, "fits no pattern"),
        (NAMES, {"a" * 40: 1}, ""),
        (NAMES, {"a" * 40: "1"}, "is not of type 'integer'"),
        (NAMES, {"a" * 40 + "!": 1}, "Additional properties are not allowed"),
        (
            {"$schema": structured.DIALECT, "items": {"$ref": "#"}, **NAMES},
            [{"b": 1}],
            "Additional",
        ),
        ({"uniqueItems": True}, [{"a": n} for n in range(9000)], ""),
        ({"uniqueItems": True}, [{"a": 1, "b": 2}, {"b": 2.0, "a": 1}], "non-unique"),
        ({"uniqueItems": True}, [1, True, "1", 0, False, None, [1], ["1"]], ""),
    ],
)
def test_rules_that_could_take_for_ever_do_not(schema: Any, data: Any, problem: str) -> None:
    """Patterns are matched in linear time, and equal elements are found without comparing all."""
    began = time.monotonic()
    problems = Form(schema).check(data).problems
    assert time.monotonic() - began < 2
    assert problem in "".join(problems)
    assert bool(problems) is bool(problem)


def test_a_repair_shows_the_answer_and_what_is_wrong_with_it() -> None:
    """The question stays as it was; a long answer is repeated in part."""
    asked = [Message(role="user", content="Which?")]
    first, said, wrong = repair(asked, '{"n": "4"}', ["$.n: '4' is not of type 'integer'"])
    assert first == asked[0]
    assert (said.role, said.content) == ("assistant", '{"n": "4"}')
    assert wrong.role == "user"
    assert "- $.n: '4' is not of type 'integer'" in wrong.content
    assert repair(asked, "", ["$: x"])[1].content == "(nothing)"
    long = repair(asked, "y" * (MAX_REPEATED + 5), ["$: x"])[1].content
    assert long == "y" * MAX_REPEATED + "\n[… 5 more characters]"
