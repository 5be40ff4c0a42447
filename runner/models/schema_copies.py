"""Copies of a JSON Schema as far as a provider can enforce it; the router checks the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

Node = dict[str, Any]

# llama.cpp expands each bound into so many grammar rules, and refuses from 2000 on.
MAX_REPETITIONS: Final = 1000

_NAMED: Final = {"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"}
_LISTED: Final = {"anyOf", "oneOf", "allOf", "prefixItems"}
_SINGLE: Final = {
    *("items", "additionalProperties", "not", "if", "then", "else", "contains"),
    *("propertyNames", "unevaluatedItems", "unevaluatedProperties"),
}
_REPEATS: Final = {"minLength", "maxLength", "minItems", "maxItems"}
_STRICT: Final = {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf"),
    *("$ref", "$defs", "definitions", "title", "description", "pattern", "format", "multipleOf"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems"),
}
_SAYS_LITTLE: Final = {
    *("minLength", "maxLength", "uniqueItems", "default", "examples", "$schema", "$id"),
    *("$comment", "minProperties", "maxProperties"),
}
_STRICT_FORMATS: Final = {
    *("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"),
}
_GEMINI: Final = {
    *("$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum"),
    *("items", "prefixItems", "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf"),
    *("properties", "additionalProperties", "required", "propertyOrdering"),
}


def for_grammar(schema: Mapping[str, Any]) -> Node:
    """For servers that compile a grammar (llama.cpp, vLLM): bounds that they can count to."""
    return _rewritten(schema, _countable)


def for_strict(schema: Mapping[str, Any]) -> tuple[Node, bool]:
    """For OpenAI: the copy that strict mode takes and true, else the schema itself and false."""
    copy = _rewritten(schema, _without_little)
    fits = is_strict(copy)
    return (copy, True) if fits else (dict(schema), False)


def for_gemini(schema: Mapping[str, Any]) -> Node:
    """For Gemini: the keywords that its `responseJsonSchema` knows."""
    return _rewritten(schema, _known_to_gemini)


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Tell whether OpenAI's strict mode takes the schema: objects closed, everything required."""
    if schema.get("type") != "object" or "anyOf" in schema:
        return False
    return all(_is_strict_node(node) for node in _nodes(schema))


def _countable(node: Node) -> Node:
    kept = {
        key: value
        for key, value in node.items()
        if key not in _REPEATS or (isinstance(value, int) and value <= MAX_REPETITIONS)
    }
    pattern = kept.get("pattern")
    if isinstance(pattern, str) and not _plain_pattern(pattern):
        del kept["pattern"]
    return kept


def _plain_pattern(pattern: str) -> bool:
    """A grammar is built of whole patterns without lookaround."""
    return pattern.startswith("^") and pattern.endswith("$") and "(?" not in pattern


def _without_little(node: Node) -> Node:
    kept = {key: value for key, value in node.items() if key not in _SAYS_LITTLE}
    if "(?" in str(kept.get("pattern", "")):
        del kept["pattern"]
    if kept.get("format", "date") not in _STRICT_FORMATS:
        del kept["format"]
    return kept


def _known_to_gemini(node: Node) -> Node:
    kept = {key: value for key, value in node.items() if key in _GEMINI}
    if "const" in node:
        kept["enum"] = [node["const"]]
    return kept


def _is_strict_node(node: Any) -> bool:
    if not isinstance(node, Mapping) or not node.keys() <= _STRICT:
        return False
    if "properties" in node or node.get("type") == "object":
        closed = node.get("additionalProperties") is False
        return closed and set(node.get("properties", ())) == set(node.get("required", ()))
    return bool(node.keys() & {"type", "enum", "const", "anyOf", "$ref"})


def _nodes(node: Any) -> Iterator[Any]:
    """The schema and each one inside it; `additionalProperties: false` is none."""
    yield node
    for key, value in node.items() if isinstance(node, Mapping) else ():
        for inner in _inner(key, value):
            yield from _nodes(inner)


def _inner(key: str, value: Any) -> list[Any]:
    if key in _NAMED and isinstance(value, Mapping):
        return list(value.values())
    if key in _LISTED and isinstance(value, list):
        return value
    return [value] if key in _SINGLE and not isinstance(value, bool) else []


def _inside(value: Any, change: Callable[[Node], Node]) -> Any:
    return _rewritten(value, change) if isinstance(value, Mapping) else value


def _rewritten(node: Mapping[str, Any], change: Callable[[Node], Node]) -> Node:
    """A copy in which each schema went through `change`; a property may bear any name."""
    copy = change(dict(node))
    for key, value in copy.items():
        if key in _NAMED and isinstance(value, Mapping):
            copy[key] = {name: _inside(each, change) for name, each in value.items()}
        elif key in _LISTED and isinstance(value, list):
            copy[key] = [_inside(each, change) for each in value]
        elif key in _SINGLE:
            copy[key] = _inside(value, change)
    return copy
