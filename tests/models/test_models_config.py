from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner import schemas
from runner.core.errors import FileAccessError, InvalidDocument
from runner.models.config import ModelsConfig, build, cross_checks
from runner.models.configured import (
    Sources,
    configured,
    defaults,
    lists_its_own,
    ollama_url,
    origin,
)
from runner.models.prices import Prices

FILE = """\
version: 1
providers:
  - {name: gemini, kind: gemini, key: GEMINI_API_KEY}
  - {name: here, kind: openai, url: "http://127.0.0.1:8080/v1"}
models:
  - {provider: gemini, name: gemini-3.5-flash-lite, tier: fast}
routes:
  - {kind: plan, models: [gemini-3.5-flash-lite]}
"""


def sources(environment: Mapping[str, str] | None = None, **fields: object) -> Sources:
    return Sources(environment=environment or {}, schema=schemas.load("models"), **fields)  # type: ignore[arg-type]  # named by each test


def problems(text: str, tmp_path: Path) -> list[tuple[str, int, str]]:
    path = tmp_path / "models.yaml"
    path.write_text(text)
    with pytest.raises(InvalidDocument) as caught:
        configured(sources(file=path))
    assert {each.file for each in caught.value.problems} == {str(path)}
    assert all(each.fix for each in caught.value.problems)
    return [(each.code, each.line, each.path) for each in caught.value.problems]


def test_a_file_is_read_strictly_and_wins_over_all_else(tmp_path: Path) -> None:
    """The user's file is all that counts where there is one."""
    path = tmp_path / "models.yaml"
    path.write_text(FILE)
    told = sources({"OPENAI_API_KEY": "k", "OLLAMA_HOST": "x"}, file=path, script=tmp_path / "s")
    found = configured(told)
    assert [each.name for each in found.providers] == ["gemini", "here"]
    assert [each.ref for each in found.models] == ["gemini/gemini-3.5-flash-lite"]
    assert origin(told) == str(path)


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    """Slips of the pen, unknown names and secrets in addresses are all found at once."""
    text = FILE.replace("tier: fast", "tier: quick").replace("kind: plan", "kind: plans")
    text = text.replace("http://127.0.0.1:8080/v1", "http://:secret@127.0.0.1/v1")
    assert problems(text, tmp_path) == [
        ("provider_url", 4, "providers[1].url"),
        ("wrong_value", 6, "models[0].tier"),
        ("wrong_value", 8, "routes[0].kind"),
    ]


def test_yaml_that_parsers_read_differently_is_refused(tmp_path: Path) -> None:
    """The file is read as strictly as plans are."""
    assert problems(FILE + "baseline: no\n", tmp_path) == [("ambiguous_word", 9, "baseline")]
    assert problems("providers: []\nproviders: []\n", tmp_path)[0][0] == "duplicate_key"


def test_embeddings_come_from_a_server_of_ones_own(tmp_path: Path) -> None:
    """Embeddings are in no account, so nobody may charge for them."""
    semantic = "semantic: {provider: gemini, model: gemini-embedding-001}\n"
    found = problems(FILE + semantic, tmp_path)
    assert found == [("semantic_not_local", 9, "semantic.provider")]
    (tmp_path / "models.yaml").write_text(FILE + semantic.replace("gemini,", "here,"))
    config = configured(sources(file=tmp_path / "models.yaml"))
    assert config.semantic is not None
    assert list(lists_its_own(config, model_url=None)) == []


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """The path that the setting names is in the message."""
    with pytest.raises(FileAccessError, match=r"nothing\.yaml"):
        configured(sources(file=tmp_path / "nothing.yaml"))


def test_without_the_published_schema_the_same_is_refused(tmp_path: Path) -> None:
    """The typed form judges too; places stay."""
    (tmp_path / "models.yaml").write_text(FILE.replace("tier: fast", "tier: quick"))
    with pytest.raises(InvalidDocument) as caught:
        configured(Sources(environment={}, file=tmp_path / "models.yaml"))
    assert [each.line for each in caught.value.problems] == [6]


def test_keys_in_the_environment_bring_their_vendors() -> None:
    """A vendor counts once its key is set, not where it is empty."""
    assert configured(sources()) == ModelsConfig(version=1)
    found = configured(sources({"GEMINI_API_KEY": "k", "OPENAI_API_KEY": ""}))
    assert [each.name for each in found.providers] == ["gemini"]
    assert {each.provider for each in found.models} == {"gemini"}
    assert {each.tier for each in found.models} == {"fast", "strong"}
    both = configured(sources({"OPENROUTER_API_KEY": "k", "OPENAI_API_KEY": "k"}))
    assert [each.name for each in both.providers] == ["openai", "openrouter"]


