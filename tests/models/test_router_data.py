"""`structure`: data that satisfies a schema, repaired or escalated where it does not."""

from __future__ import annotations

from typing import Any

import pytest
from fake_provider import NUMBER, bench, config, fails, form, model, question, says

from runner.core import errors
from runner.core.model_call import ValidationNote
from runner.models.contract import Failure, Reply

GOOD, BAD = '{"n": 4}', '{"n": "4"}'
TWO = config(model("a/small"), model("b/big", "strong"), retries=0)


def statuses(made: Any) -> list[str]:
    return [each.status for each in made.attempts]


def test_data_that_satisfies_is_given_as_data() -> None:
    """The provider is asked to enforce the schema, and its answer is checked all the same."""
    made = bench({"a/small": [says(f"```json\n{GOOD}\n```")]}, TWO)
    answer = made.router.structure(form(schema_name="number"))
    assert (answer.text, answer.data) == (None, {"n": 4})
    assert answer.validation == ValidationNote(ok=True, repairs=0)
    assert (made.asks[0].schema, made.asks[0].schema_name) == (NUMBER, "number")


def test_a_wrong_answer_is_repaired_with_what_was_wrong() -> None:
    """The model sees its answer and the errors with their places; both requests are accounted."""
    made = bench({"a/small": [says(BAD), says(GOOD)]}, TWO)
    answer = made.router.structure(form())
    assert answer.data == {"n": 4}
    assert answer.validation == ValidationNote(ok=True, repairs=1)
    assert statuses(answer) == ["invalid", "ok"]
    assert answer.attempts[0].error == "$.n: '4' is not of type 'integer'"
    assert (answer.usage.input_tokens, answer.cost.amount) == (200, "0.0004")
    asked, said, wrong = made.asks[1].messages
    assert asked.content == "Which?"
    assert (said.role, said.content) == ("assistant", BAD)
    assert "$.n: '4' is not of type 'integer'" in wrong.content
    assert answer.route.reason == "cheapest of tier fast"


def test_repairs_do_not_pile_up() -> None:
    """Each repair shows the last wrong answer alone, and there are as many as the request says."""
    made = bench({"a/small": [says("{}"), says(BAD), says(GOOD)]}, TWO)
    answer = made.router.structure(form(max_repairs=2))
    assert [len(each.messages) for each in made.asks] == [1, 3, 3]
    assert made.asks[2].messages[1].content == BAD
    assert answer.validation == ValidationNote(ok=True, repairs=2)


def test_what_is_not_repaired_is_escalated() -> None:
    """The next model begins with the question as it was."""
    made = bench({"a/small": [says(BAD), says(BAD)], "b/big": [says(GOOD)]}, TWO)
    answer = made.router.structure(form())
    assert (answer.route.provider, answer.data) == ("b", {"n": 4})
    assert answer.route.reason == "escalated: answer did not satisfy the schema"
    assert answer.route.fallbacks == [
        "a/small: its answer does not satisfy the schema: $.n: '4' is not of type 'integer'"
    ]
    assert statuses(answer) == ["invalid", "invalid", "ok"]
    assert len(made.providers["b"].asks[0].messages) == 1
    assert answer.validation == ValidationNote(ok=True, repairs=0)


@pytest.mark.parametrize(
    "text,finish,because,status",
    [
        (GOOD, "length", "escalated: answer was cut off", "cut_off"),
        ('{"n": ', "length", "escalated: answer was cut off", "cut_off"),
        ("No.", "refused", "escalated: model refused", "error"),
        (GOOD, "refused", "escalated: model refused", "error"),
    ],
)
def test_what_is_not_whole_is_not_repaired(
    text: str, finish: Any, because: str, status: str
) -> None:
    """A cut off answer or a refusal goes to the next model at once, even if it can be read."""
    made = bench({"a/small": [says(text, finish=finish)], "b/big": [says(GOOD)]}, TWO)
    answer = made.router.structure(form())
    assert (answer.route.provider, answer.route.reason) == ("b", because)
    assert statuses(answer) == [status, "ok"]


@pytest.mark.parametrize(
    "last,kind",
    [
        ([says(BAD), says("no")], errors.SchemaViolation),
        ([says(GOOD, finish="length")], errors.SchemaViolation),
        ([says("No.", finish="refused")], errors.SchemaViolation),
        ([fails("rate_limited")], errors.RateLimited),
        ([says(BAD), fails("timeout")], errors.ModelTimeout),
    ],
    ids=["invalid", "cut off", "refused", "limited", "repair timed out"],
)
def test_the_last_model_decides_the_error(
    last: list[Reply | Failure], kind: type[errors.ModelError]
) -> None:
    """An answer that never satisfied is a schema violation, and every attempt is told."""
    made = bench({"a/small": [says(BAD), says(BAD)], "b/big": last}, TWO)
    with pytest.raises(errors.ModelError) as caught:
        made.router.structure(form())
    assert type(caught.value) is kind
    assert "a/small: its answer does not satisfy the schema" in caught.value.message
    assert "; b/big: " in caught.value.message
    assert len(caught.value.attempts) == len(made.asks)


def test_a_schema_violation_says_what_may_help() -> None:
    """A stronger model, or room for a longer answer."""
    made = bench({"a/small": [says(BAD)]}, config(model("a/small")))
    with pytest.raises(errors.SchemaViolation) as caught:
        made.router.structure(form(max_repairs=0))
    assert caught.value.hint == "name a stronger model, or allow a longer answer: planlock models"


def test_a_bad_schema_asks_nobody() -> None:
    """It is found before a model is chosen and before any money is set aside."""
    made = bench({}, TWO)
    with pytest.raises(errors.BadSchema):
        made.router.structure(form(schema={"$ref": "https://example.com/schema"}))
    assert made.asks == []


def test_a_schema_with_numbers_that_have_no_address_is_a_bad_request() -> None:
    """What cannot be hashed cannot be kept, and is refused instead."""
    with pytest.raises(errors.BadRequest, match="exact JSON numbers"):
        bench({}, TWO).router.structure(form(schema={"maximum": 2**60}))


def test_a_repair_that_does_not_fit_the_window_is_escalated() -> None:
    """The wrong answer makes the question longer: maybe too long for the small model."""
    settings = config(model("a/small", context=600), model("b/big", "strong"))
    made = bench({"a/small": [says("x" * 1600)], "b/big": [says(GOOD)]}, settings)
    answer = made.router.structure(form(params={"max_tokens": 300}))
    assert answer.route.reason == "escalated: input exceeds the context"
    assert statuses(answer) == ["invalid", "ok"]


def test_a_failure_in_a_repair_is_retried_like_any() -> None:
    """Broken connections do not use repairs up."""
    made = bench(
        {"a/small": [says(BAD), fails("unavailable"), says(GOOD)]}, config(model("a/small"))
    )
    answer = made.router.structure(form())
    assert statuses(answer) == ["invalid", "error", "ok"]
    assert answer.validation == ValidationNote(ok=True, repairs=1)


def test_a_text_is_not_parsed() -> None:
    """`complete` gives what was said, JSON or not."""
    answer = bench({"a/small": [says(GOOD)]}, TWO).router.complete(question())
    assert (answer.text, answer.data, answer.validation) == (GOOD, None, None)
