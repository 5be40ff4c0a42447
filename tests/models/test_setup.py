from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from model_answers import answered, question
from provider_server import KEY, ProviderServer, Raw, Said, Seen, as_json, serving
from provider_server_openai import OpenAiApi

from runner.core.errors import ModelError, NoRoute
from runner.core.model_call import Answer, CacheWish, Request, StructureRequest
from runner.models import setup
from runner.models.config import ModelsConfig, build
from runner.models.configured import configured
from runner.models.contract import Ask, Clock, Failure, Models, OnText, Purse, Reply
from runner.models.discovery import DiscoveringRouter
from runner.models.remote import RemoteModels
from runner.models.setup import Sources, Unset

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def clock() -> Clock:
    """A clock that stands still."""
    return setup.clock(
        now=lambda: NOW, random=bytes, monotonic=lambda: 0.0, sleep=lambda _seconds: None
    )


class KeylessApi(OpenAiApi):
    """A server of one's own asks for no key, and gives embeddings."""

    def complaint(self, seen: Seen) -> Raw | None:
        if seen.path == "/v1/embeddings":
            counts = [seen.body["input"].count(letter) for letter in "aeiou"]
            return as_json({"data": [{"embedding": counts}]})
        return None if "authorization" not in seen.headers else super().complaint(seen)


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with serving(OpenAiApi()) as started:
        yield started


@pytest.fixture
def own() -> Iterator[ProviderServer]:
    with serving(KeylessApi()) as started:
        yield started


def file_for(folder: Path, url: str, price: str = '{input: "1", output: "2"}') -> Path:
    """A provider with a key and one that lacks its own."""
    path = folder / "models.yaml"
    path.write_text(f"""\
version: 1
providers:
  - {{name: other, kind: gemini, key: OTHER_KEY}}
  - {{name: vendor, kind: openai, url: "{url}", key: VENDOR_KEY}}
models:
  - {{provider: other, name: gemini-3.5-flash-lite, tier: fast}}
  - {{provider: vendor, name: model-1, tier: strong, price: {price}}}
""")
    return path


def opened(sources: Sources, folder: Path) -> closing[Models]:
    return closing(setup.open_models(sources, store=folder / "store", clock=clock()))


def test_a_call_goes_to_the_vendor_and_no_key_is_kept(
    server: ProviderServer, tmp_path: Path
) -> None:
    """The key reaches its own vendor, and neither answer nor store has it."""
    file = file_for(tmp_path, server.url)
    with opened(Sources(file=file, environment={"VENDOR_KEY": KEY}), tmp_path) as models:
        answer = models.complete(question(model="vendor/model-1"))
    assert answer.text == Said().text
    assert server.seen[-1].headers["authorization"] == f"Bearer {KEY}"
    assert answer.cost.amount == "0.000064"
    kept = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        assert KEY.encode() not in path.read_bytes()
        assert b"authorization" not in path.read_bytes().lower()
    assert KEY not in answer.model_dump_json()


def test_the_same_question_costs_once_and_no_key_is_needed_again(
    server: ProviderServer, tmp_path: Path
) -> None:
    """What is stored is given on a machine without the key too."""
    file, request = file_for(tmp_path, server.url), question(model="vendor/model-1")
    with opened(Sources(file=file, environment={"VENDOR_KEY": KEY}), tmp_path) as models:
        first = models.complete(request)
    asked = len(server.seen)
    replay = request.model_copy(update={"cache": CacheWish(mode="replay")})
    with opened(Sources(file=file, environment={}), tmp_path) as models:
        again = models.complete(replay)
    assert (again.text, again.cache.status, again.cost.status) == (first.text, "hit", "cached")
    assert len(server.seen) == asked


def test_a_provider_without_its_key_is_passed_over_with_the_reason(
    server: ProviderServer, tmp_path: Path
) -> None:
    """The next model of the chain serves, and the answer says why the first did not."""
    file = file_for(tmp_path, server.url)
    with opened(Sources(file=file, environment={"VENDOR_KEY": KEY}), tmp_path) as models:
        answer = models.complete(question(kind="plan"))
    assert answer.route.provider == "vendor"
    assert "OTHER_KEY is not set" in " ".join(answer.route.fallbacks)
    with (
        opened(Sources(file=file, environment={}), tmp_path) as alone,
        pytest.raises(ModelError, match="VENDOR_KEY is not set"),
    ):
        alone.complete(question("Other?", model="vendor/model-1"))


def test_the_server_that_the_setting_names_serves(own: ProviderServer, tmp_path: Path) -> None:
    """Its models are asked for once, when the first call comes, and cost nothing."""
    with opened(Sources(url=own.url, environment={}), tmp_path) as models:
        assert own.seen == []
        answers = [models.complete(question(text)) for text in ("a", "b")]
    assert [each.cost.status for each in answers] == ["free", "free"]
    assert [each.route.provider for each in answers] == ["local", "local"]
    assert [seen.path for seen in own.seen].count("/v1/models") == 1


def test_a_server_that_is_down_is_named(tmp_path: Path) -> None:
    """No model at all is an error with the server's name and where to look."""
    with (
        opened(Sources(url="http://127.0.0.1:9/v1", environment={}), tmp_path) as models,
        pytest.raises(NoRoute, match=r"local: .*127\.0\.0\.1:9") as caught,
    ):
        models.complete(question())
    assert caught.value.hint == "planlock doctor"


