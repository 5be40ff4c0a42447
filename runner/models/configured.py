"""What is configured: a file of the user's, else a script, else what the environment names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runner.core import documents, validation
from runner.core.errors import FileAccessError, InvalidDocument, Problem
from runner.models.config import FORMAT, ModelsConfig, build
from runner.models.prices import is_local

OLLAMA_PORT = 11434
SCRIPTED_MODEL = "scripted-1"
ENVIRONMENT = "the environment"


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What may say which models there are; None where it says nothing.

    `schema` is the published one of the file, for messages with a fix; the same is refused without.
    """

    file: Path | None = None
    url: str | None = None
    router_url: str | None = None
    script: Path | None = None
    environment: Mapping[str, str]
    schema: Mapping[str, Any] | None = None


def configured(sources: Sources) -> ModelsConfig:
    """Read the configuration; raises InvalidDocument or FileAccessError."""
    if sources.file is not None:
        return _of_file(sources.file, sources)
    if sources.script is not None:
        return build(_scripted(sources.script), file=str(sources.script))
    return build(_of_environment(sources), file=ENVIRONMENT)


def origin(sources: Sources) -> str:
    """Say in a few words what the configuration comes from."""
    return str(sources.file or sources.script or ENVIRONMENT)


def lists_its_own(config: ModelsConfig, *, model_url: str | None) -> Iterator[str]:
    """Name the user's own servers of which no model is listed: they are asked what they have."""
    listed = {each.provider for each in config.models}
    listed |= {config.semantic.provider} if config.semantic else set()
    for each in config.providers:
        if each.name not in listed and is_local(each, model_url=model_url):
            yield each.name


def _of_file(path: Path, sources: Sources) -> ModelsConfig:
    try:
        data = path.read_bytes()
    except OSError as error:
        hint = "git config --show-origin planlock.models; echo $PLANLOCK_MODELS"
        raise FileAccessError(f"reading {path}: {error.strerror}", hint=hint) from error
    document = documents.parse(data, file=str(path))
    config = validation.read(document, FORMAT, schema=sources.schema or {})
    semantic = config.semantic
    provider = config.provider(semantic.provider) if semantic else None
    if provider and not is_local(provider, model_url=sources.url):
        line, column = document.place(("semantic", "provider"))
        raise InvalidDocument(
            [
                Problem(
                    file=str(path),
                    line=line,
                    column=column,
                    path="semantic.provider",
                    code="semantic_not_local",
                    message=f"{provider.name} may charge for embeddings, which no budget bounds",
                    fix="name a provider on your own machine",
                )
            ]
        )
    return config


def _scripted(script: Path) -> dict[str, Any]:
    provider = {"name": "scripted", "kind": "scripted", "script": str(script)}
    model = {"provider": "scripted", "name": SCRIPTED_MODEL, "tier": "local"}
    sizes = {"context": 1_000_000, "max_output": 65_536}
    return {"version": 1, "providers": [provider], "models": [{**model, **sizes}]}


def _of_environment(sources: Sources) -> dict[str, Any]:
    """The vendors whose key is set, with their models, and the user's own servers."""
    shipped = defaults()
    keyed = [each for each in shipped["providers"] if sources.environment.get(each["key"])]
    names = {each["name"] for each in keyed}
    own: list[dict[str, Any]] = []
    if sources.url:
        own.append({"name": "local", "kind": "openai", "url": sources.url})
    if host := sources.environment.get("OLLAMA_HOST"):
        own.append({"name": "ollama", "kind": "ollama", "url": ollama_url(host)})
    models = [each for each in shipped["models"] if each["provider"] in names]
    return {"version": 1, "providers": [*own, *keyed], "models": models}


@cache
def defaults() -> Mapping[str, Any]:
    """The providers and models that ship with planlock."""
    data = files("runner.models").joinpath("defaults.yaml").read_bytes()
    value: Mapping[str, Any] = documents.parse(data, file="defaults.yaml").value
    return value


def ollama_url(host: str) -> str:
    """Read OLLAMA_HOST as Ollama does: scheme and port may be missing, 0.0.0.0 means here."""
    has_scheme = "://" in host
    try:
        parts = urlsplit(host if has_scheme else f"//{host}")
        port = parts.port
    except ValueError:
        return host  # refused as an address, as it was written
    name = parts.hostname or "127.0.0.1"
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name)  # noqa: S104  # replaced
    name = f"[{name}]" if ":" in name else name
    usual = None if has_scheme else OLLAMA_PORT
    where = f"{name}:{port or usual}" if port or usual else name
    return f"{parts.scheme or 'http'}://{where}{parts.path.rstrip('/')}"
