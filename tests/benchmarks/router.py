"""What the router adds to a call, against plain httpx in one run: `python -m tests.benchmarks.router`.

The provider is a real server on this machine, so the same for all; the ratios are what tells.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from provider_server import KEY, ProviderServer
from provider_server import serving as providing
from provider_server_openai import OpenAiApi
from router_service import OPEN, serving, world

from runner import schemas
from runner.api import router_app
from runner.core.documents import dump
from runner.core.model_call import CacheMode, Request
from runner.models import setup
from runner.models.contract import Models
from runner.models.remote import RemoteModels
from runner.project import World
from runner.verbs.router import Service
from runner.verbs.router_budgets import Budgets, SharedBudgets
from tests.benchmarks.lines import Line, each, show

PROMPT = "What does add(a, b) return? " * 40
FLOOR = "plain httpx"


def ask(text: str, mode: CacheMode) -> Request:
    """Ask as a step does, with some text and a bound."""
    return Request.model_validate(
        {
            "messages": [{"role": "user", "content": f"{PROMPT}{text}"}],
            "kind": "analyze",
            "cache": {"mode": mode},
            "budget": {"max_cost_usd": "1.00"},
            "params": {"max_tokens": 100},
        }
    )


def plain(client: httpx.Client, url: str) -> Callable[[], object]:
    """Ask the provider as a script without planlock would."""
    body = {
        "model": "m1",
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": 100,
    }

    def act() -> object:
        response = client.post(f"{url}/chat/completions", json=body)
        response.raise_for_status()
        return response.json()["choices"][0]["message"]["content"]

    return act


def of_router(models: Models) -> Iterator[tuple[str, Callable[[], object]]]:
    """Name the ways to ask a router: past the store, into it, and from it."""
    numbers = itertools.count()
    models.complete(ask("stored", "auto"))
    yield "without the store", lambda: models.complete(ask("off", "off"))
    yield "cache miss, answer stored", lambda: models.complete(ask(f"new {next(numbers)}", "auto"))
    yield "cache hit", lambda: models.complete(ask("stored", "auto"))


@contextmanager
def embedded(server: ProviderServer, folder: Path, here: World) -> Iterator[Models]:
    """Open the router of a configuration with one priced model."""
    file = folder / "models.yaml"
    price = {"input": "0.10", "output": "0.40"}
    model = {"provider": "p", "name": "m1", "tier": "fast", "price": price}
    provider = {"name": "p", "kind": "openai", "url": server.url, "key": "THE_KEY"}
    file.write_bytes(dump({"version": 1, "providers": [provider], "models": [model]}))
    sources = setup.Sources(file=file, environment={"THE_KEY": KEY}, schema=schemas.load("models"))
    models = setup.open_models(
        sources,
        store=folder / "store",
        clock=setup.clock(
            now=here.now, random=here.random, monotonic=here.monotonic, sleep=here.sleep
        ),
    )
    yield models
    models.close()


def measure(folder: Path, *, times: int) -> list[Line]:
    here = world(folder)
    with ExitStack() as stack:
        server = stack.enter_context(providing(OpenAiApi()))
        client = stack.enter_context(httpx.Client(headers={"authorization": f"Bearer {KEY}"}))
        floor = each(plain(client, server.url), times)
        lines = [Line(what=f"ask a provider by {FLOOR}", seconds=floor, against=FLOOR, ratio=1.0)]
        models = stack.enter_context(embedded(server, folder, here))
        budgets = SharedBudgets(here, Budgets(), folder=folder)
        app = router_app.create(Service(models=models, budgets=budgets), access=OPEN)
        url = stack.enter_context(serving(app))
        remote = RemoteModels(
            url,
            clock=setup.clock(
                now=here.now, random=here.random, monotonic=here.monotonic, sleep=here.sleep
            ),
        )
        stack.callback(remote.close)
        for name, asked in (("embedded router", models), ("router over HTTP", remote)):
            for what, act in of_router(asked):
                seconds = each(act, times)
                title = f"{name}, {what}"
                lines.append(
                    Line(what=title, seconds=seconds, against=FLOOR, ratio=seconds / floor)
                )
        return lines


def main() -> None:
    show(partial(measure, times=200))


if __name__ == "__main__":
    main()
