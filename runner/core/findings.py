"""What a JSON Schema refuses in a document, in a reviewer's words."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from runner.core import hosts
from runner.core.conforming import exact
from runner.core.plan_checks import MAX_FINDINGS, exactly_one
from runner.core.text import visible
from runner.core.values import parse_time
from runner.core.yaml_nodes import NodePath, path_text
from runner.core.yaml_writer import dump

_SHOWN = 60
_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One refusal; `is_key` where the key at `path` is wrong, not its value."""

    path: NodePath
    code: str
    message: str
    fix: str
    is_key: bool = False


def find(value: Any, schema: Mapping[str, Any]) -> list[Finding]:
    """List what the schema refuses, each once."""
    # A composed schema may share its $id with another: only the whole text tells them apart.
    validator = _compiled(json.dumps(schema))
    found: dict[tuple[NodePath, str, bool], Finding] = {}
    errors = list(islice(validator.iter_errors(value), MAX_FINDINGS))
    for error in errors:
        for finding in _HANDLERS.get(str(error.validator), _other)(error):
            found.setdefault((finding.path, finding.code, finding.is_key), finding)
    # A handler may leave the word to another one; what none explains is refused all the same.
    return list(found.values()) or [each for error in errors for each in _other(error)]


def _is_time(value: object) -> bool:
    return not isinstance(value, str) or bool(parse_time(value))


