"""Whatever models say, every attempt is accounted for."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

from fake_provider import Bench, bench, config, fails, form, model, question, says
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import ModelError
from runner.core.model_call import Answer, Attempt, StructureRequest, Usage
from runner.models.contract import Failure, FailureKind, Reply, Want
from runner.models.purse import Allowance

tokens = st.tuples(st.integers(0, 4000), st.integers(0, 4000))
usages = st.builds(
    lambda two: Usage(input_tokens=two[0], output_tokens=two[1], source="provider"), tokens
)
replies = st.builds(
    says,
    st.sampled_from(['{"n": 4}', '{"n": "4"}', "words", "", "[" * 5000]),
    finish=st.sampled_from(["stop", "stop", "length", "refused"]),
    tokens=tokens,
    cost=st.none() | st.sampled_from(["0", "0.001", "0.5"]),
    source=st.sampled_from(["provider", "estimated", "none"]),
)
failures = st.builds(
    fails,
    st.sampled_from(get_args(FailureKind)),
    wait=st.none() | st.floats(0, 90),
    usage=st.none() | usages,
)
sequences = st.lists(replies | failures, min_size=16, max_size=16)
MODELS = config(
    model("a/small"),
    model("a/unpriced", price=None),
    model("b/big", "strong"),
    model("local/own", "local", price=None),
)


class Book(Allowance):
    """Remembers what was settled."""

    def __init__(self, usd: Decimal | None) -> None:
        super().__init__(usd=usd)
        self.wants: list[Want] = []
        self.settled: list[tuple[Decimal | None, int]] = []

    def reserve(self, want: Want) -> str:
        name = super().reserve(want)
        self.wants.append(want)
        return name

    def settle(self, reservation: str, *, usd: Decimal | None, tokens: int) -> None:
        super().settle(reservation, usd=usd, tokens=tokens)
        self.settled.append((usd, tokens))


def called(made: Bench, asked: StructureRequest | None, book: Book) -> Answer | ModelError:
    try:
        if asked is None:
            return made.router.complete(question(), purse=book)
        return made.router.structure(asked, purse=book)
    except ModelError as error:
        return error


def dumped(answer: Answer) -> object:
    return answer.model_dump()


def attempts_of(outcome: Answer | ModelError) -> list[Attempt]:
    return list(outcome.attempts)


@given(
    said=st.fixed_dictionaries({each.ref: sequences for each in MODELS.models}),
    money=st.none() | st.sampled_from(["0", "0.02", "0.10", "5"]),
    data=st.booleans(),
    repairs=st.integers(0, 3),
    takes_s=st.sampled_from([0.1, 20.0, 100.0]),
)
def test_every_attempt_is_settled_at_its_cost(  # what may vary
    said: dict[str, list[Reply | Failure]],
    money: str | None,
    data: bool,  # noqa: FBT001  # drawn
    repairs: int,
    takes_s: float,
) -> None:
    """Settled is what attempts say, nothing stays set aside, and the call ends in its time."""
    made = bench(said, MODELS)
    for each in made.providers.values():
        each.takes_s = takes_s
    book = Book(None if money is None else Decimal(money))
    outcome = called(made, form(max_repairs=repairs) if data else None, book)
    attempts = attempts_of(outcome)
    assert [each.n for each in attempts] == list(range(1, len(attempts) + 1))
    assert len(attempts) == len(made.asks) == len(book.wants)
    assert [amount for amount, _ in book.settled] == [
        None if each.cost.amount is None else Decimal(each.cost.amount) for each in attempts
    ]
    assert [count for _, count in book.settled] == [each.usage.total for each in attempts]
    assert book.held == 0
    # providers are told their time in whole seconds
    assert made.time.now - 1000 < 301
    if isinstance(outcome, Answer):
        assert dumped(Answer.model_validate_json(outcome.model_dump_json())) == dumped(outcome)
        assert outcome.usage.total == sum(each.usage.total for each in attempts)
        assert outcome.text is not None or outcome.data == {"n": 4}
    else:
        assert outcome.message
        assert outcome.hint
