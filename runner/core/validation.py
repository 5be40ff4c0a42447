"""From bytes to typed values: strict YAML, then the schema, then the model; all problems at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from runner.core import approval, documents, plan, plan_checks, policy, policy_checks, record, run
from runner.core.document_problems import CrossChecks, Schema, check, no_checks, placed
from runner.core.documents import Document
from runner.core.errors import InvalidDocument
from runner.core.yaml_canonical import read_canonical

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Format(Generic[T]):
    """One kind of file; `build` types a value, and is the second judge after the schema."""

    build: Callable[..., T]
    cross_checks: CrossChecks = no_checks


PLAN = Format(build=plan.build, cross_checks=plan_checks.cross_checks)
POLICY = Format(build=policy.build, cross_checks=policy_checks.cross_checks)
APPROVAL = Format(build=approval.build)
HEADER = Format(build=run.build_header)
RECORD = Format(build=record.build_record)

# By the name of the schema.
FORMATS: Mapping[str, Format[Any]] = {
    "plan": PLAN,
    "policy": POLICY,
    "approval": APPROVAL,
    "run": HEADER,
    "record": RECORD,
}


def read(document: Document, form: Format[T], *, schema: Schema) -> T:
    """Type a document; raises InvalidDocument with every problem, each with its place."""
    problems = check(document, schema, cross_checks=form.cross_checks)
    if problems:
        raise InvalidDocument(problems)
    try:
        return form.build(document.value, file=document.file)
    except InvalidDocument as error:
        raise InvalidDocument(sorted(placed(document, each) for each in error.problems)) from error


def read_plan(data: bytes, *, file: str, schema: Schema) -> tuple[Document, plan.PlanFile]:
    return _parse_and_read(data, PLAN, file=file, schema=schema)


def read_policy(data: bytes, *, file: str, schema: Schema) -> tuple[Document, policy.PolicyFile]:
    return _parse_and_read(data, POLICY, file=file, schema=schema)


def read_approval(data: bytes, *, file: str, schema: Schema) -> tuple[Document, approval.Approval]:
    return _parse_and_read(data, APPROVAL, file=file, schema=schema)


def read_header(data: bytes, *, file: str, schema: Schema) -> tuple[Document, run.RunHeader]:
    return _parse_and_read(data, HEADER, file=file, schema=schema)


def read_record(data: bytes, *, file: str, schema: Schema) -> tuple[Document, record.Record]:
    return _parse_and_read(data, RECORD, file=file, schema=schema)


def read_stored(data: bytes, form: Format[T], *, file: str, schema: Schema) -> T:
    """Type what planlock itself writes, fast where it is written just so; raises InvalidDocument.

    The models judge as the schemas do, but for a version that is `true`.
    """
    value = read_canonical(data)
    if value is not None and value.get("version") is not True:
        with suppress(InvalidDocument):  # read in full it is told with its places
            return form.build(value, file=file)
    return _parse_and_read(data, form, file=file, schema=schema)[1]


def _parse_and_read(
    data: bytes, form: Format[T], *, file: str, schema: Schema
) -> tuple[Document, T]:
    document = documents.parse(data, file=file)
    return document, read(document, form, schema=schema)
