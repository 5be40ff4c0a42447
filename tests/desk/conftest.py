from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk, desk


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Desk]:
    """Ada, bob and carol around a simulated forge; reviews have to name the digest."""
    with desk(tmp_path) as made:
        yield made


@pytest.fixture
def plainly(tmp_path: Path) -> Iterator[Desk]:
    """The same where plain reviews count too."""
    with desk(tmp_path, policy="forge: {plain_reviews: true}\n") as made:
        yield made
