"""Which stored answers are given, and which answers are stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_provider import Bench, bench, config, fails, form, model, question, says

from runner.core import errors
from runner.core.model_call import Answer, Request, StructureRequest, ask_digest, request_key
from runner.models.config import ModelsConfig
from runner.models.contract import Failure, Reply
from runner.models.store import Store

ONE = config(model("a/small"), retries=0)
OTHER = config(model("b/big"), retries=0)
RUN = {"project": "acme/shop", "run": "fix/2", "step": "look"}


def router(folder: Path, *said: Reply | Failure, settings: ModelsConfig = ONE) -> Bench:
    return bench({settings.models[0].ref: said}, settings, store=folder / "store")


def ask(made: Bench, mode: str = "auto", text: str = "Why?", **fields: Any) -> Answer:
    return made.router.complete(question(text, cache={"mode": mode}, **fields))


def stored(folder: Path, request: Request, ref: str = "a/small") -> Answer | None:
    return Store(folder / "store").get(ask_digest(request), request_key(request, ref))


def files(folder: Path) -> list[Path]:
    return sorted((folder / "store").rglob("*.json"))


def test_a_hit_asks_nobody_and_costs_nothing(tmp_path: Path) -> None:
    """It tells what it saved, and whose call it was that paid."""
    first = ask(router(tmp_path, says(tokens=(1000, 500))), context=RUN)
    made = router(tmp_path)
    hit = ask(made, budget={"max_cost_usd": "0.01"})
    assert (made.asks, hit.text, hit.route) == ([], "Because.", first.route)
    assert (hit.attempts, hit.usage.total) == ([], 0)
    assert (hit.cost.amount, hit.cost.status) == ("0.00", "cached")
    assert (hit.cache.status, hit.cache.saved, hit.cache.key) == ("hit", "0.002", first.cache.key)
    origin = hit.cache.origin
    assert origin is not None
    assert (origin.run, origin.step, origin.attempts) == ("fix/2", "look", first.attempts)
    assert hit.budget.remaining_usd == "0.01"
    assert hit.cache.key == request_key(question(), "a/small")


@pytest.mark.parametrize("poor", [{"budget": {"max_cost_usd": "0.001"}}, {}])
def test_what_a_lack_of_money_chose_is_not_kept(tmp_path: Path, poor: Any) -> None:
    """Another day the first model can be paid: its place is not taken until then."""
    first = model("a/small") if poor else model("a/small", price=None)
    settings = config(first, model("local/own", "local", price=None))
    asked = question(tier="auto", kind="edit", **(poor or {"budget": {"max_cost_usd": "1.00"}}))
    made = bench({"local/own": [says()]}, settings, store=tmp_path / "store")
    assert made.router.complete(asked).route.reason.startswith("fell back: ")
    assert files(tmp_path) == []
    down = bench(
        {"a/small": [fails("refused")], "local/own": [says()]},
        config(model("a/small"), model("local/own", "local", price=None)),
        store=tmp_path / "store",
    )
    down.router.complete(question(kind="edit"))
    assert len(files(tmp_path)) == 1


def test_a_hit_of_a_hit_has_the_same_origin(tmp_path: Path) -> None:
    """Giving an answer does not change what is stored."""
    ask(router(tmp_path, says()), context=RUN)
    before = [each.read_bytes() for each in files(tmp_path)]
    first, second = ask(router(tmp_path)), ask(router(tmp_path), context={"run": "other/1"})
    assert first.cache.origin == second.cache.origin
    assert [each.read_bytes() for each in files(tmp_path)] == before


def test_a_listener_hears_a_hit_as_a_whole(tmp_path: Path) -> None:
    """Text as it was said, data as JSON."""
    ask(router(tmp_path, says("four")))
    heard: list[str] = []
    router(tmp_path).router.complete(question(), on_text=heard.append)
    router(tmp_path, says('{"n": 4}')).router.structure(form())
    router(tmp_path).router.structure(form(), on_text=heard.append)
    assert heard == ["four", '{"n": 4}']


def test_record_asks_and_replaces(tmp_path: Path) -> None:
    """The newer answer is what is given from then on."""
    ask(router(tmp_path, says("old")))
    assert ask(router(tmp_path, says("new")), "record").cache.status == "miss"
    assert ask(router(tmp_path)).text == "new"


def test_live_asks_and_keeps_what_was_there(tmp_path: Path) -> None:
    """It stores only where nothing was."""
    ask(router(tmp_path, says("old")))
    assert ask(router(tmp_path, says("new")), "live").text == "new"
    assert ask(router(tmp_path)).text == "old"
    ask(router(tmp_path, says("first")), "live", text="How?")
    assert ask(router(tmp_path), text="How?").text == "first"


def test_off_neither_reads_nor_writes(tmp_path: Path) -> None:
    """As if there were no store."""
    ask(router(tmp_path, says()), "off")
    assert files(tmp_path) == []
    ask(router(tmp_path, says("old")))
    assert ask(router(tmp_path, says("new")), "off").text == "new"
    assert ask(router(tmp_path)).text == "old"


def test_replay_without_a_stored_answer_says_what_to_run(tmp_path: Path) -> None:
    """Nobody is asked, with a store or without."""
    for made in (router(tmp_path), bench({}, ONE)):
        with pytest.raises(errors.ReplayMiss) as caught:
            ask(made, "replay")
        assert "there is none to this question" in caught.value.message
        assert "planlock models import FILE" in caught.value.hint
        assert made.asks == []


def test_a_replay_needs_no_models_and_not_the_same(tmp_path: Path) -> None:
    """An answer of an exported store is given also where other models are configured, or none."""
    first = ask(router(tmp_path, says()))
    for settings in (OTHER, config()):
        hit = bench({}, settings, store=tmp_path / "store").router.complete(
            question(cache={"mode": "replay"})
        )
        assert (hit.text, hit.cache.status, hit.cache.key) == ("Because.", "hit", first.cache.key)


def test_a_replay_of_a_certain_model_gives_no_other(tmp_path: Path) -> None:
    """Named, or asked for by tier; the name needs no configuration."""
    ask(router(tmp_path, says()))
    for asked in ({"model": "b/big"}, {"tier": "fast"}):
        with pytest.raises(errors.ReplayMiss):
            ask(router(tmp_path, settings=OTHER), "replay", **asked)
    assert ask(router(tmp_path, settings=OTHER), "replay", model="a/small").text == "Because."


def test_auto_without_any_model_gives_what_is_stored(tmp_path: Path) -> None:
    """Else it says that nothing is configured; several answers are no answer."""
    nothing = bench({}, config(), store=tmp_path / "store")
    with pytest.raises(errors.NoRoute):
        ask(nothing)
    ask(router(tmp_path, says()))
    assert ask(nothing).text == "Because."
    ask(router(tmp_path, says("Other."), settings=OTHER))
    with pytest.raises(errors.NoRoute):
        ask(nothing)
    with pytest.raises(errors.ReplayMiss, match="2 models answered"):
        ask(nothing, "replay")


def test_auto_asks_a_model_that_has_not_answered_yet(tmp_path: Path) -> None:
    """Another first model makes another address."""
    ask(router(tmp_path, says()))
    assert ask(router(tmp_path, says("Other."), settings=OTHER)).text == "Other."


@pytest.mark.parametrize("finish", ["length", "refused"])
def test_what_is_not_whole_is_not_stored(tmp_path: Path, finish: Any) -> None:
    """The next call asks again."""
    ask(router(tmp_path, says("ha", finish=finish)))
    assert files(tmp_path) == []


def test_an_error_is_not_stored(tmp_path: Path) -> None:
    """Neither is an answer that did not satisfy its schema."""
    with pytest.raises(errors.SchemaViolation):
        router(tmp_path, says("no"), says("no")).router.structure(form())
    assert files(tmp_path) == []


def test_an_answer_of_a_fallback_is_kept_under_the_first_model(tmp_path: Path) -> None:
    """The same question finds it, whoever answered."""
    both = config(model("a/small"), model("b/big", "strong"), retries=0)
    said: dict[str, list[Reply | Failure]] = {
        "a/small": [fails("unreachable")],
        "b/big": [says("late")],
    }
    ask(bench(said, both, store=tmp_path / "store"))
    hit = ask(bench({}, both, store=tmp_path / "store"))
    assert (hit.text, hit.route.provider) == ("late", "b")
    assert stored(tmp_path, question()) is not None


def test_a_damaged_answer_does_not_count(tmp_path: Path) -> None:
    """It is asked anew, told and replaced; a replay names the file."""
    ask(router(tmp_path, says()))
    (file,) = files(tmp_path)
    file.write_bytes(file.read_bytes().replace(b"Why?", b"Who?"))
    with pytest.raises(errors.ReplayMiss) as caught:
        ask(router(tmp_path), "replay")
    assert str(file) in caught.value.message
    answer = ask(router(tmp_path, says("new")))
    assert answer.route.fallbacks[0].startswith("stored answer: ")
    assert ask(router(tmp_path)).text == "new"


def wrong_data(folder: Path, asked: StructureRequest) -> None:
    """Keep data that does not satisfy, as somebody with access to the store could."""
    router(folder, says('{"n": 4}')).router.structure(asked)
    answer = stored(folder, asked)
    assert answer is not None
    planted = answer.model_copy(update={"data": {"n": "rm -rf"}})
    key = request_key(asked, "a/small")
    Store(folder / "store").put(asked, ask=ask_digest(asked), key=key, answer=planted)


def test_stored_data_is_checked_before_it_is_given(tmp_path: Path) -> None:
    """What does not satisfy the schema is not given, not even in a replay."""
    wrong_data(tmp_path, form())
    with pytest.raises(errors.ReplayMiss, match="'rm -rf' is not of type 'integer'"):
        router(tmp_path).router.structure(form(cache={"mode": "replay"}))
    answer = router(tmp_path, says('{"n": 5}')).router.structure(form())
    assert (answer.data, answer.cache.status) == ({"n": 5}, "miss")


def test_a_store_that_cannot_be_written_matters_only_in_recording(tmp_path: Path) -> None:
    """The answer was paid for and is given, unless keeping it was what was asked."""
    (tmp_path / "store").write_text("a file where the folder should be")
    for mode in ("auto", "live"):
        assert ask(router(tmp_path, says()), mode).text == "Because."
    with pytest.raises(errors.FileAccessError):
        ask(router(tmp_path, says()), "record")


def embed(text: str) -> Sequence[float]:
    return [float(text.count(letter)) for letter in "aeiou"]


def alike(folder: Path, *said: Reply, semantic: bool = True) -> Bench:
    extra = {"semantic": {"provider": "a", "model": "embed"}} if semantic else {}
    settings = config(model("a/small"), **extra)
    return bench({"a/small": said}, settings, store=folder / "store", embed=embed)


def wish(text: str, kind: Any = "analyze", mode: Any = "auto", *, semantic: bool = True) -> Request:
    return question(text, kind=kind, cache={"mode": mode, "semantic": semantic})


def test_a_much_alike_question_may_have_the_same_answer(tmp_path: Path) -> None:
    """Where it is wished for and configured, and marked as such."""
    alike(tmp_path, says("one")).router.complete(wish("What does it do"))
    hit = alike(tmp_path).router.complete(wish("What does it do?"))
    assert (hit.text, hit.cache.status, hit.cost.status) == ("one", "semantic_hit", "cached")
    assert hit.cache.key == request_key(wish("What does it do?"), "a/small")


@pytest.mark.parametrize(
    "asked",
    [
        wish("What does it do?", kind="plan"),
        wish("What does it do?", kind="edit"),
        wish("What does it do?", kind="custom"),
        wish("What does it do?", semantic=False),
        wish("What does it do?", mode="live"),
        wish("What does it do?", mode="record"),
    ],
    ids=["plan", "edit", "custom", "not wished for", "live", "record"],
)
def test_a_much_alike_question_is_never_enough_elsewhere(tmp_path: Path, asked: Request) -> None:
    """Not for plans and edits whatever is wished, and not where a model is to be asked."""
    for kind in ("analyze", asked.kind):
        first = wish("What does it do", kind=kind)
        alike(tmp_path, says("one")).router.complete(first)
    assert alike(tmp_path, says("two")).router.complete(asked).text == "two"


def test_a_much_alike_question_is_not_enough_unless_configured(tmp_path: Path) -> None:
    """Without `semantic` in the configuration the wish is not heard."""
    alike(tmp_path, says("one")).router.complete(wish("What does it do"))
    made = alike(tmp_path, says("two"), semantic=False)
    assert made.router.complete(wish("What does it do?")).text == "two"
    with pytest.raises(errors.ReplayMiss):
        alike(tmp_path).router.complete(wish("What does it do??", mode="replay"))
