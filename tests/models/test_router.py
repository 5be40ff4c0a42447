from __future__ import annotations

from collections.abc import Callable

import pytest
from fake_provider import Bench, Time, bench, config, fails, form, model, question, says

from runner.core import errors
from runner.core.errors import ModelError
from runner.core.model_call import Answer, Usage
from runner.models.contract import Failure, FailureKind, Reply

TWO = config(model("a/small"), model("b/big", "strong"), retries=0)


def statuses(answer_or_error: object) -> list[str]:
    return [each.status for each in getattr(answer_or_error, "attempts", [])]


def test_the_first_model_that_serves_is_the_only_one_asked() -> None:
    """An answer says who gave it, why that one, what it took and what it cost."""
    made = bench({"a/small": [says("four", tokens=(1000, 500))]}, TWO)
    answer = made.router.complete(question("2+2?"))
    assert (answer.id, answer.text, answer.data, answer.finish_reason) == (
        "ID1",
        "four",
        None,
        "stop",
    )
    route = answer.route
    assert (route.provider, route.requested_model, route.response_model) == ("a", None, "dated-1")
    assert (route.reason, route.fallbacks) == ("cheapest of tier fast", [])
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (1000, 500)
    assert (answer.cost.amount, answer.cost.status) == ("0.002", "computed")
    assert answer.cost.price_source == "models.yaml"
    (attempt,) = answer.attempts
    assert (attempt.n, attempt.provider, attempt.model, attempt.latency_ms) == (
        1,
        "a",
        "small",
        250,
    )
    assert (attempt.status, attempt.error, attempt.raw_usage) == (
        "ok",
        "",
        {"in": 1000, "out": 500},
    )
    assert (answer.latency_ms, answer.validation, answer.budget.remaining_usd) == (250, None, None)
    assert made.asked == ["small"]


def test_the_provider_is_asked_what_the_request_says() -> None:
    """Parameters are passed on; the answer is no longer than the model can and its window leaves."""
    settings = config(model("a/small", context=1000, max_output=900))
    made = bench({"a/small": [says(), says()]}, settings)
    params = {"temperature": 0.5, "seed": 7, "max_tokens": 5000, "timeout_s": 40}
    made.router.complete(question("x" * 400, params=params))
    made.router.complete(question("x" * 400, params={"max_tokens": 300}))
    first, second = made.asks
    assert (first.model, first.window, first.temperature, first.seed) == ("small", 1000, 0.5, 7)
    assert (first.timeout_s, first.schema) == (40, None)
    assert (first.max_tokens, second.max_tokens) == (1000 - 100 - 16, 300)


def test_a_listener_hears_every_model_as_it_comes() -> None:
    """What streams is provisional: a model that is passed over was heard too."""
    heard: list[str] = []
    made = bench({"a/small": [says("ha", finish="length")], "b/big": [says("hello")]}, TWO)
    made.router.complete(question(), on_text=heard.append)
    assert heard == ["ha", "hello"]


@pytest.mark.parametrize(
    "kind,because",
    [
        ("rate_limited", "fell back: rate limited"),
        ("unavailable", "fell back: provider unavailable"),
        ("timeout", "fell back: no answer in time"),
        ("unreachable", "fell back: provider unreachable"),
        ("malformed", "fell back: malformed answer"),
        ("context_too_long", "escalated: input exceeds the context"),
        ("refused", "fell back: provider refused the request"),
    ],
)
def test_an_error_falls_back_to_the_next_model(kind: FailureKind, because: str) -> None:
    """The answer says why this model, and which one did not serve."""
    made = bench({"a/small": [fails(kind)], "b/big": [says()]}, TWO)
    answer = made.router.complete(question())
    assert (answer.route.provider, answer.route.reason) == ("b", because)
    assert answer.route.fallbacks == [f"a/small: it is {kind}"]
    assert statuses(answer) == ["error", "ok"]
    assert answer.attempts[0].error == f"it is {kind}"
    assert answer.usage.source == "provider" or kind in {"unavailable", "timeout", "malformed"}


