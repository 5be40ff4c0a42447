"""Whether a value obeys a schema of ours, told fast; why it does not is told by `findings`.

Only the keywords that our schemas use are known: of any other, it is not said that a value obeys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Sized
from functools import cache
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]
# Takes what the keyword says, the value, the schema around the keyword and the whole schema.
Judge: TypeAlias = Callable[[Any, Any, Schema, Schema], bool]

_DEFINITIONS = "#/$defs/"
_LAST_DOLLAR = re.compile(r"(?<!\\)\$$")
_TYPES: Mapping[str, type] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}


class _Unknown(Exception):
    """The schema says something that is not judged here."""


def conforms(value: Any, schema: Schema) -> bool:
    """Tell whether a value of plain types surely obeys; a refusal may be ignorance."""
    try:
        return _obeys(value, schema, schema)
    except _Unknown:
        return False


@cache
def exact(pattern: str) -> re.Pattern[str]:
    """Compile as JSON Schema means it: `$` does not pass over a line end as in Python."""
    return re.compile(_LAST_DOLLAR.sub(r"\\Z", pattern))


def _obeys(value: Any, schema: Any, root: Schema) -> bool:
    if isinstance(schema, bool):
        return schema
    if isinstance(value, float):
        raise _Unknown("a number with a fraction, which no document of ours has")
    return all(
        _judge(keyword)(given, value, schema, root)
        for keyword, given in schema.items()
        if keyword not in _NOTES
    )


def _judge(keyword: str) -> Judge:
    judge = _JUDGES.get(keyword)
    if judge is None:
        raise _Unknown(keyword)
    return judge


def _ref(target: str, value: Any, _schema: Schema, root: Schema) -> bool:
    if not target.startswith(_DEFINITIONS):
        raise _Unknown(target)
    return _obeys(value, root["$defs"][target.removeprefix(_DEFINITIONS)], root)


def _type(names: str | Sequence[str], value: Any, _schema: Schema, _root: Schema) -> bool:
    wanted = [names] if isinstance(names, str) else names
    if not _TYPES.keys() >= set(wanted):
        raise _Unknown(str(names))
    return any(type(value) is _TYPES[name] for name in wanted)


def _enum(allowed: Sequence[Any], value: Any, _schema: Schema, _root: Schema) -> bool:
    return any(_is_same(each, value) for each in allowed)


def _is_same(one: Any, other: Any) -> bool:
    """Compare scalars, where True is no 1 as it is in Python."""
    if isinstance(one, dict | list):
        raise _Unknown(str(one))
    return type(one) is type(other) and bool(one == other)


def _pattern(pattern: str, value: Any, _schema: Schema, _root: Schema) -> bool:
    return not isinstance(value, str) or bool(exact(pattern).search(value))


def _format(name: str, value: Any, _schema: Schema, _root: Schema) -> bool:
    from runner.core.values import parse_time

    if name != "date-time":
        raise _Unknown(name)
    try:
        return not isinstance(value, str) or bool(parse_time(value))
    except ValueError:
        return False


def _required(names: Sequence[str], value: Any, _schema: Schema, _root: Schema) -> bool:
    return not isinstance(value, dict) or all(name in value for name in names)


def _properties(given: Schema, value: Any, _schema: Schema, root: Schema) -> bool:
    return not isinstance(value, dict) or all(
        _obeys(each, given[key], root) for key, each in value.items() if key in given
    )


def _additional(given: Any, value: Any, schema: Schema, root: Schema) -> bool:
    if given is True or not isinstance(value, dict):
        return True
    known = schema.get("properties", {})
    return all(_obeys(each, given, root) for key, each in value.items() if key not in known)


def _names(given: Schema, value: Any, _schema: Schema, root: Schema) -> bool:
    return not isinstance(value, dict) or all(_obeys(key, given, root) for key in value)


def _items(given: Schema, value: Any, schema: Schema, root: Schema) -> bool:
    if not isinstance(value, list):
        return True
    # A million bad items of a list that is too long must not cost a million checks.
    within = len(value) <= schema.get("maxItems", len(value))
    return within and all(_obeys(each, given, root) for each in value)


def _all_of(branches: Sequence[Schema], value: Any, _schema: Schema, root: Schema) -> bool:
    return all(_obeys(value, branch, root) for branch in branches)


def _one_of(branches: Sequence[Schema], value: Any, _schema: Schema, root: Schema) -> bool:
    return sum(_obeys(value, branch, root) for branch in branches) == 1


def _if(given: Schema, value: Any, schema: Schema, root: Schema) -> bool:
    then = "then" if _obeys(value, given, root) else "else"
    return _obeys(value, schema.get(then, True), root)


def _not(given: Schema, value: Any, _schema: Schema, root: Schema) -> bool:
    return not _obeys(value, given, root)


def _least(kind: type[Sized]) -> Judge:
    return lambda given, value, *_: not isinstance(value, kind) or len(value) >= given


def _most(kind: type[Sized]) -> Judge:
    return lambda given, value, *_: not isinstance(value, kind) or len(value) <= given


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_JUDGES: Mapping[str, Judge] = {
    "$ref": _ref,
    "type": _type,
    "enum": _enum,
    "const": lambda given, value, *_: _is_same(given, value),
    "pattern": _pattern,
    "format": _format,
    "minLength": _least(str),
    "maxLength": _most(str),
    "minItems": _least(list),
    "maxItems": _most(list),
    "minProperties": _least(dict),
    "maxProperties": _most(dict),
    "minimum": lambda given, value, *_: not _is_number(value) or value >= given,
    "maximum": lambda given, value, *_: not _is_number(value) or value <= given,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "items": _items,
    "allOf": _all_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
}
# What says nothing about a value, or is read where its neighbour is judged.
_NOTES = frozenset(
    {
        *("$schema", "$id", "$defs", "title", "description", "examples", "default"),
        *("then", "else"),
    }
)
