"""Every attempt is paid for: set aside before, settled after, at what it was."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from fake_provider import bench, config, fails, form, model, question, says

from runner.core import errors
from runner.core.model_call import Request, Usage
from runner.models.choice import most_tokens
from runner.models.config import ModelsConfig
from runner.models.contract import FailureKind, Reply
from runner.models.purse import Allowance

ONE = config(model("a/small"))
UNPRICED = config(model("a/small", price=None))
KNOWN = Usage(input_tokens=10, output_tokens=5, source="provider")


def worst(asked: Request, *, output: int = 4096) -> Decimal:
    """What an attempt with `PRICE` may cost at most."""
    return (most_tokens(asked.messages) * Decimal(1) + output * Decimal(2)) / 10**6


def purse(usd: str | None = "1.00") -> Allowance:
    return Allowance(usd=None if usd is None else Decimal(usd), name="the run's budget", fix="more")


def test_both_purses_are_settled_at_the_true_cost() -> None:
    """The caller's and the request's own: nothing stays set aside, and the tighter tells."""
    own = purse()
    asked = question(budget={"max_cost_usd": "0.50"})
    answer = bench({"a/small": [says(tokens=(1000, 500))]}, ONE).router.complete(asked, purse=own)
    assert (own.left(), own.held) == (Decimal("0.998"), 0)
    assert answer.budget.remaining_usd == "0.498"
    poor = purse("0.30")
    answer = bench({"a/small": [says(tokens=(1000, 500))]}, ONE).router.complete(asked, purse=poor)
    assert answer.budget.remaining_usd == "0.298"


def test_the_worst_case_must_fit_before_anything_is_asked() -> None:
    """To the last digit; the message has the numbers and the hint what to raise."""
    fits = question(budget={"max_cost_usd": str(worst(question()))})
    bench({"a/small": [says()]}, ONE).router.complete(fits)
    less = worst(question()) - Decimal("0.000001")
    made = bench({"a/small": []}, ONE)
    with pytest.raises(errors.BudgetExceeded) as caught:
        made.router.complete(question(budget={"max_cost_usd": str(less)}))
    assert caught.value.message == (
        f"asking a/small: it may cost {worst(question())} USD; {less} are left of {less}"
        " (the request's budget.max_cost_usd)"
    )
    assert caught.value.hint == "raise the request's budget, or lower its params.max_tokens"
    assert (made.asks, caught.value.attempts) == ([], ())


def test_tokens_are_bounded_too() -> None:
    """A byte is a token in the worst case."""
    most = most_tokens(question().messages) + 4096
    bench({"a/small": [says()]}, ONE).router.complete(question(budget={"max_tokens": most}))
    with pytest.raises(errors.BudgetExceeded, match=r"tokens; .* are left"):
        bench({}, ONE).router.complete(question(budget={"max_tokens": most - 1}))


def test_the_schema_and_the_repair_are_part_of_the_worst_case() -> None:
    """A longer question may cost more, and is set aside as such."""
    wants: list[Decimal | None] = []

    class Watching(Allowance):
        def reserve(self, want: Any) -> str:
            wants.append(want.usd)
            return super().reserve(want)

    made = bench({"a/small": [says("{}"), says('{"n": 4}')]}, ONE)
    made.router.structure(form(), purse=Watching())
    first, second = (each or Decimal(0) for each in wants)
    assert second > first > worst(form())


def test_a_caller_without_money_asks_nobody_and_keeps_the_request_whole() -> None:
    """What the caller's purse refuses is released in the request's own."""
    made = bench(
        {"a/small": [], "b/free": [says()]},
        config(model("a/small"), model("b/free", "strong", price=("0", "0"))),
    )
    poor = purse("0.001")
    answer = made.router.complete(question(budget={"max_cost_usd": "0.50"}), purse=poor)
    assert answer.route.reason == "fell back: budget too small"
    assert answer.route.fallbacks == [
        (
            f"a/small: it may cost {worst(question())} USD; 0.001 are left of 0.001"
            " (the run's budget.max_cost_usd)"
        )
    ]
    assert (answer.cost.amount, answer.cost.status) == ("0.00", "free")
    assert answer.budget.remaining_usd == "0.001"


def test_no_money_for_any_model_says_what_to_raise() -> None:
    """The hint is that of the purse which refused."""
    with pytest.raises(errors.BudgetExceeded) as caught:
        bench({}, ONE).router.complete(question(), purse=purse("0"))
    assert caught.value.hint == "more"


def test_a_price_that_nobody_knows_is_refused_where_money_is_bounded() -> None:
    """By the request or by the caller; the hint says how to go on."""
    asked: list[tuple[Request, Allowance | None]] = [
        (question(budget={"max_cost_usd": "1.00"}), None),
        (question(), purse()),
        (question(budget={"allow_unpriced": True}), purse()),
        (question(budget={"max_tokens": 10**6}), purse()),
    ]
    for request, own in asked:
        with pytest.raises(errors.PriceUnknown) as caught:
            bench({}, UNPRICED).router.complete(request, purse=own)
        assert "asking a/small: nobody knows its price" in caught.value.message
        assert "allow_unpriced with a limit on tokens" in caught.value.hint


@pytest.mark.parametrize(
    "budget,own",
    [
        ({}, None),
        ({}, purse(None)),
        ({"max_tokens": 10**5, "allow_unpriced": True, "max_cost_usd": "0.01"}, None),
    ],
    ids=["nothing bounded", "an unbounded purse", "allowed with a limit on tokens"],
)
def test_an_unknown_price_is_null_and_never_zero(budget: Any, own: Allowance | None) -> None:
    """Where it may be asked the cost is told as unknown."""
    made = bench({"a/small": [says()]}, UNPRICED)
    answer = made.router.complete(question(budget=budget), purse=own)
    assert (answer.cost.amount, answer.cost.status) == (None, "unknown")
    assert (answer.attempts[0].cost.amount, answer.usage.input_tokens) == (None, 100)


def test_a_model_with_a_price_serves_instead_of_one_without() -> None:
    """Unpriced models are passed over under a bound."""
    settings = config(model("a/small", price=None), model("b/big", "strong"))
    made = bench({"b/big": [says()]}, settings)
    answer = made.router.complete(question(budget={"max_cost_usd": "1.00"}))
    assert answer.route.reason == "fell back: price unknown"


@pytest.mark.parametrize(
    "settings,said,amount,status",
    [
        (ONE, says(tokens=(1000, 500)), "0.002", "computed"),
        (ONE, says(tokens=(1000, 500), source="estimated"), "0.002", "estimated"),
        (ONE, says(cost="0.0000000001"), "0.0002", "computed"),
        (ONE, says(cost="0"), "0.0002", "computed"),
        (ONE, says(cost="0", source="none"), str(worst(question())), "estimated"),
        (ONE, says(cost="0.0003"), "0.0003", "reported"),
        (UNPRICED, says(cost="0.0000000001"), "0.000000001", "reported"),
        (UNPRICED, says(cost="0.07"), "0.07", "reported"),
        (config(model("local/own", "local", price=None)), says(), "0.00", "free"),
        (UNPRICED, says(), None, "unknown"),
        (ONE, says(source="none"), str(worst(question())), "estimated"),
    ],
    ids=[
        *("counted", "estimated", "told too little", "told as free", "told as free, not counted"),
        *("told more", "told tiny", "told, unpriced", "own server", "unknown", "not counted"),
    ],
)
def test_every_cost_says_how_it_is_known(
    settings: ModelsConfig, said: Reply, amount: str | None, status: str
) -> None:
    """As the provider told it, computed, estimated, free, unknown; the worst where no one counted."""
    ref = settings.models[0].ref
    own = purse(None)
    answer = bench({ref: [said]}, settings).router.complete(question(), purse=own)
    assert (answer.cost.amount, answer.cost.status) == (amount, status)
    assert own.held == 0


WORST = str(worst(question()))


@pytest.mark.parametrize(
    "kind,usage,amount,status,source",
    [
        ("rate_limited", None, "0.00", "free", "none"),
        ("unreachable", None, "0.00", "free", "none"),
        ("refused", None, "0.00", "free", "none"),
        ("context_too_long", None, "0.00", "free", "none"),
        ("timeout", None, WORST, "estimated", "estimated"),
        ("unavailable", None, WORST, "estimated", "estimated"),
        ("malformed", None, WORST, "estimated", "estimated"),
        ("unavailable", KNOWN, "0.00002", "computed", "provider"),
        ("refused", KNOWN, "0.00002", "computed", "provider"),
    ],
)
def test_failures_cost_what_they_may_have_cost(
    kind: FailureKind, usage: Usage | None, amount: str, status: str, source: str
) -> None:
    """Nothing where no model worked, else the whole worst case, unless the provider counted."""
    own = purse()
    made = bench({"a/small": [fails(kind, usage=usage)]}, config(model("a/small"), retries=0))
    with pytest.raises(errors.ModelError) as caught:
        made.router.complete(question(), purse=own)
    (attempt,) = caught.value.attempts
    cost = attempt.cost
    assert (cost.amount, cost.status, attempt.usage.source) == (amount, status, source)
    assert (own.left(), own.held) == (1 - Decimal(amount), 0)


def test_a_late_answer_of_an_own_server_costs_nothing() -> None:
    """What is free is free also when it fails."""
    settings = config(model("local/own", "local", price=None), retries=0)
    with pytest.raises(errors.ModelTimeout) as caught:
        bench({"local/own": [fails("timeout")]}, settings).router.complete(question())
    assert caught.value.attempts[0].cost.status == "free"


def test_a_failure_that_used_the_money_up_is_the_cause_and_not_the_budget() -> None:
    """The caller learns what went wrong, and that nothing was left to ask again."""
    most = str(worst(question()) * Decimal("1.5"))
    made = bench({"a/small": [fails("unavailable")]}, ONE)
    with pytest.raises(errors.ProviderFailed) as caught:
        made.router.complete(question(budget={"max_cost_usd": most}))
    assert caught.value.message == (
        "asking a/small: it is unavailable; no money is left to ask again"
    )
    assert len(caught.value.attempts) == 1


def test_repairs_are_paid_from_the_same_budget() -> None:
    """A repair that does not fit any more is not asked for."""
    asked = form(budget={"max_cost_usd": "0.012"})
    made = bench({"a/small": [says("{}", tokens=(100, 3000))]}, ONE)
    with pytest.raises(errors.BudgetExceeded) as caught:
        made.router.structure(asked)
    assert [each.cost.amount for each in caught.value.attempts] == ["0.0061"]


def test_what_breaks_off_stays_set_aside() -> None:
    """A call that ends in the middle may have cost all that it could."""

    def hang_up(_: str) -> None:
        raise KeyboardInterrupt

    own = purse()
    with pytest.raises(KeyboardInterrupt):
        bench({"a/small": [says()]}, ONE).router.complete(question(), purse=own, on_text=hang_up)
    assert (own.left(), own.held) == (1 - worst(question()), 1)


def test_the_sum_is_that_of_all_attempts() -> None:
    """Failed, repaired and escalated ones; tokens alike."""
    says_: Mapping[str, Any] = {
        "a/small": [fails("rate_limited"), says("{}"), says("{}")],
        "b/big": [says('{"n": 1}', tokens=(1000, 1000))],
    }
    made = bench(says_, config(model("a/small"), model("b/big", "strong")))
    answer = made.router.structure(form())
    assert [each.cost.amount for each in answer.attempts] == ["0.00", "0.0002", "0.0002", "0.003"]
    assert (answer.cost.amount, answer.cost.status) == ("0.0034", "computed")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (1200, 1100)
    assert answer.usage.source == "provider"