@pytest.mark.parametrize(
    "kind,error",
    [
        ("rate_limited", errors.RateLimited),
        ("timeout", errors.ModelTimeout),
        ("context_too_long", errors.ContextTooLong),
        ("unavailable", errors.ProviderFailed),
        ("unreachable", errors.ProviderFailed),
        ("malformed", errors.ProviderFailed),
        ("refused", errors.ProviderFailed),
    ],
)
def test_the_last_error_decides_what_is_raised(kind: FailureKind, error: type[ModelError]) -> None:
    """Its message names each model and why it failed; all attempts hang on it."""
    made = bench({"a/small": [fails("unavailable")], "b/big": [fails(kind)]}, TWO)
    with pytest.raises(ModelError) as caught:
        made.router.complete(question())
    assert type(caught.value) is error
    assert caught.value.retryable is (kind not in {"refused", "context_too_long"})
    assert caught.value.message == f"asking a/small: it is unavailable; b/big: it is {kind}"
    assert caught.value.hint == "planlock models --check"
    assert [(each.n, each.model) for each in caught.value.attempts] == [(1, "small"), (2, "big")]


def test_a_text_that_is_cut_off_goes_to_the_next_model() -> None:
    """Cut off by length is evidence for a stronger model."""
    made = bench({"a/small": [says("ha", finish="length")], "b/big": [says("all")]}, TWO)
    answer = made.router.complete(question())
    assert (answer.text, answer.route.reason) == ("all", "escalated: answer was cut off")
    assert statuses(answer) == ["cut_off", "ok"]


@pytest.mark.parametrize(
    "second",
    [says("half", finish="length"), says("I must not.", finish="refused"), fails("unavailable")],
    ids=["cut off too", "refused", "failed"],
)
def test_a_text_that_is_cut_off_is_better_than_none(second: Reply | Failure) -> None:
    """Where no model gives all of it, the caller gets a part and is told so."""
    made = bench({"a/small": [says("ha", finish="length")], "b/big": [second]}, TWO)
    answer = made.router.complete(question())
    assert answer.finish_reason == "length"
    assert answer.text in {"ha", "half"}
    assert answer.route.provider == ("b" if answer.text == "half" else "a")
    assert all(each[0] != answer.route.provider for each in answer.route.fallbacks)


def test_a_refusal_goes_to_the_next_model_and_is_told_if_there_is_none() -> None:
    """What one model will not say another one may."""
    refusal = says("I must not.", finish="refused")
    made = bench({"a/small": [refusal], "b/big": [says("all")]}, TWO)
    answer = made.router.complete(question())
    assert (answer.text, answer.route.reason) == ("all", "escalated: model refused")
    made = bench({"a/small": [refusal], "b/big": [says("No.", finish="refused")]}, TWO)
    answer = made.router.complete(question())
    assert (answer.text, answer.finish_reason) == ("No.", "refused")
    assert statuses(answer) == ["error", "error"]


def test_a_model_that_is_named_is_not_replaced() -> None:
    """No other one is asked when it fails."""
    made = bench({"a/small": [fails("refused")], "b/big": [says()]}, TWO)
    with pytest.raises(errors.ProviderFailed) as caught:
        made.router.complete(question(model="a/small"))
    assert caught.value.message == "asking a/small: it is refused"
    assert made.asked == ["small"]


def test_models_that_are_too_small_are_told_with_the_answer() -> None:
    """They were passed over before anything was asked."""
    settings = config(model("a/small", context=1000), model("b/big", "strong"))
    answer = bench({"b/big": [says()]}, settings).router.complete(question("x" * 4000))
    assert answer.route.reason == "cheapest of tier strong"
    assert answer.route.fallbacks[0].startswith("a/small: its context of 1000 tokens cannot hold")


def retrying(*said: Reply | Failure, retries: int = 3, time: Time | None = None) -> Bench:
    return bench({"a/small": said}, config(model("a/small"), retries=retries), time=time)


