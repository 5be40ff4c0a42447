"""Rules of JSON Schema whose work is bounded, whoever wrote the schema and the answer.

They are those of jsonschema, but each step counts, and patterns are matched in linear time by an
engine that knows neither lookaround nor references back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.protocols import Validator
from pydantic_core import SchemaError, SchemaValidator, core_schema

MOST_WORK: Final = 250_000
MAX_PATTERN: Final = 1_000
MAX_MATCHED: Final = 10_000
_Rule = Callable[[Any, Any, Any, Any], Iterable[ValidationError] | None]


class TooMuchWork(Exception):
    """Checking would take longer than anything sensible does."""


@dataclass
class _Meter:
    left: int


_METER: ContextVar[_Meter] = ContextVar("meter")


@contextmanager
def bounded() -> Iterator[None]:
    """Let checks in here take so many steps together; they raise TooMuchWork after that."""
    token = _METER.set(_Meter(MOST_WORK))
    try:
        yield
    finally:
        _METER.reset(token)


@lru_cache(maxsize=256)
def pattern_of(pattern: str) -> SchemaValidator:
    """Compile a pattern; raises ValueError for one that cannot be matched in linear time."""
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern in it has more than {MAX_PATTERN} characters")
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, strict=True))
    except SchemaError:
        message = "is no regular expression without lookaround and references back, or too large"
        raise ValueError(f"the pattern {pattern[:100]!r} in it {message}") from None


def _spend(steps: int) -> None:
    meter = _METER.get()
    meter.left -= steps
    if meter.left < 0:
        raise TooMuchWork("checking it takes too long")


def _size(value: Any) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _counted(rule: _Rule) -> _Rule:
    def check(
        validator: Any, value: Any, instance: Any, schema: Any
    ) -> Iterable[ValidationError] | None:
        _spend(1 + (_size(value) + _size(instance)) // 10)
        return rule(validator, value, instance, schema)

    return check


def _matches(pattern: str, text: str) -> bool:
    _spend(1 + len(text))
    if len(text) > MAX_MATCHED:
        raise TooMuchWork(f"a text of more than {MAX_MATCHED} characters fits no pattern")
    return pattern_of(pattern).isinstance_python(text)


def _pattern(
    _validator: Any, pattern: str, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    for pattern, inner in patterns.items() if isinstance(instance, dict) else ():
        for name, value in instance.items():
            if _matches(pattern, name):
                yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional(
    validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterable[ValidationError] | None:
    """Leave what a pattern names to the pattern, then it is as if there were none."""
    patterns = schema.get("patternProperties")
    if patterns and isinstance(instance, dict):
        schema = {key: each for key, each in schema.items() if key != "patternProperties"}
        instance = {
            name: each
            for name, each in instance.items()
            if not any(_matches(pattern, name) for pattern in patterns)
        }
    return _RULES["additionalProperties"](validator, value, instance, schema)


def _unique(_validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(instance, list):
        written = {json.dumps(_plain(each), sort_keys=True) for each in instance}
        if len(written) < len(instance):
            yield ValidationError(f"{instance!r} has non-unique elements")


def _plain(value: Any) -> Any:
    """Write equal numbers alike: 1.0 is 1."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


_RULES: Final[Mapping[str, _Rule]] = Draft202012Validator.VALIDATORS
_OWN: Final[Mapping[str, _Rule]] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "uniqueItems": _unique,
}
Bounded: Final[type[Validator]] = validators.extend(  # type: ignore[no-untyped-call]  # it has none
    Draft202012Validator, {name: _counted(rule) for name, rule in {**_RULES, **_OWN}.items()}
)
