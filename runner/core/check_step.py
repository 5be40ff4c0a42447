"""Tell from a project's files how its tests are run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Mapping

_PYTHON_TEST = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")
_TEST = re.compile(r"(^|/)(test_[^/]*|[^/]*([._-]test|[._-]spec))\.[a-z]+$")
_PYTEST = "python3 -m pytest -q -p no:cacheprovider"
_MAKE_TEST = re.compile(r"^test\s*:", re.MULTILINE)
# What decides beside the names: their texts are wanted.
TELLING = ("package.json", "Makefile", "pyproject.toml", "setup.cfg", "tox.ini", "pytest.ini")


def test_files(paths: Collection[str]) -> list[str]:
    """The files in which a project has its tests, as far as names tell."""
    return sorted(path for path in paths if _TEST.search(path))


def command(paths: Collection[str], texts: Mapping[str, str]) -> str | None:
    """The command that runs the tests, writing nothing; None where it cannot be told.

    `texts` has those of the TELLING files and of Python's test files that are known.
    """
    tests = [path for path in paths if _PYTHON_TEST.search(path)]
    if tests:
        return _python(tests, paths, texts)
    if "package.json" in paths and _has_npm_test(texts.get("package.json", "")):
        return "npm test"
    if "Cargo.toml" in paths:
        return "cargo test"
    if "go.mod" in paths:
        return "go test ./..."
    return "make test" if _MAKE_TEST.search(texts.get("Makefile", "")) else None


def _python(tests: list[str], paths: Collection[str], texts: Mapping[str, str]) -> str:
    said = "\n".join(texts.get(name, "") for name in TELLING if name in paths)
    if "pytest" in said or any("pytest" in texts.get(path, "") for path in tests):
        return _PYTEST
    if any("unittest" in texts.get(path, "") for path in tests):
        folders = {path.rpartition("/")[0] for path in tests}
        start = _start(folders.pop(), paths) if len(folders) == 1 and folders != {""} else ""
        pattern = "" if any("/test_" in f"/{path}" for path in tests) else " -p '*_test.py'"
        return f"python3 -m unittest discover -q{start}{pattern}"
    if len(tests) == 1:  # a script with assertions at its top level
        return (
            f"python3 {shlex.quote(tests[0])}" if _is_script(texts.get(tests[0], "")) else _PYTEST
        )
    return _PYTEST


def _start(folder: str, paths: Collection[str]) -> str:
    """Where unittest begins; its top folder may be named only where the tests are a package."""
    top = " -t ." if f"{folder}/__init__.py" in paths else ""
    return f" -s {_word(folder)}{top}"


def _word(path: str) -> str:
    """A path as one word of a command, which no program takes for an option."""
    return shlex.quote(f"./{path}" if path.startswith("-") else path)


def _is_script(text: str) -> bool:
    return "def test_" not in text and bool(re.search(r"^(assert |print\()", text, re.MULTILINE))


def _has_npm_test(text: str) -> bool:
    try:
        scripts = json.loads(text).get("scripts", {})
    except (ValueError, AttributeError):
        return False
    said = scripts.get("test") if isinstance(scripts, dict) else None
    return isinstance(said, str) and "no test specified" not in said
