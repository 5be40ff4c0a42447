"""Each target's property holds for texts put together from what is odd about its subject."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SUBJECTS, Target, load

TARGETS = {name: load(name) for name in SUBJECTS}


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Tokens, what was stored, and any bytes, one after another."""
    stored = [file.read_bytes() for file in target.seeds()]
    texts = st.text(max_size=4).map(str.encode)
    pieces = st.sampled_from([*target.tokens, *stored]) | texts | st.binary(max_size=4)
    return st.lists(pieces, max_size=10).map(b"".join).map(lambda it: it[: target.max_length])


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_input_breaks_a_property(target: Target, data: st.DataObject) -> None:
    """What holds for the cases that people thought of holds for those that they did not."""
    target.check(data.draw(inputs(target)))
