from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from model_answers import MODEL, answered, keep, question
from provider_server import KEY, ProviderServer, serving
from provider_server_openai import OpenAiApi
from team import Result, Team, call

from runner.core.model_call import Cost
from runner.models.store import Store

FILE = """\
version: 1
providers:
  - {{name: here, kind: openai, url: "{url}"}}
  - {{name: gemini, kind: gemini, key: GEMINI_API_KEY}}
  - {{name: far, kind: openai, url: "http://127.0.0.1:9/v1", key: FAR_KEY}}
models:
  - {{provider: here, name: model-1, tier: local}}
  - {{provider: here, name: model-9, tier: local}}
  - {{provider: gemini, name: gemini-3.5-flash-lite, tier: fast}}
  - {{provider: far, name: big, tier: strong, price: {{input: "1.5", output: "6"}}}}
"""


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with serving(OpenAiApi()) as started:
        yield started


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


def run(folder: Path, *args: str, **environment: str) -> Result:
    """Run planlock with nothing but what is named in the environment."""
    base = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    return call(folder, {**base, **environment}, *args)


def listed(folder: Path, *args: str, **environment: str) -> dict[str, dict[str, str]]:
    done = run(folder, "models", *args, "--json", **environment)
    assert done.code == 0, done.text
    return {each["model"]: each for each in done.json["models"]}


def test_without_any_setting_doctor_says_three_ways(outside: Path) -> None:
    """A key, Ollama and a server of one's own: each with the line to type."""
    done = run(outside, "doctor")
    assert done.code == 0, done.text
    for way in ("export GEMINI_API_KEY=", "OLLAMA_HOST=127.0.0.1:11434", "llama-server -m"):
        assert way in done.out
    assert "PLANLOCK_MODEL_URL=http://127.0.0.1:8080/v1" in done.out
    assert run(outside, "models").out.endswith("planlock doctor says what to set\n")


def test_models_of_ones_own_server_are_found(outside: Path, server: ProviderServer) -> None:
    """The server is asked what it has; its models are local and free."""
    done = run(outside, "models", PLANLOCK_MODEL_URL=server.url)
    assert "local/model-1" in done.out
    found = listed(outside, PLANLOCK_MODEL_URL=server.url)
    assert found["local/model-1"]["tier"] == "local"
    assert found["local/model-1"]["input_usd"] == "0"
    assert found["local/model-1"]["price_source"] == "local"
    assert {seen.path for seen in server.seen} == {"/v1/models"}


def test_a_vendors_key_brings_models_with_prices(outside: Path) -> None:
    """Nobody is asked without --check, and no key is shown."""
    done = run(outside, "models", GEMINI_API_KEY=KEY)
    assert "GEMINI_API_KEY set  not asked" in done.out
    assert KEY not in done.text
    row = listed(outside, GEMINI_API_KEY=KEY)["gemini/gemini-3.5-flash-lite"]
    assert (row["input_usd"], row["output_usd"]) == ("0.3", "2.5")
    assert row["price_source"].startswith("genai-prices ")


def test_each_model_says_why_it_cannot_serve(outside: Path, server: ProviderServer) -> None:
    """A missing key, a server that is down and a model that is not offered are told apart."""
    file = outside / "models.yaml"
    file.write_text(FILE.format(url=server.url))
    found = listed(outside, "--check", PLANLOCK_MODELS=str(file), FAR_KEY=KEY)
    states = {name: each["state"] for name, each in found.items()}
    assert states == {
        "here/model-1": "reachable",
        "here/model-9": "unreachable",
        "gemini/gemini-3.5-flash-lite": "not configured",
        "far/big": "unreachable",
    }
    assert found["here/model-9"]["reason"] == "here does not offer it"
    assert "GEMINI_API_KEY is not set" in found["gemini/gemini-3.5-flash-lite"]["reason"]
    assert found["far/big"]["price_source"] == "models.yaml"


