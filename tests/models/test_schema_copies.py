"""Copies of schemas for providers: never stricter than the schema itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from runner.models.schema_copies import for_gemini, for_grammar, for_strict, is_strict


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "schema",
    [
        closed(a={"type": "string"}),
        closed(a=closed(b={"enum": ["x"]}), c={"type": "array", "items": {"type": "null"}}),
        closed(a={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        {**closed(a={"$ref": "#/$defs/n"}), "$defs": {"n": closed(a={"type": "integer"})}},
        closed(allOf={"type": "string", "pattern": "^x$"}),
    ],
)
def test_strict_schemas_are_known(schema: dict[str, Any]) -> None:
    """Closed objects that require everything, all the way down; properties bear any names."""
    assert is_strict(schema)
    assert for_strict(schema) == (schema, True)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}},
        {**closed(a={"type": "string"}), "required": []},
        {**closed(a={"type": "string"}), "additionalProperties": True},
        {"type": "object"},
        closed(a={"oneOf": [{"type": "string"}]}),
        closed(a={"allOf": [{"type": "string"}]}),
        closed(a={}),
        closed(a=True),
        closed(a={"type": "array", "items": closed(b={"not": {}})}),
        {**closed(a={"type": "string"}), "anyOf": [{}]},
        {**closed(a={"$ref": "#/$defs/n"}), "$defs": {"n": {"type": "object"}}},
    ],
)
def test_other_schemas_go_as_they_are(schema: dict[str, Any]) -> None:
    """Without strictness OpenAI takes any schema."""
    assert for_strict(schema) == (schema, False)


def test_what_strict_mode_does_not_know_stays_out() -> None:
    """Lengths, defaults, lookaround and unknown formats cost a schema nothing but themselves."""
    text = {"type": "string", "maxLength": 9, "default": "x", "format": "uri", "pattern": "(?=a)"}
    dated = {"type": "string", "format": "date", "pattern": "^[0-9-]+$"}
    schema = closed(a=text, maxLength=dated)
    assert for_strict(schema) == (closed(a={"type": "string"}, maxLength=dated), True)


def test_a_grammar_gets_whole_patterns_alone() -> None:
    """llama.cpp refuses patterns that are not anchored, and lookaround."""
    patterns = ["^a$", "a", "^(?!a)b$", "^a"]
    copies = [for_grammar({"type": "string", "pattern": each}) for each in patterns]
    assert ["pattern" in each for each in copies] == [True, False, False, False]


BOUND = st.one_of(st.integers(0, 5), st.integers(990, 3000))
LEAF = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "array", "integer"])},
    optional={
        "maxLength": BOUND,
        "minLength": st.just(0),
        "maxItems": BOUND,
        "pattern": st.sampled_from(["^a*$", "a", "(?=a)"]),
        "minimum": st.integers(-3, 3),
        "const": st.sampled_from(["a", 1]),
        "uniqueItems": st.booleans(),
    },
)
SCHEMAS = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.builds(lambda each: {"type": "array", "items": each, "maxItems": 2000}, inner),
        st.builds(lambda each: {"anyOf": [each, {"type": "null"}]}, inner),
        st.dictionaries(st.sampled_from(["maxLength", "b", "const"]), inner, max_size=2).map(
            lambda found: closed(**found)
        ),
    ),
    max_leaves=6,
)
VALUES = st.recursive(
    st.one_of(st.none(), st.integers(-4, 4), st.text("ab", max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["maxLength", "b", "const"]), inner, max_size=2),
    ),
    max_leaves=6,
)


@given(SCHEMAS, VALUES)
def test_a_copy_never_forbids_what_the_schema_allows(schema: dict[str, Any], value: Any) -> None:
    """Enforcement may be looser, never tighter; and the schema itself stays as it was."""
    before = repr(schema)
    copies = [for_grammar(schema), for_gemini(schema), for_strict(schema)[0]]
    assert repr(schema) == before
    if Draft202012Validator(schema).is_valid(value):
        assert all(Draft202012Validator(copy).is_valid(value) for copy in copies)