def test_a_stored_answer_serves_where_nothing_is_configured(
    own: ProviderServer, tmp_path: Path
) -> None:
    """An imported store is enough to replay, with no model and no key."""
    with opened(Sources(url=own.url, environment={}), tmp_path) as models:
        first = models.complete(question())
    with opened(Sources(environment={}), tmp_path) as models:
        again = models.complete(question())
    assert (again.text, again.cache.status) == (first.text, "hit")


def test_nearly_the_same_question_is_answered_from_the_semantic_cache(
    own: ProviderServer, tmp_path: Path
) -> None:
    """Only a call that asks for it is, and its answer says so; a plan never is."""
    file = tmp_path / "models.yaml"
    file.write_text(f"""\
version: 1
providers: [{{name: here, kind: openai, url: "{own.url}"}}]
models: [{{provider: here, name: model-1, tier: local}}]
semantic: {{provider: here, model: embed-1, threshold: "0.9"}}
""")
    cache = CacheWish(semantic=True)
    asked = [
        question("What does the parser return", kind="analyze", cache=cache),
        question("What does the parser return?", kind="analyze", cache=cache),
        question("What does the parser return?!", kind="analyze"),
        question("What does the parser return", kind="plan", cache=cache),
        question("What does the parser return?", kind="plan", cache=cache),
    ]
    with opened(Sources(file=file, environment={}), tmp_path) as models:
        found = [models.complete(each).cache.status for each in asked]
    assert found == ["miss", "semantic_hit", "miss", "miss", "miss"]


def test_a_router_elsewhere_is_asked_unless_there_is_a_script(tmp_path: Path) -> None:
    """The address of a router wins over a file; a script alone is a rehearsal and stays here."""
    url, script = "http://127.0.0.1:8000", tmp_path / "script.yaml"
    script.write_text(
        "version: 1\nanswers:\n"
        '  - {match: "", answer: Yes., tokens: {input: 1, output: 1}, cost_usd: "0.10"}\n'
    )
    file = file_for(tmp_path, "http://127.0.0.1:9/v1")
    for sources in (
        Sources(router_url=url, environment={}),
        Sources(router_url=url, file=file, environment={}),
        Sources(router_url=url, file=file, script=script, environment={}),
    ):
        with opened(sources, tmp_path) as models:
            assert isinstance(models, RemoteModels)
    with opened(Sources(router_url=url, script=script, environment={}), tmp_path) as here:
        assert here.complete(question()).text == "Yes."


def test_a_script_bounds_its_price_by_the_dearest_answer(tmp_path: Path) -> None:
    """Any of its answers may come, so the worst case is the dearest."""
    script = tmp_path / "script.yaml"
    answers = [
        f'  - {{match: "{n}", answer: x, tokens: {{input: 1, output: 1}}, cost_usd: "{n}.00"}}\n'
        for n in (1, 3, 2)
    ]
    script.write_text("version: 1\nanswers:\n" + "".join(answers))
    sources = Sources(script=script, environment={})
    config = configured(sources)
    prices = setup.prices_of(sources, setup.open_providers(config, {}), now=lambda: NOW)
    price = prices.of(config, config.models[0])
    assert price is not None
    assert (price.worst(10**6, 10**6), price.source) == (Decimal(3), "script")


class Flaky:
    """A server that answers from the second time on."""

    name = "here"

    def __init__(self) -> None:
        self.asked = 0

    def ask(self, ask: Ask, on_text: OnText | None) -> Reply:
        raise NotImplementedError

    def offered(self) -> Sequence[str]:
        self.asked += 1
        if self.asked == 1:
            raise Failure("unreachable", "nobody listens")
        return ["nomic-embed-text", "qwen", "", "x" * 501]

    def close(self) -> None:
        self.asked = -1


class Told:
    """A router that only says which models it was given."""

    def __init__(self, config: ModelsConfig) -> None:
        self.names = [each.ref for each in config.models]

    def complete(
        self, request: Request, *, purse: Purse | None = None, on_text: OnText | None = None
    ) -> Answer:
        assert (purse, on_text) == (None, None)
        if not self.names:
            raise NoRoute("choosing a model: none is configured")
        return answered(request, ",".join(self.names))

    def structure(
        self,
        request: StructureRequest,
        *,
        purse: Purse | None = None,
        on_text: OnText | None = None,
    ) -> Answer:
        return self.complete(request, purse=purse, on_text=on_text)

    def close(self) -> None:
        raise AssertionError


def test_a_server_that_comes_up_later_is_found_then() -> None:
    """It is asked again at each call until it answers, and never again after that."""
    provider = {"name": "here", "kind": "ollama"}
    config, flaky = build({"version": 1, "providers": [provider]}, file="x"), Flaky()
    router = DiscoveringRouter(config, {"here": flaky}, model_url=None, route=Told)
    with pytest.raises(NoRoute, match="none is configured; here: nobody listens"):
        router.complete(question())
    for _ in range(2):
        assert router.complete(question()).text == "here/qwen"
    assert flaky.asked == 2
    router.close()
    assert flaky.asked == -1


def test_an_unset_provider_is_refused_whatever_is_asked() -> None:
    """Asking it and listing it fail with its reason, and closing it is nothing."""
    unset = Unset("x", "X_KEY is not set")
    ask = Ask(model="m", messages=question().messages, max_tokens=1, timeout_s=1, window=1000)
    for call in (lambda: unset.ask(ask, None), unset.offered):
        with pytest.raises(Failure, match="X_KEY is not set") as caught:
            call()
        assert caught.value.kind == "refused"
    unset.close()