def test_the_chain_of_each_kind_of_call_is_shown(outside: Path) -> None:
    """Routes come first; without one, the tiers in the order that suits the kind."""
    file = outside / "models.yaml"
    routes = "routes:\n  - {kind: plan, max_input_tokens: 9000, models: [big, model-1]}\n"
    file.write_text(FILE.format(url="http://127.0.0.1:9/v1") + routes)
    done = run(outside, "models", "--json", PLANLOCK_MODELS=str(file))
    chains = {each["kind"]: each for each in done.json["chains"]}
    assert list(chains) == ["plan", "edit", "analyze", "summarize"]
    assert chains["plan"]["models"] == ["far/big", "here/model-1"]
    assert chains["plan"]["reason"] == "route plan up to 9000 tokens"
    assert chains["edit"]["models"][0] == "gemini/gemini-3.5-flash-lite"
    assert chains["summarize"]["models"][0] == "here/model-1"
    shown = run(outside, "models", PLANLOCK_MODELS=str(file)).out
    assert "plan       far/big → here/model-1  route plan up to 9000 tokens" in shown


def test_a_wrong_file_is_told_with_its_place(outside: Path) -> None:
    """`models` stops with exit 1 at the line; `doctor` makes it a failed check."""
    file = outside / "models.yaml"
    file.write_text(FILE.format(url="127.0.0.1"))
    done = run(outside, "models", PLANLOCK_MODELS=str(file))
    assert done.code == 1
    assert f"{file}:3:37: providers[0].url" in done.err
    checked = run(outside, "doctor", "--json", PLANLOCK_MODELS=str(file))
    assert checked.code == 1
    assert [each["name"] for each in checked.json["checks"] if each["status"] == "fail"] == [
        "models"
    ]


def test_a_server_that_is_down_fails_only_where_it_is_the_only_one(
    outside: Path, server: ProviderServer
) -> None:
    """Another usable model makes it a warning."""
    down = {"OLLAMA_HOST": "127.0.0.1:9"}
    alone = run(outside, "doctor", "--json", **down)
    assert (alone.code, alone.json["well"]) == (1, False)
    beside = run(outside, "doctor", "--json", PLANLOCK_MODEL_URL=server.url, **down)
    assert (beside.code, beside.json["well"]) == (0, True)
    states = {each["name"]: each["status"] for each in beside.json["checks"]}
    assert (states["local"], states["ollama"]) == ("ok", "warn")


def test_settings_of_the_repository_itself_send_nothing_anywhere(tmp_path: Path) -> None:
    """A server that the repository names is not asked; both commands say that it is ignored."""
    team = Team.governed(tmp_path)
    team.git("config", "--local", "planlock.modelUrl", "http://127.0.0.1:9/v1")
    done = team.cli("ada", "models")
    assert "no model is configured" in done.out
    assert "ignored: planlock.modelUrl of this repository" in done.err
    checked = team.cli("ada", "doctor", "--json")
    (warning,) = [each for each in checked.json["checks"] if each["name"] == "settings"]
    assert "planlock.modelUrl of this repository is ignored" in warning["message"]
    assert "git config --local --unset-all planlock.modelUrl" in warning["fixes"][0]


def test_the_users_own_git_configuration_counts_everywhere(
    outside: Path, server: ProviderServer
) -> None:
    """Inside of a repository and outside, what the user set for git holds."""
    (outside / ".gitconfig").write_text(f"[planlock]\n\tmodelUrl = {server.url}\n")
    assert "local/model-1" in listed(outside)
    subprocess.run(["git", "init", "-q", outside / "repo"], check=True)
    assert "local/model-1" in listed(outside / "repo", HOME=str(outside))


@pytest.mark.usefixtures("confined")
def test_in_a_governed_repository_all_parts_are_looked_at(tmp_path: Path) -> None:
    """Policy, key, runner and ledger are each a line; a stranger's key fails with the fix."""
    team = Team.governed(tmp_path)
    done = team.cli("ada", "doctor", "--json")
    states = {each["name"]: each["status"] for each in done.json["checks"]}
    for name in ("git", "ssh-keygen", "repository", "policy", "your key", "runner key", "ledger"):
        assert states[name] == "ok", done.out
    assert done.code == 0
    stranger = team.cli("eve", "doctor")
    assert stranger.code == 1
    assert "people add" in stranger.out


