"""Data that satisfies a JSON Schema: the schema is checked first, every answer afterwards.

A provider may enforce the schema, or a part or an older copy of it: its word is not relied on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import SchemaError
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from runner.core.errors import BadSchema
from runner.core.model_call import Message
from runner.models.json_answer import parse
from runner.models.schema_rules import Bounded, TooMuchWork, bounded, pattern_of

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
MAX_SCHEMA_BYTES: Final = 256_000
MAX_PARTS: Final = 10_000
MAX_PROBLEMS: Final = 10
MAX_PROBLEM: Final = 300
MAX_REPEATED: Final = 8_000
_REFERENCES: Final = ("$ref", "$dynamicRef")
_OF_THE_WHOLE: Final = ("$id", "$schema")
_UNEVALUATED: Final = frozenset({"unevaluatedItems", "unevaluatedProperties"})
_NOT_BESIDE: Final = frozenset({"dependentSchemas", "patternProperties"})
_TRIED: Final[tuple[Any, ...]] = (None, "", 0, [], {})


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What an answer holds; `problems` say why it does not satisfy, data is None then."""

    data: Any = None
    problems: tuple[str, ...] = ()


class Form:
    """A schema that can be checked; raises BadSchema for one that cannot."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        try:
            with bounded():
                _check(schema)
        except RecursionError:
            raise _bad("it is nested too deep, or refers to itself without end") from None
        except TooMuchWork as error:
            raise _bad(str(error)) from None
        self._validator = _validator(schema)

    def read(self, text: str) -> Checked:
        """Find the value in what a model said, and check it."""
        try:
            data = parse(text)
        except ValueError as error:
            return Checked(problems=(f"$: {error}",))
        return self.check(data)

    def check(self, data: Any) -> Checked:
        try:
            with bounded():
                problems = [_told(each) for each in self._errors(data)]
        except RecursionError:
            problems = ["$: it is nested too deep to be checked"]
        except TooMuchWork as error:
            problems = [f"$: {error}"]
        return Checked(problems=tuple(problems)) if problems else Checked(data=data)

    def _errors(self, data: Any) -> Iterator[ValidationError]:
        return islice(self._validator.iter_errors(data), MAX_PROBLEMS)


def repair(messages: Sequence[Message], said: str, problems: Sequence[str]) -> list[Message]:
    """The question once more, with the answer that was wrong and what was wrong about it."""
    listed = "\n".join(f"- {each}" for each in problems)
    return [
        *messages,
        Message(role="assistant", content=_repeated(said)),
        Message(
            role="user",
            content=f"That answer does not satisfy the JSON Schema:\n{listed}\n"
            "Answer again with the whole corrected JSON value and nothing else.",
        ),
    ]


def _repeated(said: str) -> str:
    if len(said) <= MAX_REPEATED:
        return said or "(nothing)"
    return f"{said[:MAX_REPEATED]}\n[… {len(said) - MAX_REPEATED} more characters]"


def _told(error: ValidationError | SchemaError) -> str:
    message = " ".join(error.message[: 2 * MAX_PROBLEM].split())
    short = message if len(message) <= MAX_PROBLEM else f"{message[:MAX_PROBLEM]}…"
    return f"{error.json_path[:MAX_PROBLEM]}: {short}"


def _check(schema: Mapping[str, Any]) -> None:
    """Refuse what is no schema, is huge, leaves this document or never ends."""
    _check_text(schema)
    _check_parts(schema)
    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        raise _bad(_told(error)) from error
    resolver = _registry(schema).resolver_with_root(DRAFT202012.create_resource(schema))
    for reference in _references(schema):
        try:
            found = resolver.lookup(reference).contents
        except Unresolvable:
            raise _bad(f"it has nothing at {reference[:100]!r}") from None
        if isinstance(found, Mapping) and not isinstance(found.get("$schema", ""), str):
            raise _bad(f"it has no schema at {reference[:100]!r}")
    for each in _TRIED:
        _validator(schema).is_valid(each)


def _check_parts(schema: Mapping[str, Any]) -> None:
    """Refuse what may take for ever: patterns, rules that match them unbounded, parts in masses."""
    names = set[str]()
    for number, place in enumerate(_mappings(schema)):
        if number == MAX_PARTS:
            raise _bad(f"it has more than {MAX_PARTS} parts")
        names |= place.keys()
        named = place.get("patternProperties")
        patterns = [place.get("pattern"), *(named if isinstance(named, Mapping) else ())]
        for pattern in patterns:
            if isinstance(pattern, str):
                _check_pattern(pattern)
    if names & _UNEVALUATED and names & _NOT_BESIDE:
        raise _bad("it has unevaluated… beside patternProperties or dependentSchemas")


def _check_pattern(pattern: str) -> None:
    try:
        pattern_of(pattern)
    except ValueError as error:
        raise _bad(str(error)) from None


def _check_text(schema: Mapping[str, Any]) -> None:
    try:
        size = len(json.dumps(schema, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError) as error:
        raise _bad(f"it is no JSON: {error}") from error
    if size > MAX_SCHEMA_BYTES:
        raise _bad(f"it has {size} bytes, more than {MAX_SCHEMA_BYTES}")
    dialect = schema.get("$schema", DIALECT)
    if not isinstance(dialect, str) or dialect.removesuffix("#") != DIALECT:
        raise _bad(f"it is not of JSON Schema 2020-12 but {str(dialect)[:100]!r}")


def _references(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the schema refers to; raises BadSchema for another document, never fetched."""
    for place in _mappings(schema):
        for name in _OF_THE_WHOLE:
            if place is not schema and isinstance(place.get(name), str):
                raise _bad(f"a part of it has an `{name}` of its own")
        for name in _REFERENCES:
            reference = place.get(name)
            if isinstance(reference, str):
                if not reference.startswith("#"):
                    raise _bad(f"it refers to another document, {reference[:100]!r}")
                yield reference


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
        for each in value.values():
            yield from _mappings(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _mappings(each)


def _validator(schema: Mapping[str, Any]) -> Validator:
    """Check by this document alone; one that names its dialect would get rules without bounds."""
    rules = {key: value for key, value in schema.items() if key != "$schema"}
    return Bounded(rules, registry=_registry(rules))


def _registry(schema: Mapping[str, Any]) -> Registry[Any]:
    """Hold this document alone, so that nothing is fetched, with its anchors found already."""
    resource = DRAFT202012.create_resource(schema)
    alone: Registry[Any] = Registry().with_resource(resource.id() or "", resource)
    return alone.crawl()


def _bad(why: str) -> BadSchema:
    return BadSchema(
        f"checking the schema: {why}", hint="write one document of JSON Schema 2020-12"
    )
