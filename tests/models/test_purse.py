from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import BudgetExceeded
from runner.core.model_call import BudgetWish
from runner.models.contract import Want
from runner.models.purse import Allowance, least_left, of_wish, reserve


def want(usd: str | None = "0.10", tokens: int = 100) -> Want:
    return Want(usd=None if usd is None else Decimal(usd), tokens=tokens, model="cloud/small")


def test_what_is_set_aside_is_not_left() -> None:
    """The worst case counts until the true cost replaces it."""
    purse = Allowance(usd=Decimal("1.00"))
    name = purse.reserve(want("0.40"))
    assert (purse.left(), purse.held) == (Decimal("0.60"), 1)
    purse.settle(name, usd=Decimal("0.10"), tokens=5)
    assert (purse.left(), purse.held) == (Decimal("0.90"), 0)


@pytest.mark.parametrize(
    "purse,wanted,words",
    [
        (
            Allowance(usd=Decimal("0.05")),
            want(),
            (
                "asking cloud/small: it may cost 0.10 USD; 0.05 are left of 0.05"
                " (the request's budget.max_cost_usd)"
            ),
        ),
        (
            Allowance(tokens=99),
            want(),
            (
                "asking cloud/small: it may take 100 tokens; 99 are left of 99"
                " (the request's budget.max_tokens)"
            ),
        ),
    ],
    ids=["money", "tokens"],
)
def test_what_does_not_fit_is_refused_with_numbers(
    purse: Allowance, wanted: Want, words: str
) -> None:
    """The message has what it may cost, what is left and which bound it is."""
    with pytest.raises(BudgetExceeded) as caught:
        purse.reserve(wanted)
    assert caught.value.message == words
    assert caught.value.hint == "raise the request's budget, or lower its params.max_tokens"
    assert purse.held == 0


def test_the_whole_of_what_is_left_may_be_set_aside() -> None:
    """A bound is what may be spent, not what may not be reached."""
    purse = Allowance(usd=Decimal("0.10"), tokens=100)
    purse.reserve(want())
    assert purse.left() == 0


def test_nothing_bounded_is_nothing_refused() -> None:
    """Without bounds any amount is set aside, and there is no sum that is left."""
    purse = of_wish(BudgetWish())
    purse.reserve(want("1000000", 10**9))
    assert purse.left() is None


def test_a_cost_that_nobody_knows_leaves_no_money() -> None:
    """Unknown is not zero, unless the request says that it may be."""
    strict = Allowance(usd=Decimal(1))
    strict.settle(strict.reserve(want("0.10")), usd=None, tokens=5)
    assert strict.left() == 0
    lenient = of_wish(BudgetWish(max_cost_usd="1.00", max_tokens=1000, allow_unpriced=True))
    lenient.settle(lenient.reserve(want(None)), usd=None, tokens=950)
    assert lenient.left() == 1
    with pytest.raises(BudgetExceeded):
        lenient.reserve(want(None, tokens=51))


def test_a_reservation_is_settled_once() -> None:
    """Twice would give money back that is gone."""
    purse = Allowance(usd=Decimal(1))
    name = purse.reserve(want())
    purse.settle(name, usd=Decimal("0.10"), tokens=5)
    with pytest.raises(KeyError):
        purse.settle(name, usd=Decimal(0), tokens=0)


def test_two_purses_agree_or_nothing_is_set_aside() -> None:
    """What the second refuses is released in the first."""
    rich, poor = Allowance(usd=Decimal(5)), Allowance(usd=Decimal("0.01"))
    with pytest.raises(BudgetExceeded):
        reserve([rich, poor], want())
    assert (rich.left(), rich.held) == (Decimal(5), 0)


def test_two_purses_are_settled_alike() -> None:
    """Both know the true cost, and the tighter one says what is left."""
    one, other = Allowance(usd=Decimal(5)), Allowance(usd=Decimal(2))
    held = reserve([one, other], want())
    held.settle(usd=Decimal("0.04"), tokens=10)
    assert (one.left(), other.left()) == (Decimal("4.96"), Decimal("1.96"))
    assert least_left([one, other, Allowance()]) == Decimal("1.96")
    assert least_left([Allowance()]) is None


def test_threads_cannot_overspend_together() -> None:
    """Of many that ask at once exactly as many get money as there is money for."""
    purse, together = Allowance(usd=Decimal("1.00"), tokens=10**6), Barrier(24)

    def spend(_: int) -> bool:
        together.wait(timeout=10)
        try:
            name = purse.reserve(want("0.10"))
        except BudgetExceeded:
            return False
        purse.settle(name, usd=Decimal("0.10"), tokens=1)
        return True

    with ThreadPoolExecutor(24) as pool:
        assert sum(pool.map(spend, range(24))) == 10
    assert (purse.left(), purse.held) == (Decimal(0), 0)


@given(
    steps=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.booleans()), max_size=20)
)
def test_no_more_is_given_than_there_is(steps: list[tuple[int, int, bool]]) -> None:
    """Spent, set aside and left are together the whole, as long as no cost exceeds its worst."""
    purse, gone = Allowance(usd=Decimal(100)), 0
    for worst, cost, settled in steps:
        try:
            name = purse.reserve(want(str(worst)))
        except BudgetExceeded:
            assert worst > 100 - gone
            continue
        gone += worst
        if settled:
            purse.settle(name, usd=Decimal(min(worst, cost)), tokens=0)
            gone += min(worst, cost) - worst
        assert purse.left() == 100 - gone