def test_programs_that_are_missing_are_named_with_their_package(tmp_path: Path) -> None:
    """Without git and ssh-keygen each is a failed check with the line that installs it."""
    team = Team.governed(tmp_path)
    done = team.cli("ada", "doctor", "--json", env={"PATH": "/nonexistent"})
    assert done.code == 1
    fixes = {each["name"]: each["fixes"] for each in done.json["checks"]}
    assert fixes["git"] == ["apt-get install git"]
    assert fixes["ssh-keygen"] == ["apt-get install openssh-client"]


def test_outside_of_governance_init_is_the_fix(tmp_path: Path) -> None:
    """A repository that nobody governs fails with the command that governs it."""
    done = Team.start(tmp_path).cli("ada", "doctor")
    assert done.code == 1
    assert "fix: planlock init" in done.out


def test_answers_travel_in_a_file(outside: Path, tmp_path: Path) -> None:
    """Export here, import there; a differing answer is refused with exit 4 unless replaced."""
    here, there, request = Store(tmp_path / "a"), Store(tmp_path / "b"), question()
    keep(here, request, answered(request))
    file = str(outside / "answers.zip")
    done = run(outside, "models", "export", "answers.zip", PLANLOCK_MODEL_STORE=str(here.folder))
    assert done.out == "1 answer(s) exported to answers.zip\n"
    done = run(outside, "models", "import", file, PLANLOCK_MODEL_STORE=str(there.folder))
    assert done.out == "1 new, 0 known, 0 replaced\n"
    keep(there, request, answered(request, "Mine."))
    done = run(outside, "models", "import", file, PLANLOCK_MODEL_STORE=str(there.folder))
    assert done.code == 4
    assert "[answer_differs]" in done.err
    args = ("models", "import", file, "--replace", "--json")
    done = run(outside, *args, PLANLOCK_MODEL_STORE=str(there.folder))
    assert done.json == {"added": 0, "known": 0, "replaced": 1}


def test_what_was_saved_is_measured_on_the_same_tokens(outside: Path) -> None:
    """1,000 tokens in and 200 out cost 0.0008 here, and 0.0027 with the dearest model.

    An answer whose cost nobody knows is in neither sum; a damaged one is left out.
    """
    store = Store(outside / "store")
    keep(store, question("a"), answered(question("a")))
    unknown = Cost(amount=None, status="unknown")
    keep(store, question("b"), answered(question("b"), cost=unknown))
    address = keep(store, question("c"), answered(question("c")))
    (store.folder / address).write_text("{}")
    (outside / "models.yaml").write_text(FILE.format(url="http://127.0.0.1:9/v1"))
    environment = {
        "PLANLOCK_MODELS": str(outside / "models.yaml"),
        "PLANLOCK_MODEL_STORE": str(store.folder),
    }
    done = run(outside, "models", "--json", **environment)
    assert done.json["saving"] == {
        "baseline": "far/big",
        "answers": 2,
        "unpriced": 1,
        "spent_usd": "0.0008",
        "baseline_usd": "0.0027",
    }
    shown = run(outside, "models", **environment).out
    assert "2 stored answer(s) cost 0.0008 USD; far/big would have cost" in shown
    assert "(1 without a known price left out)" in shown
    assert MODEL in shown


def test_with_a_router_elsewhere_the_list_says_so(outside: Path) -> None:
    """Calls go to that router, so what is configured here does not serve them."""
    url = "http://127.0.0.1:8000"
    assert f"the router at {url}" in run(outside, "models", PLANLOCK_ROUTER_URL=url).out
    assert f"the router at {url}" in run(outside, "doctor", PLANLOCK_ROUTER_URL=url).out
