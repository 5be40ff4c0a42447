"""Counters of the router for Prometheus; a registry for each app."""

from __future__ import annotations

import os
from collections.abc import Sequence
from decimal import Decimal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from runner.core.model_call import Answer, Attempt

# Set for several workers, before this module is imported: the client library looks then.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "planlock_router_"
_BUCKETS = (0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900)


class Metrics:
    """What `/metrics` tells; labels are names of the configuration, never what clients send."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = self._counter(
            "requests",
            "Calls by their end: ok, or the error's code.",
            ["endpoint", "kind", "model", "status"],
        )
        self._tokens = self._counter(
            "tokens",
            "Tokens of all attempts; cached and reasoning ones are part of input and output.",
            ["model", "direction"],
        )
        self._cost = self._counter("cost_usd", "USD of all attempts.", ["model"])
        self._unpriced = self._counter(
            "unpriced_attempts", "Attempts whose price nobody knows.", ["model"]
        )
        self._cache = self._counter("cache", "Answers by cache status.", ["status"])
        self._latency = Histogram(
            f"{_PREFIX}latency_seconds",
            "Time of a call, from its last byte to its answer.",
            ["endpoint"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.running = Gauge(
            f"{_PREFIX}calls_in_progress",
            "Calls that wait for an answer.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )

    def _counter(self, name: str, meaning: str, labels: Sequence[str]) -> Counter:
        return Counter(f"{_PREFIX}{name}", meaning, labels, registry=self._registry)

    def text(self) -> bytes:
        """Write all counters as Prometheus reads them, summed up over all workers."""
        folder = os.environ.get(SHARED_FOLDER)
        if folder is None:
            return generate_latest(self._registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone, folder)  # type: ignore[no-untyped-call]  # it has none
        return generate_latest(everyone)

    def answered(self, endpoint: str, kind: str, answer: Answer, *, seconds: float) -> None:
        made = answer.attempts or (answer.cache.origin.attempts if answer.cache.origin else [])
        self._ended(endpoint, kind, status="ok", model=_model(made), seconds=seconds)
        self._cache.labels(answer.cache.status).inc()
        self._count(answer.attempts)

    def failed(
        self, endpoint: str, kind: str, code: str, *, attempts: Sequence[Attempt], seconds: float
    ) -> None:
        self._ended(endpoint, kind, status=code, model=_model(attempts), seconds=seconds)
        self._count(attempts)

    def _ended(self, endpoint: str, kind: str, *, status: str, model: str, seconds: float) -> None:
        self._requests.labels(endpoint, kind, model, status).inc()
        self._latency.labels(endpoint).observe(seconds)

    def _count(self, attempts: Sequence[Attempt]) -> None:
        for each in attempts:
            model, usage = _model([each]), each.usage
            self._tokens.labels(model, "input").inc(usage.input_tokens)
            self._tokens.labels(model, "output").inc(usage.output_tokens)
            self._tokens.labels(model, "cache_read").inc(usage.cache_read_input_tokens)
            self._tokens.labels(model, "reasoning").inc(usage.reasoning_output_tokens)
            if each.cost.amount is None:
                self._unpriced.labels(model).inc()
            else:
                self._cost.labels(model).inc(float(Decimal(each.cost.amount)))


def _model(attempts: Sequence[Attempt]) -> str:
    """Name the last model that was asked; none where none was."""
    return f"{attempts[-1].provider}/{attempts[-1].model}" if attempts else "none"
