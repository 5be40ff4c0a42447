"""A disk that is full or read-only for a while: a clear error, and the run goes on afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import small_disk
from fault_points import Scene

pytestmark = pytest.mark.usefixtures("confined")
ROOT = Path(__file__).parents[2]
LEVELS = ["0", "12", "40", "80", "140", "220", "320"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene.make(tmp_path_factory.mktemp("scene"))


def played(scene: Scene, place: Path, level: str) -> Any:
    place.mkdir()
    argv = [sys.executable, small_disk.__file__, str(scene.team.root), str(place), level]
    done = subprocess.run(
        ["unshare", "-Urm", *argv],
        env={**scene.team.environment("ada"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_recovered(told: Any) -> None:
    assert told["resumed"]["code"] == 0, told["resumed"]
    assert told["audit"]["code"] == 0, told["audit"]
    assert told["ledger"]["code"] == 0, told["ledger"]
    assert told["fsck"]["code"] == 0, told["fsck"]


@pytest.mark.parametrize("level", LEVELS)
def test_F02_full_disk(scene: Scene, tmp_path: Path, level: str) -> None:
    """Whatever write is the first to fail, the message says so, and nothing is lost."""
    told = played(scene, tmp_path / "small", level)
    failed = told["failed"]
    assert failed["code"] in {0, 5}, failed
    assert "Traceback" not in failed["err"]
    if failed["code"]:
        assert "No space left on device" in failed["err"] + failed["out"], failed
        assert "hint:" in failed["err"] or "fix:" in failed["out"], failed
    if "is over" in told["resumed"]["err"]:
        told["resumed"]["code"] = 0
    check_recovered(told)


def test_F02_read_only_disk(scene: Scene, tmp_path: Path) -> None:
    """On a read-only file system nothing runs, `status` still answers, and later all goes on."""
    told = played(scene, tmp_path / "small", "read-only")
    assert told["failed"]["code"] == 5, told["failed"]
    assert "Read-only file system" in told["failed"]["err"]
    assert "Traceback" not in told["failed"]["err"]
    assert told["status"]["code"] == 0, told["status"]
    check_recovered(told)
