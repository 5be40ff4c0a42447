"""Everyday goals on small projects, and how to tell whether one was reached."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
PROJECTS = HERE / "projects"
SOLUTIONS = HERE / "solutions"
TIMEOUT_S = 60
TESTS = {
    "textstats": ("discover", "-s", "tests", "-t", "."),
    "inventory": ("discover", "-s", "tests"),
}


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a developer wants of a project; `accept` is a program that ends with 0 once it is so."""

    id: str
    project: str
    level: str
    goal: str
    accept: str

    def files(self) -> dict[str, str]:
        """The project as it is before."""
        folder = PROJECTS / self.project
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return {
            path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
            for path in paths
            if "__pycache__" not in path.parts
        }

    def accepts(self, tree: Path) -> str:
        """Why a changed project is not accepted; empty where it is."""
        return _complaint(tree, "-c", self.accept)

    def tests_fail(self, tree: Path) -> str:
        """What the project's own tests say; empty where they pass."""
        return _complaint(tree, "-m", "unittest", *TESTS.get(self.project, ("discover",)))


def load() -> tuple[Goal, ...]:
    value: Any = yaml.safe_load((HERE / "goals.yaml").read_text(encoding="utf-8"))
    return tuple(Goal(**each) for each in value["goals"])


def _complaint(tree: Path, *args: str) -> str:
    try:
        done = subprocess.run(
            [sys.executable, "-B", *args],
            cwd=tree,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"still running after {TIMEOUT_S} s"
    if done.returncode == 0:
        return ""
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"ends with {done.returncode}"