def test_what_may_pass_is_tried_again_after_a_wait() -> None:
    """Each request is an attempt with a number; waits grow, and the provider's own is kept."""
    made = retrying(
        fails("unavailable"), fails("unavailable"), fails("rate_limited", wait=9), says()
    )
    answer = made.router.complete(question())
    assert made.time.slept == [0.25, 0.5, 9.0]
    assert statuses(answer) == ["error", "error", "error", "ok"]
    assert [each.n for each in answer.attempts] == [1, 2, 3, 4]
    assert (answer.route.reason, answer.route.fallbacks) == ("cheapest of tier fast", [])


def test_retries_end() -> None:
    """After the configured number the failure is raised."""
    made = retrying(*[fails("unavailable")] * 3, retries=2)
    with pytest.raises(errors.ProviderFailed):
        made.router.complete(question())
    assert len(made.asks) == 3


def test_a_malformed_answer_is_asked_for_once_more() -> None:
    """Twice is no accident."""
    made = retrying(fails("malformed"), fails("malformed"), says())
    with pytest.raises(errors.ProviderFailed):
        made.router.complete(question())
    assert len(made.asks) == 2


def test_a_long_wait_is_left_to_another_model() -> None:
    """Nobody waits for more than a minute where somebody else is ready."""
    made = bench({"a/small": [fails("rate_limited", wait=61)], "b/big": [says()]}, TWO)
    assert made.router.complete(question()).route.provider == "b"
    assert made.time.slept == []


def test_the_call_ends_in_its_time() -> None:
    """All models, waits and retries together take no more than the request allows."""
    time = Time(chance=0.999)
    made = bench(
        {"a/small": [fails("unavailable", wait=5)] * 9, "b/big": [says()]},
        config(model("a/small"), model("b/big", "strong"), retries=9),
        time=time,
    )
    for each in made.providers.values():
        each.takes_s = 4
    with pytest.raises(errors.ModelTimeout) as caught:
        made.router.complete(question(params={"timeout_s": 20}, model="a/small"))
    assert time.now - 1000 == 20
    assert [each.timeout_s for each in made.asks] == [20, 11, 2]
    assert len(caught.value.attempts) == 3


def test_no_model_is_asked_after_the_time_is_over() -> None:
    """What a slow one has used up is gone for the others too."""
    made = bench({"a/small": [fails("timeout")], "b/big": [says()]}, TWO)
    made.providers["a"].takes_s = 30
    with pytest.raises(errors.ModelTimeout) as caught:
        made.router.complete(question(params={"timeout_s": 30}))
    assert caught.value.message.endswith("b/big: the 30 s of the call are over")
    assert made.asked == ["small"]


def test_a_provider_without_its_key_is_passed_over() -> None:
    """Nothing was sent, so there is no attempt, only the reason."""
    made = bench({"a/small": [], "b/big": [says()]}, TWO)
    vars(made.providers["a"])["reason"] = "A_KEY is not set"
    answer = made.router.complete(question())
    assert answer.route.fallbacks == ["a/small: A_KEY is not set"]
    assert [each.provider for each in answer.attempts] == ["b"]


def test_errors_of_providers_reach_no_terminal_raw() -> None:
    """Control characters in what a server says are made visible."""
    evil = Failure("refused", "\x1b[2Jgone", usage=Usage())
    with pytest.raises(errors.ProviderFailed) as caught:
        retrying(evil).router.complete(question())
    assert "\x1b" not in caught.value.message + caught.value.attempts[0].error


def test_without_models_doctor_is_named() -> None:
    """Both calls say what to do."""
    router = bench({}, config()).router
    asking: list[Callable[[], Answer]] = [
        lambda: router.complete(question()),
        lambda: router.structure(form()),
    ]
    for ask in asking:
        with pytest.raises(errors.NoRoute) as caught:
            ask()
        assert caught.value.hint == "planlock doctor"
