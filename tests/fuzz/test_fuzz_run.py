"""The coverage-guided fuzzer starts, ends by count, and tells how to see again what it found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import __main__ as fuzzing
from tests.fuzz.targets import load

ROOT = Path(__file__).resolve().parents[2]


def test_a_run_is_bounded_by_count(capfd: pytest.CaptureFixture[str]) -> None:
    """It stops after so many inputs, says what it covered, and leaves the stored ones alone."""
    pytest.importorskip("atheris")
    before = load("globs").seeds()
    assert fuzzing.main(["globs", "--runs", "300", "--seed", "7"]) == 0
    told = capfd.readouterr().out.split()
    assert told[:3] == ["globs", "300", "inputs"]
    assert load("globs").seeds() == before


def test_a_stored_input_is_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    """A file is given to its target alone."""
    file = load("paths").seeds()[0]
    assert fuzzing.main(["paths", str(file)]) == 0
    assert capsys.readouterr().out == f"paths: {file} breaks nothing\n"


def test_a_rule_that_is_taken_out_is_missed(tmp_path: Path) -> None:
    """Code without one of its checks breaks a property, and the file that showed it shows it again."""
    pytest.importorskip("atheris")
    (tmp_path / "runner").mkdir()
    shutil.copytree(ROOT / "runner" / "core", tmp_path / "runner" / "core")
    shutil.copytree(ROOT / "tests" / "fuzz", tmp_path / "tests" / "fuzz")
    shutil.copy(ROOT / "runner" / "__init__.py", tmp_path / "runner")
    rules = tmp_path / "runner" / "core" / "paths.py"
    rules.write_text(rules.read_text().replace('if _is(key, ".git"):', 'if key == ".git":'))
    found = run_in(tmp_path, "paths", "--runs", "500")
    assert found.returncode == 1
    command = found.stderr.splitlines()[-1].removeprefix("replay: python -m tests.fuzz ")
    again = run_in(tmp_path, *command.split(" "))
    assert "AssertionError: reaches into .git" in again.stderr
    assert fuzzing.main(command.split(" ")) == 0


def run_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "TMPDIR": str(folder)}
    argv = [sys.executable, "-m", "tests.fuzz", *arguments]
    return subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, check=False, text=True
    )
