from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from actions_act import Act, is_there, workflow_files
from desk import desk
from team import UTILS


@pytest.fixture
def act(tmp_path: Path) -> Iterator[Act]:
    """A repository with the workflows on its default branch, and a runner for them."""
    if not is_there():
        reason = "act is not installed"
        if os.environ.get("PLANLOCK_TEST_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    files = {**workflow_files(), "utils.py": UTILS, ".gitignore": "__pycache__/\n"}
    with desk(tmp_path, files=files) as made:
        for path in made.team.root.rglob("*.sh"):
            path.chmod(0o755)
        made.team.git("commit", "-q", "-a", "-m", "Make scripts programs")
        made.push("main")
        yield Act(made)
