"""What a command does not need is not imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2]
HEAVY = {"sqlalchemy", "git", "httpx", "alembic", "fastapi", "jinja2", "mako", "opentelemetry"}
# What parsing and checking a plan need no more than help does.
SLOW = {"pydantic", "jsonschema", "cryptography", "email", "difflib", "_hashlib", "tempfile"}
PROBE = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=open({file!r}, "w")))
from runner.cli.main import main
main(sys.argv[1:])
"""
PLAN = """\
version: 1
id: one
goal: Look
steps:
  - {id: look, step_type: read_file, description: Look, input: {path: utils.py}}
"""


def imported(folder: Path, *args: str) -> set[str]:
    """Run planlock outside any repository and tell which modules it loaded."""
    file = folder / "modules.json"
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(file=str(file)), *args],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(file.read_text()))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "one.yaml").write_text(PLAN)
    return tmp_path


@pytest.mark.parametrize("args", [("--help",), ("--version",), ("run", "--help")], ids=" ".join)
def test_help_loads_almost_nothing(outside: Path, args: tuple[str, ...]) -> None:
    """Help needs neither database, git, parsers nor models of documents."""
    loaded = imported(outside, *args)
    assert not loaded & (HEAVY | SLOW | {"yaml", "traceback"})
    assert not {name for name in loaded if name.startswith("runner.verbs.")}


def test_help_loads_little_beside_click(outside: Path) -> None:
    """Of ours the entry, the guarded streams, the errors and how texts are made visible."""
    ours = {name for name in imported(outside, "--help") if name.startswith("runner")}
    assert len(ours) <= 7


def test_validate_loads_no_database_and_no_git(outside: Path) -> None:
    """`validate` works outside any repository, on what parsing and checking need."""
    loaded = imported(outside, "validate", "one.yaml")
    assert not loaded & (HEAVY | SLOW)
    assert "runner.project" not in loaded
    assert len({name for name in loaded if name.startswith("runner")}) <= 30


def test_schema_loads_no_database_and_no_git(outside: Path) -> None:
    """`schema` prints what the package holds, outside any repository."""
    assert not imported(outside, "schema", "plan") & HEAVY
