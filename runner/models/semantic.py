"""The semantic cache: an answer to nearly the same question, given only where it is asked for.

Nearly the same is never safe: "active users" and "inactive users" are closer than paraphrases.
So everything but the last message must be equal: schema, model, parameters, files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from runner.core import canonical
from runner.core.errors import FileAccessError, InvalidDocument
from runner.core.model_call import Answer, Request, ask_digest, request_key
from runner.models import entries
from runner.models.contract import Failure
from runner.models.store import Store

Embed = Callable[[str], Sequence[float]]
MOST_VALUES = 20_000


class Semantic:
    """Answers beside the embedding of their question; what cannot be read does not count."""

    def __init__(self, folder: Path, embed: Embed, threshold: float) -> None:
        self.folder = folder
        self.embed = embed
        self.threshold = threshold

    def find(self, request: Request, *, model: str) -> Answer | None:
        """Give the answer to the nearest question at or over the threshold."""
        store = self._group(request, model)
        if store is None or not (kept := store.addresses()):
            return None
        vector = self._vector(request)
        if vector is None:
            return None
        near = [(cosine(vector, other), entry) for other, entry in _readable(store, kept)]
        near = [each for each in near if each[0] >= self.threshold]
        return max(near, key=lambda each: each[0])[1].answer if near else None

    def add(self, request: Request, *, model: str, answer: Answer) -> None:
        """Remember an answer; where that cannot be done it is only not remembered."""
        store = self._group(request, model)
        vector = self._vector(request) if store else None
        if store is None or vector is None:
            return
        ask, key = ask_digest(request), request_key(request, model)
        with suppress(FileAccessError):
            store.put(request, ask=ask, key=key, answer=answer)
            address = _vector_address(entries.address(ask, key))
            store.write(address, json.dumps(vector).encode())

    def _group(self, request: Request, model: str) -> Store | None:
        """The questions that differ from this one in the last message alone."""
        last = request.messages[-1]
        if last.role != "user":
            return None
        blank = last.model_copy(update={"content": "?"})
        rest = request.model_copy(update={"messages": [*request.messages[:-1], blank]})
        digest = canonical.chain("planlock/semantic/v1", {"model": model}, ask_digest(rest))
        return Store(self.folder / digest.removeprefix("sha256:"))

    def _vector(self, request: Request) -> list[float] | None:
        try:
            return vector_of(self.embed(request.messages[-1].content))
        except Failure:
            return None


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """How alike two directions are; -1 where they cannot be compared."""
    lengths = math.hypot(*one) * math.hypot(*other)
    if len(one) != len(other) or not 0 < lengths < math.inf:
        return -1.0
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths


def vector_of(value: Any) -> list[float] | None:
    """Read an embedding; None for anything else than numbers."""
    if not isinstance(value, list | tuple) or not 0 < len(value) <= MOST_VALUES:
        return None
    numbers = [each for each in value if isinstance(each, int | float)]
    if len(numbers) != len(value) or not all(map(math.isfinite, numbers)):
        return None
    return [float(each) for each in numbers]


def _readable(
    store: Store, addresses: Sequence[str]
) -> Iterator[tuple[list[float], entries.Entry]]:
    for address in addresses:
        with suppress(InvalidDocument, FileAccessError, OSError, ValueError, RecursionError):
            text = (store.folder / _vector_address(address)).read_bytes()
            vector, entry = vector_of(json.loads(text)), store.entry(address)
            if vector is not None and entry is not None:
                yield vector, entry


def _vector_address(address: str) -> str:
    return f"{address.removesuffix('.json')}.vector"
