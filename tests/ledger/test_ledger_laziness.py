from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import runner

ROOT = Path(runner.__file__).parents[1]


@pytest.mark.parametrize("module", ["runner.verbs.execute", "runner.verbs.ledger_sync"])
def test_the_database_is_imported_when_it_is_opened(module: str) -> None:
    """A run starts, and a ledger is spoken of, without the libraries that only its rows need."""
    code = f"import sys, {module}; print({{'sqlalchemy', 'alembic'}} & set(sys.modules) or 'none')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "none\n"