def _items(
    validator: Validator, items: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """Leave a list that is too long alone: a million bad steps must not cost a million checks."""
    if isinstance(instance, list) and len(instance) <= schema.get("maxItems", len(instance)):
        yield from Draft202012Validator.VALIDATORS["items"](validator, items, instance, schema)


def _pattern(
    _validator: Validator, pattern: str, instance: Any, _schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """Match as JSON Schema does, where `$` does not pass over a line end as in Python."""
    if isinstance(instance, str) and not exact(pattern).search(instance):
        yield ValidationError("does not match")


_Exact = extend(  # type: ignore[no-untyped-call]  # the stubs leave its types out
    Draft202012Validator, {"items": _items, "pattern": _pattern}
)
_FORMATS = FormatChecker(formats=())
_FORMATS.checks("date-time", raises=ValueError)(_is_time)


@cache
def _compiled(schema: str) -> Validator:
    compiled: Validator = _Exact(json.loads(schema), format_checker=_FORMATS)
    return compiled


def shown(value: Any) -> str:
    """Render a value for a message: short, on one line, harmless for a terminal."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = visible(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _label(path: NodePath) -> str:
    """Name a value by its last key and what follows: `context[0]`."""
    names = [number for number, part in enumerate(path) if isinstance(part, str)]
    return f"`{path_text(path[names[-1] :])}`" if names else "the document"


def _like(schema: Mapping[str, Any], otherwise: str) -> str:
    examples = [each for each in schema.get("examples", []) if not isinstance(each, dict | list)]
    return f"for example: {_written(examples[0])}" if examples else otherwise


def _written(value: Any) -> str:
    """Write a value as YAML has it, quoted where it must be."""
    return dump(value).decode().strip()


def _finding(error: ValidationError, code: str, message: str, fix: str) -> Finding:
    path = tuple(error.absolute_path)
    if "propertyNames" in error.absolute_schema_path:
        path, label, is_key = (*path, str(error.instance)), "the key", True
    else:
        label, is_key = _label(path), False
    return Finding(path=path, code=code, message=f"{label} {message}", fix=fix, is_key=is_key)


def _unknown_keys(error: ValidationError) -> dict[str, str]:
    """Map each key that the schema does not know to the one that was probably meant, or ""."""
    schema: Any = error.schema
    if schema.get("additionalProperties") is not False:
        return {}
    instance: Any = error.instance
    known = schema["properties"]
    absent = [key for key in known if key not in instance]
    close = {
        key: difflib.get_close_matches(key, absent, n=1, cutoff=0.5)
        for key in instance
        if key not in known
    }
    return {key: matches[0] if matches else "" for key, matches in close.items()}


def _unknown(error: ValidationError) -> Iterator[Finding]:
    path = tuple(error.absolute_path)
    known: Any = error.schema
    for key, meant in _unknown_keys(error).items():
        fix = f"remove it; known are: {', '.join(known['properties'])}"
        yield Finding(
            path=(*path, key),
            code="unknown_field",
            message=f"the field {shown(key)} is not known here",
            fix=f"did you mean '{meant}'?" if meant else fix,
            is_key=True,
        )


def _missing(error: ValidationError) -> Iterator[Finding]:
    """Report every absent field, but not the one of which an unknown key is a misspelling."""
    path = tuple(error.absolute_path)
    schema: Any = error.schema
    instance: Any = error.instance
    misspelt = set(_unknown_keys(error).values())
    required: Any = error.validator_value
    for name in required:
        if name in instance or name in misspelt:
            continue
        properties = schema.get("properties", {})
        examples = properties.get(name, {}).get("examples", [{}])
        plain = not isinstance(examples[0], dict | list)
        yield Finding(
            path=(*path, name),
            code="missing_field",
            message=f"{_label(path)} has no field '{name}'",
            fix=f"add `{name}: {_written(examples[0])}`" if plain else f"add `{name}`",
        )


def _type(error: ValidationError) -> Iterator[Finding]:
    wanted: Any = error.validator_value
    names = [wanted] if isinstance(wanted, str) else wanted
    words = _KINDS[names[0]]
    schema: Any = error.schema
    fix = _like(schema, f"write {words}")
    if names[0] == "string" and isinstance(error.instance, bool | int):
        fix = f'quote it: "{json.dumps(error.instance)}"'
    yield _finding(error, "wrong_type", f"must be {words}, not {shown(error.instance)}", fix)


def _choice(error: ValidationError) -> Iterator[Finding]:
    given: Any = error.validator_value
    allowed = [each for each in given if each is not None] if error.validator == "enum" else [given]
    words = [str(each) for each in allowed if isinstance(each, str)]
    close = difflib.get_close_matches(str(error.instance), words, n=1)
    names = ", ".join(_written(each) for each in allowed)
    message = f"must be {'one of ' if len(allowed) > 1 else ''}{names}, not {shown(error.instance)}"
    fix = f"did you mean '{close[0]}'?" if close else f"write {_written(allowed[0])}"
    yield _finding(error, "wrong_value", message, fix)


def _format(error: ValidationError) -> Iterator[Finding]:
    schema: Any = error.schema
    message = f"{shown(error.instance)} is no {schema.get('title', 'text of the kind asked for')}"
    if error.validator == "format":
        message += " that exists"
    elif "description" in schema:
        message += f" ({schema['description'].rstrip('.')})"
    fix = _like(schema, "planlock schema")
    if schema.get("title") == "host" and (found := hosts.trouble(str(error.instance))):
        message, fix = f"{shown(error.instance)} {found[0]}", found[1]
    yield _finding(error, "wrong_format", message, fix)


def _size(error: ValidationError) -> Iterator[Finding]:
    keyword, limit = str(error.validator), error.validator_value
    instance: Any = error.instance
    schema: Any = error.schema
    if keyword in {"minimum", "maximum"}:
        bound, way = ("least", "more") if keyword == "minimum" else ("most", "less")
        message = f"must be at {bound} {limit}, not {shown(instance)}"
        yield _finding(error, "out_of_range", message, f"write {limit} or {way}")
        return
    unit = "characters" if keyword.endswith("Length") else "entries"
    if keyword.startswith("max"):
        message = f"has {len(instance)} {unit}; at most {limit} are allowed"
        yield _finding(error, "too_long", message, "shorten it")
    else:
        yield _finding(error, "empty", "is empty", _like(schema, f"give it some {unit}"))


def _one_of(error: ValidationError) -> Iterator[Finding]:
    """Name the fields of which one is wanted: each branch requires one."""
    branches: Any = error.validator_value
    instance: Any = error.instance
    if not isinstance(instance, dict):
        return
    fields: Sequence[str] = [branch["required"][0] for branch in branches if "required" in branch]
    for code, _, message, fix in exactly_one("", fields, instance):
        yield _finding(error, code, message, fix)


def _other(error: ValidationError) -> Iterator[Finding]:
    message = f"breaks the rule `{error.validator}` of its schema"
    yield _finding(error, "schema", message, "planlock schema")


_HANDLERS: Mapping[str, Callable[[ValidationError], Iterator[Finding]]] = {
    "additionalProperties": _unknown,
    "required": _missing,
    "type": _type,
    "enum": _choice,
    "const": _choice,
    "pattern": _format,
    "format": _format,
    "oneOf": _one_of,
    **dict.fromkeys(
        (
            *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
            *("minimum", "maximum"),
        ),
        _size,
    ),
}
