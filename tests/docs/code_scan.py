"""Finds in the source every code that planlock can give to a problem, reason or failure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.markdown import ROOT

CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# Functions of the source that take a code, and at which position.
_POSITIONS = {"Flaw": 0, "BadLine": 0, "_Not": 0, "_problem": 1, "_finding": 1, "_failed": 0}
# Functions that return or build tuples in which the code stands at this position.
_OBJECTIONS = ("_of_signature", "_of_content", "_of_person", "_of_time")
_TUPLES = {"_hidden_kind": 0, **dict.fromkeys(_OBJECTIONS, 0)}


def codes() -> set[str]:
    """Every code of a problem, reason or failure; path kinds are apart."""
    return {code for tree in _trees() for code in _codes(tree)}


def path_kinds() -> set[str]:
    """Every `reason_code` of a WorkspaceSecurityError."""
    found = set()
    for tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                found |= set(_keyword(node, "reason_code"))
                if _name(node.func) == "_refusal" and len(node.args) == 3:
                    found |= set(_constant(node.args[2]))
    return found


def _trees() -> Iterator[ast.Module]:
    for path in sorted((ROOT / "runner").rglob("*.py")):
        yield ast.parse(_source(path))


def _source(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _codes(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _keyword(node, "code")
            position = _POSITIONS.get(_name(node.func), len(node.args))
            if position < len(node.args):
                yield from _constant(node.args[position])
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                yield from _constant(value) if _is_code_key(key) else ()
        elif isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
            yield from _constant(node.value.elts[0]) if len(node.value.elts) == 4 else ()
        elif isinstance(node, ast.FunctionDef) and node.name in _TUPLES:
            yield from _in_tuples(node, _TUPLES[node.name])


def _in_tuples(function: ast.FunctionDef, position: int) -> Iterator[str]:
    size = position + 2
    for node in ast.walk(function):
        if isinstance(node, ast.Tuple) and len(node.elts) == size:
            yield from _constant(node.elts[position])


def _keyword(call: ast.Call, name: str) -> Iterator[str]:
    for keyword in call.keywords:
        if keyword.arg == name:
            yield from _constant(keyword.value)


def _constant(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from [node.value] if CODE.fullmatch(node.value) else []


def _is_code_key(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and key.value == "code"


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
