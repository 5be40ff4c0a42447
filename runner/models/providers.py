"""Make providers of what is configured: the one place that knows the adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from runner.core.errors import NoRoute
from runner.models.config import ProviderConfig
from runner.models.contract import Provider


def make(config: ProviderConfig, environment: Mapping[str, str]) -> Provider:
    """Open a provider, asking nothing of it yet.

    Raises NoRoute where its key or script is missing, for a script InvalidDocument and
    FileAccessError.
    """
    makers: dict[str, Callable[[ProviderConfig, str], Provider]] = {
        "openai": _openai,
        "gemini": _gemini,
        "ollama": _ollama,
        "scripted": _scripted,
    }
    return makers[config.kind](config, _key(config, environment))


def _key(config: ProviderConfig, environment: Mapping[str, str]) -> str:
    """The key, empty where none is asked for; it must be fit for a header."""
    if config.key is None:
        return ""
    key = environment.get(config.key, "").strip()
    activity = f"opening provider {config.name}"
    if not key:
        raise NoRoute(f"{activity}: {config.key} is not set", hint=f"export {config.key}=…")
    if not key.isascii() or not key.isprintable() or " " in key:
        what = f"{config.key} holds no key, but a text with blanks or unusual characters"
        raise NoRoute(f"{activity}: {what}", hint=f"export {config.key}=…")
    return key


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} if key else {}


def _openai(config: ProviderConfig, key: str) -> Provider:
    from runner.models.http import Wire
    from runner.models.openai_compatible import OPENAI, OpenAiCompatible

    wire = Wire(config.url or OPENAI, headers=_bearer(key), secret=key)
    return OpenAiCompatible(config.name, wire)


def _gemini(config: ProviderConfig, key: str) -> Provider:
    from runner.models.gemini import GEMINI, Gemini
    from runner.models.http import Wire

    headers = {"x-goog-api-key": key} if key else {}
    return Gemini(config.name, Wire(config.url or GEMINI, headers=headers, secret=key))


def _ollama(config: ProviderConfig, key: str) -> Provider:
    from runner.models.http import Wire
    from runner.models.ollama import OLLAMA, Ollama

    return Ollama(config.name, Wire(config.url or OLLAMA, headers=_bearer(key), secret=key))


def _scripted(config: ProviderConfig, _key: str) -> Provider:
    from runner.models import scripted

    if config.script is None:
        raise NoRoute(
            f"opening provider {config.name}: it has no script",
            hint="set PLANLOCK_MODEL_SCRIPT to a file, or name the file as `script`",
        )
    return scripted.load(Path(config.script), config.name)
