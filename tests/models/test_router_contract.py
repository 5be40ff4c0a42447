"""The router in this process and the one behind HTTP: the same answers, errors and accounts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from router_service import OPEN, Book, remote_clock, serving, world

from runner import schemas
from runner.api import router_app
from runner.core import errors
from runner.core.documents import dump
from runner.core.errors import ModelError
from runner.core.model_call import Answer, Request, StructureRequest
from runner.models import setup
from runner.models.contract import Models
from runner.models.remote import RemoteModels
from runner.verbs.router import Service
from runner.verbs.router_budgets import Budgets, SharedBudgets

COST = "0.002"
ANSWERS = {
    "2+2": "four",
    "as data": '{"n": 4}',
    "nonsense": "no data at all",
    **{f"number {number}.": f"answer {number}" for number in range(50)},
}
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


def embedded(folder: Path) -> Models:
    """Open a router over a script, with a price that bounds each answer."""
    said = [
        {"match": match, "answer": text, "tokens": {"input": 9, "output": 3}, "cost_usd": COST}
        for match, text in ANSWERS.items()
    ]
    script, file = folder / "script.yaml", folder / "models.yaml"
    script.write_bytes(dump({"version": 1, "answers": said}))
    provider = {"name": "fake", "kind": "scripted", "script": str(script)}
    price = {"input": "10.00", "output": "10.00"}
    model = {"provider": "fake", "name": "m1", "tier": "fast", "price": price}
    file.write_bytes(dump({"version": 1, "providers": [provider], "models": [model]}))
    return setup.open_models(
        setup.Sources(file=file, environment={}, schema=schemas.load("models")),
        store=folder / "store",
        clock=remote_clock(),
    )


@pytest.fixture(params=["embedded", "remote"])
def models(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Models]:
    """Both implementations of `Models`, over the same script."""
    router = embedded(tmp_path)
    if request.param == "embedded":
        yield router
        router.close()
        return
    budgets = SharedBudgets(world(tmp_path), Budgets(), folder=tmp_path)
    app = router_app.create(Service(models=router, budgets=budgets), access=OPEN)
    with serving(app) as url:
        remote = RemoteModels(url, clock=remote_clock())
        yield remote
        remote.close()


def question(text: str = "2+2?", **fields: Any) -> Request:
    value = {"budget": {"max_cost_usd": "0.10"}, "params": {"max_tokens": 100}, **fields}
    return Request.model_validate({"messages": [{"role": "user", "content": text}], **value})


def form(text: str, schema: dict[str, Any] | None = None, **fields: Any) -> StructureRequest:
    value = question(text, **fields).model_dump()
    return StructureRequest.model_validate({**value, "schema": schema or SCHEMA, "max_repairs": 1})


def test_complete_gives_text_route_and_account(models: Models) -> None:
    """An answer has its text, who gave it, and what it took."""
    answer = models.complete(question())
    assert (answer.text, answer.finish_reason) == ("four", "stop")
    assert answer.route.provider == "fake"
    assert [each.status for each in answer.attempts] == ["ok"]
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (9, 3)
    assert (answer.cost.amount, answer.cost.status) == (COST, "reported")
    assert Decimal(answer.budget.remaining_usd or 0) == Decimal("0.098")


def test_structure_gives_data_that_satisfies_the_schema(models: Models) -> None:
    """Data is parsed and checked."""
    answer = models.structure(form("as data"))
    assert (answer.text, answer.data) == (None, {"n": 4})
    assert answer.validation is not None
    assert answer.validation.ok


def test_a_stored_answer_costs_nothing(models: Models) -> None:
    """The second time is a hit that says what it saved; `off` and `live` ask again."""
    first, second = models.complete(question()), models.complete(question())
    assert (first.cache.status, second.cache.status) == ("miss", "hit")
    assert (second.text, second.attempts, second.cost.status) == ("four", [], "cached")
    assert second.cache.saved == COST
    assert second.cache.key == first.cache.key
    for mode in ("off", "live", "record"):
        assert models.complete(question(cache={"mode": mode})).cache.status == "miss"


def test_replay_gives_what_is_stored_and_nothing_else(models: Models) -> None:
    """A replay without a stored answer is an error, and with one a hit."""
    replay = question(cache={"mode": "replay"})
    with pytest.raises(errors.ReplayMiss):
        models.complete(replay)
    models.complete(question(cache={"mode": "record"}))
    assert models.complete(replay).cache.status == "hit"


@pytest.mark.parametrize(
    "asked,kind",
    [
        (form("as data", {"type": "strin"}), errors.BadSchema),
        (form("as data", {"$ref": "https://example.com/x"}), errors.BadSchema),
        (form("nonsense"), errors.SchemaViolation),
        (question("a question that no answer fits"), errors.ProviderFailed),
        (question(model="nobody/none"), ModelError),
        (question(budget={"max_cost_usd": "0.000001"}), errors.BudgetExceeded),
        (question("2+2 " * 40_000), errors.ContextTooLong),
    ],
    ids=["schema", "foreign schema", "no data", "no answer", "no model", "money", "size"],
)
def test_errors_are_the_same(models: Models, asked: Request, kind: type[ModelError]) -> None:
    """Each error has its class and code, and says what was asked before it."""
    book = Book()
    with pytest.raises(kind) as caught:
        ask(models, asked, book)
    made = caught.value.attempts
    assert [each.n for each in made] == list(range(1, len(made) + 1))
    assert bool(made) == (kind in {errors.SchemaViolation, errors.ProviderFailed})
    assert sum(usd or 0 for usd, _ in book.settled) == sum(
        Decimal(each.cost.amount or 0) for each in made
    )


def ask(models: Models, asked: Request, book: Book) -> Answer:
    if isinstance(asked, StructureRequest):
        return models.structure(asked, purse=book)
    return models.complete(asked, purse=book)


def test_money_is_settled_at_what_it_was(models: Models) -> None:
    """Nothing stays set aside, and a hit costs nothing."""
    book = Book()
    models.complete(question(), purse=book)
    models.complete(question(), purse=book)
    assert sum(usd or 0 for usd, _ in book.settled) == Decimal(COST)
    assert len(book.settled) == len(book.wants)


def test_an_empty_purse_asks_nobody(models: Models) -> None:
    """With no money left the call is refused, and nothing was spent."""
    book = Book(left="0")
    with pytest.raises(errors.BudgetExceeded):
        models.complete(question(), purse=book)
    assert book.settled == []


def test_a_listener_hears_the_answer(models: Models) -> None:
    """All pieces together are the text, in however many they come."""
    heard: list[str] = []
    models.complete(question(), on_text=heard.append)
    assert "".join(heard) == "four"


def test_fifty_questions_at_once(models: Models) -> None:
    """Each of fifty parallel calls gets its own answer."""
    with ThreadPoolExecutor(50) as pool:
        asked = [question(f"number {number}.") for number in range(50)]
        given = [answer.text for answer in pool.map(models.complete, asked)]
    assert given == [f"answer {number}" for number in range(50)]
