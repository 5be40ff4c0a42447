from __future__ import annotations

from typing import Any

import pytest

from runner.core.conforming import conforms
from runner.core.findings import find

NAMED: dict[str, Any] = {"$defs": {"name": {"type": "string", "minLength": 2}}}


@pytest.mark.parametrize(
    "schema, value",
    [
        ({"uniqueItems": True}, [1, 2]),
        ({"not": {"uniqueItems": True}}, [1, 1]),
        ({"type": "number"}, 1),
        ({"format": "email"}, "a@b"),
        ({"$ref": "other.json#/x"}, 1),
        ({"const": [1]}, [1]),
        ({"enum": [[True]]}, [1]),
        ({"not": {"type": "integer"}}, 0.5),
    ],
    ids=str,
)
def test_what_is_not_known_is_not_said_to_conform(schema: dict[str, Any], value: Any) -> None:
    """Not even where it stands under `not`: then the whole validator is asked."""
    assert not conforms(value, schema)


@pytest.mark.parametrize(
    "schema",
    [
        {**NAMED, "$ref": "#/$defs/name"},
        {**NAMED, "items": {"$ref": "#/$defs/name"}, "minItems": 1, "maxItems": 2},
        {**NAMED, "propertyNames": {"$ref": "#/$defs/name"}, "maxProperties": 1},
        {"properties": {"a": {"const": 1}}, "additionalProperties": False, "minProperties": 1},
        {"properties": {"a": True}, "additionalProperties": {"type": "null"}},
        {"properties": {"a": False}},
        {"required": ["a"]},
        {"pattern": "^a$"},
        {"pattern": r"a\$"},
        {"format": "date-time"},
        {"enum": [1, None, "a"]},
        {"const": True},
        {"type": ["integer", "null"]},
        {"type": "boolean"},
        {"minimum": 1, "maximum": 2},
        {"maxLength": 2},
        {"oneOf": [{"type": "string"}, {"maxLength": 2}]},
        {"allOf": [{"minLength": 1}, {"maxLength": 1}]},
        {"if": {"type": "string"}, "then": {"const": "a"}, "else": {"type": "array"}},
        {"if": {"type": "string"}, "else": {"type": "array"}},
        {"not": {"required": ["a"]}},
    ],
    ids=str,
)
def test_each_keyword_judges_as_the_whole_validator(schema: dict[str, Any]) -> None:
    """Values of every type, at both sides of each bound."""
    values: tuple[Any, ...] = (
        *(None, True, False, 0, 1, 2, 3, "", "a", "a\n", "ab", "abc", "a$", "é"),
        *("2026-02-28T10:00:00Z", "2026-02-30T10:00:00Z"),
        *([], [1], ["a"], ["ab"], ["ab", "ab"], ["ab", "ab", "ab"], [[]]),
        *({}, {"a": 1}, {"a": True}, {"a": 2}, {"b": None}, {"ab": 1}, {"ab": 1, "abc": 1}),
    )
    judged = [conforms(value, schema) for value in values]
    assert judged == [not find(value, schema) for value in values]
    assert len(set(judged)) == 2
