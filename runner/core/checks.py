"""What a machine can say of a drafted file: does it parse, what is no longer there."""

from __future__ import annotations

import ast
import json
import tomllib
import warnings
from collections.abc import Callable, Mapping

import yaml

DEEPEST_YAML = 100
DEEP = "too deeply nested to be checked"


def syntax(path: str, text: str) -> str | None:
    """Say what is wrong with a file's syntax; None where nothing is, or nobody can tell."""
    check = CHECKS.get(path.rpartition(".")[2].lower())
    if check is None:
        return None
    try:
        check(text)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except yaml.YAMLError as error:
        return " ".join(str(error).split())
    except ValueError as error:  # JSON's and TOML's errors, and a NUL in Python
        return str(error)
    except (RecursionError, MemoryError):  # what Python's parser raises for deep nesting
        return DEEP
    return None


def lost_names(path: str, before: str, after: str) -> tuple[str, ...]:
    """Functions, classes and constants that a Python file defined at its top and does no more."""
    if not path.endswith(".py"):
        return ()
    return tuple(sorted(_top_names(before) - _top_names(after)))


def _python(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as an invalid escape, which is no error
        return ast.parse(text)


def _yaml(text: str) -> None:
    """Read the events alone, which builds nothing; raises RecursionError where they go too deep."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST_YAML:
            raise RecursionError


CHECKS: Mapping[str, Callable[[str], object]] = {
    "py": _python,
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": _yaml,
    "yml": _yaml,
}


def _top_names(text: str) -> set[str]:
    try:
        body = _python(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {each.id for each in targets if isinstance(each, ast.Name)}
    return names
