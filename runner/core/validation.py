"""From bytes to typed values: strict YAML, then the schema, then the model; all problems at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Generic, TypeVar

from runner.core import approval, documents, plan, policy, policy_checks, run
from runner.core.documents import Document, NodePath, path_text
from runner.core.errors import InvalidDocument, Problem
from runner.core.findings import MAX_FINDINGS, Finding, find

T = TypeVar("T")
Schema = Mapping[str, Any]
CrossChecks = Callable[[Any], Iterable[plan.Check]]

_STEP = re.compile(r'\[(?P<index>[0-9]+)\]|\[(?P<quoted>"(?:[^"\\]|\\.)*")\]|\.?(?P<key>[^.\[\]]+)')


def no_checks(_value: Any) -> Iterable[plan.Check]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Format(Generic[T]):
    """One kind of file; `build` types a value, and is the second judge after the schema."""

    build: Callable[..., T]
    cross_checks: CrossChecks = no_checks


PLAN = Format(build=plan.build, cross_checks=plan.cross_checks)
POLICY = Format(build=policy.build, cross_checks=policy_checks.cross_checks)
APPROVAL = Format(build=approval.build)
HEADER = Format(build=run.build_header)
RECORD = Format(build=run.build_record)

# By the name of the schema.
FORMATS: Mapping[str, Format[Any]] = {
    "plan": PLAN,
    "policy": POLICY,
    "approval": APPROVAL,
    "run": HEADER,
    "record": RECORD,
}


def check(
    document: Document, schema: Schema, *, cross_checks: CrossChecks = no_checks
) -> list[Problem]:
    """List every problem by line: those of the schema, and those between fields and steps."""
    problems = [_of_finding(document, each) for each in find(document.value, schema)]
    places = {each.path for each in problems}
    checks = plan.check_problems(
        islice(cross_checks(document.value), MAX_FINDINGS), file=document.file
    )
    # Where the schema has spoken, a second word about the same value would only confuse.
    problems += [_placed(document, each) for each in checks if each.path not in places]
    return sorted(problems)


def read(document: Document, form: Format[T], *, schema: Schema) -> T:
    """Type a document; raises InvalidDocument with every problem, each with its place."""
    problems = check(document, schema, cross_checks=form.cross_checks)
    if problems:
        raise InvalidDocument(problems)
    try:
        return form.build(document.value, file=document.file)
    except InvalidDocument as error:
        raise InvalidDocument(sorted(_placed(document, each) for each in error.problems)) from error


def read_plan(data: bytes, *, file: str, schema: Schema) -> tuple[Document, plan.PlanFile]:
    return _parse_and_read(data, PLAN, file=file, schema=schema)


def read_policy(data: bytes, *, file: str, schema: Schema) -> tuple[Document, policy.PolicyFile]:
    return _parse_and_read(data, POLICY, file=file, schema=schema)


def read_approval(data: bytes, *, file: str, schema: Schema) -> tuple[Document, approval.Approval]:
    return _parse_and_read(data, APPROVAL, file=file, schema=schema)


def read_header(data: bytes, *, file: str, schema: Schema) -> tuple[Document, run.RunHeader]:
    return _parse_and_read(data, HEADER, file=file, schema=schema)


def read_record(data: bytes, *, file: str, schema: Schema) -> tuple[Document, run.Record]:
    return _parse_and_read(data, RECORD, file=file, schema=schema)


def node_path(text: str) -> NodePath:
    """Read what `path_text` wrote."""
    return tuple(
        int(part["index"])
        if part["index"]
        else json.loads(part["quoted"])
        if part["quoted"]
        else part["key"]
        for part in _STEP.finditer(text)
    )


def _parse_and_read(
    data: bytes, form: Format[T], *, file: str, schema: Schema
) -> tuple[Document, T]:
    document = documents.parse(data, file=file)
    return document, read(document, form, schema=schema)


def _of_finding(document: Document, found: Finding) -> Problem:
    line, column = (document.key_place if found.is_key else document.place)(found.path)
    return Problem(
        file=document.file,
        line=line,
        column=column,
        path=path_text(found.path),
        code=found.code,
        message=found.message,
        fix=found.fix,
    )


def _placed(document: Document, problem: Problem) -> Problem:
    line, column = document.place(node_path(problem.path))
    return replace(problem, line=line, column=column)
