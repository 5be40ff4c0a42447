"""Killed with -9 around a question to a model: what was answered is not asked or paid for twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_points import Scene, die
from provider_server import ProviderServer, serving
from provider_server_openai import OpenAiApi
from team import Team

ASK = "- {id: ask, step_type: analyze, description: Ask, input: {instruction: Explain}}\n"
MODELS = """\
version: 1
providers: [{{name: far, kind: openai, url: "{url}"}}]
models:
  - {{provider: far, name: model-1, tier: local, context: 16384, max_output: 4096, price: {price}}}
"""
PRICE = '{input: "10", output: "10"}'
# Putting an answer into the store is one.
RENAME = "os.rename"
PARTS, NEAR, OTHERS = 4, 10, 11


@pytest.fixture(scope="module")
def server() -> Iterator[ProviderServer]:
    with serving(OpenAiApi(keyless=True)) as found:
        yield found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene.make(tmp_path_factory.mktemp("scene"), ASK)


def copied(scene: Scene, base: Path, server: ProviderServer) -> Team:
    """A copy whose user has the server as the only model; nobody has asked it yet."""
    team = scene.copy(base).team
    models = base / "models.yaml"
    models.write_text(MODELS.format(url=server.url, price=PRICE))
    home = Path(team.environment("ada")["HOME"])
    (home / ".gitconfig").write_text(f"[planlock]\n\tmodels = {models}\n")
    server.seen.clear()
    return team


def finish(team: Team) -> None:
    done = team.cli("ada", "run", "job")
    assert done.code == 0, done.text
    for verb in (("audit",), ("ledger", "check")):
        checked = team.cli("ada", *verb)
        assert checked.code == 0, checked.text
    team.git("fsck", "--strict")


def spent(team: Team) -> tuple[int, float]:
    """How many calls the records have, and what they cost."""
    total = team.cli("ada", "cost", "--json").json["total"]
    return total["calls"], float(total["usd"])


def is_unknown(told: list[str]) -> bool:
    """Whether a question had been paid for whose answer was not in the store yet."""
    last = ["after settle", RENAME]
    return told[-1] in {"after reserve", "before settle", last[0]} or told[-2:] == last


def chosen(acts: list[str]) -> list[int]:
    """Those around the question, and some of the others."""
    asks = acts.index("before reserve") + 1
    return sorted({*range(asks - 1, asks + NEAR), *range(1, len(acts) + 1, OTHERS)})


@pytest.mark.parametrize("part", range(PARTS))
def test_F01_killed_around_a_question(
    scene: Scene, server: ProviderServer, tmp_path: Path, part: int
) -> None:
    """Only an answer that nobody has is asked for again, and then the record has both calls."""
    team = copied(scene, tmp_path / "undisturbed", server)
    acts, price = die(team, "run", "job", also=[RENAME]), spent(team)[1]
    assert (len(server.seen), price > 0) == (1, True)
    for at in chosen(acts)[part::PARTS]:
        team = copied(scene, tmp_path / str(at), server)
        told = die(team, "run", "job", at=at, also=[RENAME])
        try:
            finish(team)
            calls, usd = spent(team)
            if is_unknown(told):
                assert (len(server.seen) <= calls, calls, usd >= 2 * price) == (True, 2, True)
            else:
                assert (len(server.seen), calls, usd) == (1, 1, price)
        except AssertionError as error:
            raise AssertionError(f"killed before act {at} of {len(acts)}: {told[-3:]}") from error
