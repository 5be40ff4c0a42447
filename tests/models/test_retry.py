from __future__ import annotations

import pytest
from fake_provider import fails
from hypothesis import given
from hypothesis import strategies as st

from runner.models.contract import Failure, FailureKind
from runner.models.retry import LONGEST_S, MOST_RETRY_AFTER_S, pause

LONG = 1000.0


def wait(
    failure: Failure, made: int = 0, *, left_s: float = LONG, chance: float = 0.5
) -> float | None:
    return pause(failure, made=made, retries=3, left_s=left_s, chance=chance)


@pytest.mark.parametrize(
    "kind,times",
    [
        ("rate_limited", 3),
        ("unavailable", 3),
        ("timeout", 3),
        ("unreachable", 1),
        ("malformed", 1),
        ("context_too_long", 0),
        ("refused", 0),
    ],
)
def test_each_kind_of_failure_has_its_number_of_retries(kind: FailureKind, times: int) -> None:
    """What may pass is tried as often as configured; what rarely does once; the rest never."""
    assert [wait(fails(kind), made) is not None for made in range(5)] == [
        made < times for made in range(5)
    ]


def test_no_retries_are_none() -> None:
    """`retries: 0` holds for every failure."""
    for kind in ("unavailable", "malformed"):
        assert pause(fails(kind), made=0, retries=0, left_s=LONG, chance=0.5) is None


def test_waits_double_up_to_a_bound_and_are_drawn_from_all_of_it() -> None:
    """Full jitter: any part of half a second, a second, two and so on."""
    whole = [
        pause(fails("unavailable"), made=made, retries=9, left_s=LONG, chance=1.0)
        for made in range(8)
    ]
    assert whole == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_S, LONGEST_S]
    assert wait(fails("unavailable"), 2, chance=0.25) == 0.5
    assert wait(fails("unavailable"), 2, chance=0.0) == 0.0


def test_a_provider_that_says_when_is_heeded() -> None:
    """Not earlier than it says; what takes too long is left to another model."""
    assert wait(fails("rate_limited", wait=7.0)) == 7.0
    assert wait(fails("rate_limited", wait=0.0)) == 0.25
    assert wait(fails("rate_limited", wait=MOST_RETRY_AFTER_S)) == MOST_RETRY_AFTER_S
    assert wait(fails("rate_limited", wait=MOST_RETRY_AFTER_S + 1)) is None


@given(
    made=st.integers(0, 20),
    left_s=st.floats(-10, 100),
    chance=st.floats(0, 1, exclude_max=True),
    after=st.none() | st.floats(0, 100),
)
def test_no_wait_reaches_the_end_of_the_call(
    made: int, left_s: float, chance: float, after: float | None
) -> None:
    """Whatever is said, a retry begins while there is time left."""
    failure = fails("rate_limited", wait=after)
    found = pause(failure, made=made, retries=10, left_s=left_s, chance=chance)
    assert found is None or 0 <= found < left_s
