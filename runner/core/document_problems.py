"""What is wrong with a document, each problem with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from runner.core.conforming import conforms
from runner.core.documents import Document, NodePath, path_text
from runner.core.errors import Problem
from runner.core.plan_checks import MAX_FINDINGS, Check, check_problems

if TYPE_CHECKING:
    from runner.core.findings import Finding

Schema: TypeAlias = Mapping[str, Any]
CrossChecks: TypeAlias = Callable[[Any], Iterable[Check]]

_STEP = re.compile(r'\[(?P<index>[0-9]+)\]|\[(?P<quoted>"(?:[^"\\]|\\.)*")\]|\.?(?P<key>[^.\[\]]+)')


def no_checks(_value: Any) -> Iterable[Check]:
    return ()


def check(
    document: Document, schema: Schema, *, cross_checks: CrossChecks = no_checks
) -> list[Problem]:
    """List every problem by line: those of the schema, and those between fields and steps."""
    problems = [_of_finding(document, each) for each in _refused(document.value, schema)]
    places = {each.path for each in problems}
    checks = check_problems(islice(cross_checks(document.value), MAX_FINDINGS), file=document.file)
    # Where the schema has spoken, a second word about the same value would only confuse.
    problems += [placed(document, each) for each in checks if each.path not in places]
    return sorted(problems)


def _refused(value: Any, schema: Schema) -> list[Finding]:
    if conforms(value, schema):
        return []
    from runner.core.findings import find  # the explaining validator costs more than the rest

    return find(value, schema)


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


def placed(document: Document, problem: Problem) -> Problem:
    line, column = document.place(node_path(problem.path))
    return replace(problem, line=line, column=column)
