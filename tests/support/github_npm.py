"""Packages from npm: GitHub's description of its API, and programs that know workflows."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

MANIFEST = Path(__file__).parents[1] / "github/package.json"


@cache
def folder() -> Path:
    """`node_modules` with the pinned packages, installed once beside the virtual environment.

    Without npm the test is skipped, and fails where everything is required.
    """
    if shutil.which("npm") is None:
        _missing("npm is not installed: apt-get install nodejs npm")
    data = MANIFEST.read_bytes()
    place = Path(sys.prefix) / "node" / hashlib.sha256(data).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "done").exists():
            (place / "package.json").write_bytes(data)
            _install(place)
            (place / "done").touch()
    return place / "node_modules"


def _install(place: Path) -> None:
    argv = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    done = subprocess.run(argv, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        _missing(f"npm install: {done.stderr[-500:]}")


def _missing(why: str) -> None:
    if os.environ.get("PLANLOCK_TEST_REQUIRE_ALL") == "1":
        pytest.fail(why)
    pytest.skip(why)
