"""Providers as configuration names them, with keys from the environment."""

from __future__ import annotations

from typing import Any

import pytest
from provider_server import KEY

from runner.core.errors import NoRoute
from runner.models import providers
from runner.models.config import ProviderConfig

KINDS = pytest.mark.parametrize("kind", ["openai", "gemini", "ollama"])


def config(kind: Any, key: str | None) -> ProviderConfig:
    return ProviderConfig(name="mine", kind=kind, key=key)


@KINDS
def test_a_provider_opens_without_being_asked_anything(kind: str) -> None:
    """Its name is as configured; a server on this machine needs no key."""
    for key in (None, "A_KEY"):
        provider = providers.make(config(kind, key), {"A_KEY": KEY})
        assert provider.name == "mine"
        assert KEY not in repr(provider)
        provider.close()


@KINDS
@pytest.mark.parametrize("environment", [{}, {"A_KEY": ""}, {"A_KEY": " \n"}])
def test_a_key_that_is_not_set_is_named(kind: str, environment: dict[str, str]) -> None:
    """There is no route, and the hint says which variable to set."""
    with pytest.raises(NoRoute, match="opening provider mine: A_KEY is not set") as caught:
        providers.make(config(kind, "A_KEY"), environment)
    assert caught.value.hint == "export A_KEY=…"


@KINDS
@pytest.mark.parametrize("key", ["two words", "a\nb", "schlüssel", "a\x00b"])
def test_a_key_that_no_header_can_hold_is_refused_unseen(kind: str, key: str) -> None:
    """The message does not repeat what may be a secret pasted badly."""
    with pytest.raises(NoRoute, match="holds no key") as caught:
        providers.make(config(kind, "A_KEY"), {"A_KEY": key})
    assert key not in f"{caught.value.message}{caught.value.hint}"
