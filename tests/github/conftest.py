from __future__ import annotations

from collections.abc import Iterator

import pytest
from github_server import Answers, serving


@pytest.fixture
def answers() -> Iterator[Answers]:
    """A server that says what a test tells it to, request by request."""
    with serving() as made:
        yield made
