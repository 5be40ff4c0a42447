"""Which providers and models there are: a YAML file of the user's, else what the environment tells.

Keys never stand in it, only the names of the environment variables that hold them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, ValidationError

from runner.core.errors import InvalidDocument
from runner.core.model_call import Kind
from runner.core.plan import EnvName, Version, model_problems
from runner.core.plan_checks import Check, check_problems, mappings
from runner.core.validation import Format
from runner.core.values import Line, Strict, Usd

ProviderKind = Literal["openai", "gemini", "ollama", "scripted"]
ModelTier = Literal["local", "fast", "strong"]
ProviderName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Share = Annotated[str, StringConstraints(pattern=r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$")]


class ProviderConfig(Strict):
    """A server; `key` names the environment variable that holds its key."""

    name: ProviderName
    kind: ProviderKind
    url: Line | None = None
    key: EnvName | None = None
    script: Line | None = None


class PriceConfig(Strict):
    """USD for a million tokens; cached ones cost as much as others where nothing is said."""

    input: Usd
    output: Usd
    cache_read: Usd | None = None
    cache_creation: Usd | None = None


class ModelConfig(Strict):
    """A model; `context` and `max_output` in tokens, the context holds input and output."""

    provider: ProviderName
    name: Line
    tier: ModelTier
    context: Annotated[int, Field(ge=256)] = 32_768
    max_output: Annotated[int, Field(ge=1)] = 8_192
    price: PriceConfig | None = None

    @property
    def ref(self) -> str:
        return f"{self.provider}/{self.name}"


class RouteConfig(Strict):
    """The chain for calls of a kind (any, if none is named) up to a size of input."""

    kind: Kind | None = None
    max_input_tokens: Annotated[int, Field(ge=1)] | None = None
    models: Annotated[list[Line], Field(min_length=1, max_length=20)]


class SemanticConfig(Strict):
    """The embeddings of the semantic cache; `threshold` is a cosine similarity."""

    provider: ProviderName
    model: Line
    threshold: Share = "0.95"


class ModelsConfig(Strict):
    version: Version
    providers: Annotated[list[ProviderConfig], Field(max_length=50)] = []
    models: Annotated[list[ModelConfig], Field(max_length=500)] = []
    routes: Annotated[list[RouteConfig], Field(max_length=100)] = []
    baseline: Line | None = None
    retries: Annotated[int, Field(ge=0, le=10)] = 3
    semantic: SemanticConfig | None = None

    def provider(self, name: str) -> ProviderConfig | None:
        return next((each for each in self.providers if each.name == name), None)

    def find(self, name: str) -> ModelConfig | None:
        """A model by `provider/name`, or by its name alone where only one provider has it."""
        for each in self.models:
            if each.ref == name:
                return each
        found = [each for each in self.models if each.name == name]
        return found[0] if len(found) == 1 else None


def build(value: Mapping[str, Any], *, file: str) -> ModelsConfig:
    """Type a parsed configuration; raises InvalidDocument with every problem."""
    try:
        config = ModelsConfig.model_validate(value)
    except ValidationError as error:
        raise InvalidDocument(model_problems(error, file=file)) from error
    problems = check_problems(cross_checks(value), file=file)
    if problems:
        raise InvalidDocument(problems)
    return config


def cross_checks(value: Any) -> Iterator[Check]:
    """Yield (code, path, message, fix) for what spans fields; takes broken files too."""
    providers = [each for _, each in mappings(value, "providers")]
    models = [each for _, each in mappings(value, "models")]
    known = [str(each.get("name")) for each in providers]
    yield from _provider_checks(value)
    seen: list[str] = []
    for number, model in mappings(value, "models"):
        at = f"models[{number}]"
        yield from _named(model.get("provider"), f"{at}.provider", known)
        if (ref := _ref(model)) in seen:
            yield "duplicate_model", f"{at}.name", f"model {ref!r} is listed twice", "remove it"
        seen.append(ref)
    for at, name in _model_names(value):
        yield from _meant(name, at, models)
    semantic = value.get("semantic") if isinstance(value, dict) else None
    if isinstance(semantic, dict):
        yield from _named(semantic.get("provider"), "semantic.provider", known)


def _provider_checks(value: Any) -> Iterator[Check]:
    seen: list[Any] = []
    for number, each in mappings(value, "providers"):
        at, name = f"providers[{number}]", each.get("name")
        if name in seen:
            message = f"provider {name!r} is listed twice"
            yield "duplicate_provider", f"{at}.name", message, "rename it"
        seen.append(name)
        if isinstance(each.get("url"), str) and not _plain_url(each["url"]):
            message = "is no plain http:// or https:// address"
            fix = "write scheme, host, port and path; name a key's variable under `key`"
            yield "provider_url", f"{at}.url", message, fix
        if each.get("kind") == "scripted" and each.get("script") is None:
            message = "a scripted provider needs its file of answers"
            yield "script_missing", at, message, "add `script`"


def _plain_url(url: str) -> bool:
    """An address that holds no secret: neither a password nor a query."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        return False
    secrets = (parts.username, parts.password, parts.query, parts.fragment)
    return parts.scheme in {"http", "https"} and bool(host) and not any(secrets)


def _ref(model: Mapping[str, Any]) -> str:
    return f"{model.get('provider')}/{model.get('name')}"


def _named(name: Any, at: str, known: Sequence[str]) -> Iterator[Check]:
    if isinstance(name, str) and name not in known:
        fix = f"name one of: {', '.join(known)}" if known else "list it under `providers`"
        yield "unknown_provider", at, f"no provider is called {name!r}", fix


def _model_names(value: Any) -> Iterator[tuple[str, Any]]:
    """Every place that names a model."""
    for number, route in mappings(value, "routes"):
        named = route.get("models")
        for place, name in enumerate(named if isinstance(named, list) else []):
            yield f"routes[{number}].models[{place}]", name
    if isinstance(value, dict):
        yield "baseline", value.get("baseline")


def _meant(name: Any, at: str, models: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    if not isinstance(name, str) or any(_ref(each) == name for each in models):
        return
    found = [each for each in models if each.get("name") == name]
    if len(found) != 1:
        several = "several providers have a model" if found else "no model is"
        yield "unknown_model", at, f"{several} called {name!r}", "write `provider/name`"


FORMAT = Format(build=build, cross_checks=cross_checks)