def test_no_key_is_ever_part_of_a_configuration() -> None:
    """Only the variable's name is."""
    key = "sk-the-secret"
    found = configured(sources({"GEMINI_API_KEY": key, "OPENAI_API_KEY": key}))
    assert key not in found.model_dump_json()
    assert [each.key for each in found.providers] == ["GEMINI_API_KEY", "OPENAI_API_KEY"]


def test_servers_of_ones_own_are_asked_what_they_have() -> None:
    """The address in the setting and Ollama come first, with no model listed yet."""
    url = "http://10.0.0.5:8080/v1"
    found = configured(sources({"OLLAMA_HOST": "0.0.0.0", "GEMINI_API_KEY": "k"}, url=url))  # noqa: S104  # as Ollama has it
    assert [each.name for each in found.providers] == ["local", "ollama", "gemini"]
    assert list(lists_its_own(found, model_url=url)) == ["local", "ollama"]
    assert found.providers[1].url == "http://127.0.0.1:11434"


def test_an_address_that_is_none_is_told_by_its_source() -> None:
    """A wrong PLANLOCK_MODEL_URL is a problem of the environment."""
    with pytest.raises(InvalidDocument, match="the environment: is no plain http"):
        configured(sources(url="127.0.0.1:8080"))


def test_a_script_is_the_only_model(tmp_path: Path) -> None:
    """Keys that happen to be set do not turn a rehearsal into a real call."""
    found = configured(sources({"GEMINI_API_KEY": "k"}, script=tmp_path / "s.yaml"))
    assert [each.kind for each in found.providers] == ["scripted"]
    assert [each.ref for each in found.models] == ["scripted/scripted-1"]


@pytest.mark.parametrize(
    "host, url",
    [
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("127.0.0.1:9999", "http://127.0.0.1:9999"),
        (":9999", "http://127.0.0.1:9999"),
        ("0.0.0.0:9999", "http://127.0.0.1:9999"),
        ("ollama.example.com", "http://ollama.example.com:11434"),
        ("http://ollama.example.com", "http://ollama.example.com"),
        ("https://ollama.example.com/x/", "https://ollama.example.com/x"),
        ("[::1]:9999", "http://[::1]:9999"),
    ],
)
def test_the_address_of_ollama_is_read_as_ollama_reads_it(host: str, url: str) -> None:
    """Scheme and port may be missing, and the address to listen on is one to ask."""
    assert ollama_url(host) == url


@given(st.text() | st.text("[]:/0a.@"))
@example("[")
@example("http://[x]")
@example("a:b")
def test_any_text_for_ollama_is_an_address_or_a_problem(host: str) -> None:
    """No value of the variable is a crash."""
    with suppress(InvalidDocument):
        assert len(configured(sources({"OLLAMA_HOST": host})).providers) == bool(host)


def test_the_models_that_ship_are_valid_and_have_prices() -> None:
    """Each default model has a known price, and each vendor a fast and a strong one."""
    config = build(defaults(), file="defaults.yaml")
    prices = Prices(now=lambda: datetime(2026, 11, 22, tzinfo=UTC))
    for provider in config.providers:
        models = [each for each in config.models if each.provider == provider.name]
        assert {each.tier for each in models} == {"fast", "strong"}
        found = {each.tier: prices.of(config, each) for each in models}
        fast, strong = found["fast"], found["strong"]
        assert fast is not None
        assert strong is not None
        assert fast.output.base < strong.output.base


def test_names_are_found_in_full_or_where_they_are_unique() -> None:
    """A name that two providers have must be written in full."""
    providers = [{"name": "a", "kind": "ollama"}, {"name": "b", "kind": "ollama"}]
    models = [{"provider": each, "name": "m", "tier": "local"} for each in "ab"]
    value = {"version": 1, "providers": providers, "models": models, "baseline": "m"}
    (found,) = cross_checks(value)
    assert found[:2] == ("unknown_model", "baseline")
    assert "several" in found[2]
    assert list(cross_checks({**value, "baseline": "b/m"})) == []


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["providers", "models", "routes", "name", "url"]), inner
            )
        ),
    )
)
def test_checks_between_fields_take_broken_files(value: object) -> None:
    """Whatever stands where providers and models should, nothing crashes."""
    assert all(len(each) == 4 for each in cross_checks(value))


def test_looking_at_the_configuration_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the environment opens no connection."""
    monkeypatch.setattr(socket, "socket", None)
    assert configured(sources({"GEMINI_API_KEY": "k", "OLLAMA_HOST": "127.0.0.1"})).models
