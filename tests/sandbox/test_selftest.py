"""The self-test: every attack in every backend of this machine, against what is declared of it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from runner.core.errors import SandboxUnavailable
from runner.sandbox import selftest
from runner.sandbox.cgroups import find_places
from runner.sandbox.commands import Backend, Command, Outcome, Room, find_backend
from runner.sandbox.landlock import Landlock
from runner.sandbox.selftest import Attack
from runner.sandbox.selftest_attacks import ATTACKS

NAMES = [f"{each.case}-{each.name}" for each in ATTACKS]
FREE = find_backend("none")


def required() -> bool:
    return os.environ.get("PLANLOCK_TEST_REQUIRE_ALL") == "1"


@pytest.fixture(scope="module")
def landlock() -> Backend:
    try:
        return Landlock()
    except SandboxUnavailable as error:
        if required():
            pytest.fail(str(error))
        pytest.skip(str(error))


def got_out(attack: Attack) -> bool | None:
    """Whether the attack succeeds where nothing confines it; None where it depends.

    Without a control group, what ends an unconfined command keeps it from others' processes too.
    """
    if attack.name in {"kill", "environ", "trace", "privileges"} and not find_places():
        return None
    return {"anybody": True, "root": os.geteuid() == 0, "nobody": False}.get(attack.free)


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
def test_bubblewrap_holds_what_is_declared(confined: Backend, attack: Attack) -> None:
    """The attack gets out of bubblewrap exactly where the table says that it may."""
    check(confined, attack)


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
def test_landlock_holds_what_is_declared(landlock: Backend, attack: Attack) -> None:
    """The attack gets out of Landlock exactly where the table says that it may."""
    check(landlock, attack)


def before(attack: Attack) -> list[Attack]:
    """What has to be held before something harmful is tried."""
    same_case = [each for each in ATTACKS if each.case == attack.case and each != attack]
    return same_case if attack.free == "untried" else []


def check(backend: Backend, attack: Attack) -> None:
    result = selftest.run(backend, [*before(attack), attack])[-1]
    if selftest.expected(attack, backend):
        assert result.held, result.detail
    elif got_out(attack):
        # What is called open must be so: otherwise the table says less than is true.
        assert not result.held, f"{attack.name} is held, and declared open"


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
def test_attacks_succeed_where_nothing_holds_them(attack: Attack) -> None:
    """The control: unconfined, each attack does what it is there for, for whom it says."""
    (result,) = selftest.run(FREE, [attack])
    if attack.free == "untried":
        assert (result.held, result.detail) == (None, "not tried: it could do harm outside")
    elif (expected := got_out(attack)) is not None:
        assert result.held is not expected, result.detail


def test_titles_fit_beside_two_backends() -> None:
    """A terminal of 80 columns shows the whole table, and no two attacks share a name."""
    assert max(len(each.title) for each in ATTACKS) <= 80 - len("D01   " + 2 * "  bubblewrap")
    assert len(set(NAMES)) == len(NAMES)


class Refusing:
    """A backend that starts nothing."""

    name = "bubblewrap 0"

    def run(self, command: Command, room: Room, **_: object) -> Outcome:
        raise SandboxUnavailable(f"confining a command: {room.workspace.name}, {command.script}")


class Silent:
    """A backend whose commands say nothing: they may never have begun."""

    name = "bubblewrap 0"

    def run(self, command: Command, room: Room, **_: object) -> Outcome:
        outcome = FREE.run(
            replace(command, script="true"), room, on_output=lambda _: None, cancelled=bool
        )
        return replace(outcome, backend=self.name)


@pytest.mark.parametrize("backend", [Refusing(), Silent()])
def test_D11_an_attack_that_was_not_tried_is_not_held(backend: Backend) -> None:
    """What did not begin proves nothing, so it does not count as held."""
    (result,) = selftest.run(backend, ATTACKS[:1])
    assert result.held is None
    assert not selftest.as_declared(ATTACKS[0], backend, result)


def test_harmful_attacks_wait_for_the_tame_ones(confined: Backend) -> None:
    """What could do harm outside is not tried in a backend that has just let out its like."""
    worst = next(each for each in ATTACKS if each.free == "untried")
    weak = replace(worst, free="anybody", script="echo ESCAPED", in_python=False)
    results = selftest.run(confined, [weak, worst])
    assert [each.held for each in results] == [False, None]
    assert [each.held for each in selftest.run(confined, [worst])] == [None]


def test_nothing_of_a_self_test_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folders, its variable and its processes are gone, also where all got out."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    selftest.run(FREE, [each for each in ATTACKS if each.case in {"D01", "D06", "D07"}])
    assert list(tmp_path.iterdir()) == []
    assert "PLANLOCK_SELFTEST" not in os.environ
    sleeps = [line.read_bytes() for line in Path("/proc/self/task").glob("*/children")]
    assert all(not line.strip() for line in sleeps)
    assert shutil.which("sleep")
