"""A planlock that kills itself at the n-th durable act, in a copy of a repository made once."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from team import EDIT, READ, Team, call, command

from runner.git import durable
from runner.git.durable import Result
from runner.git.home import Home
from runner.ledger.reservations import LedgerPurse
from runner.ledger.store import Ledger

COUNT = command("echo once >> count; echo counted", more="writes: [count]\n")
STEPS = READ + EDIT + COUNT
STRAYS = ("**/*.lock", "objects/pack/*.keep", "objects/**/tmp_*", "planlock/journal/**/*")
LEDGER = ("put", "add", "put_approvals")
PURSE = ("reserve", "settle")


@dataclass(frozen=True)
class Scene:
    """An approved plan `job` that nobody has run yet."""

    team: Team

    @classmethod
    def make(cls, base: Path, steps: str = STEPS) -> Scene:
        team = Team.governed(base, "bob")
        team.propose("job", steps)
        team.approve("bob", "job")
        return cls(team)

    def copy(self, base: Path) -> Scene:
        shutil.copytree(self.team.root, base / "project", symlinks=True)
        return Scene(Team(base=base, root=base / "project", keys=self.team.keys))


def die(team: Team, *args: str, at: int = 0, also: Iterable[str] = ()) -> list[str]:
    """Run a command that kills itself before act `at` (from 1; 0: never); gives the acts so far.

    `also` names audit events of Python that count as acts.
    """
    told = team.base / "acts"
    told.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        _become(told, at, frozenset(also))
        call(team.root, team.environment("ada"), *args)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    acts = told.read_text().splitlines() if told.exists() else []
    if at and len(acts) >= at:
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, acts
    return acts


def die_after(team: Team, seconds: float, *args: str) -> None:
    """Run a command that is killed after some time, if it is not over by then."""
    child = os.fork()
    if child == 0:
        call(team.root, team.environment("ada"), *args)
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _become(told: Path, at: int, also: frozenset[str]) -> None:
    """Let every durable act of this process be told, and the chosen one be its death."""
    number = 0

    def act(name: str) -> None:
        nonlocal number
        number += 1
        with told.open("a") as file:
            file.write(f"{name}\n")
        if number == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def perform(name: str, place: Path, do: Callable[[], Result], /) -> Result:
        act(f"{name} {place.name}")
        return do()

    durable.perform = perform
    for kind, names in ((Ledger, LEDGER), (LedgerPurse, PURSE), (Home, ("push",))):
        for name in names:
            _wrap(kind, name, act)
    # such a hook stays for good, as this process does not
    sys.addaudithook(lambda event, _args: act(event) if event in also else None)


def _wrap(kind: type, name: str, act: Callable[[str], None]) -> None:
    inner = getattr(kind, name)

    def wrapped(*args: Any, **options: Any) -> Any:
        act(f"before {name}")
        found = inner(*args, **options)
        act(f"after {name}")
        return found

    setattr(kind, name, wrapped)


def finish(team: Team) -> None:
    """Go on as a person would, until the run has ended as completed."""
    if not team.refs("refs/heads/planlock/job"):
        done = team.cli("ada", "run", "job")
    else:
        done = team.cli("ada", "resume", "job")
    if done.code == 5:
        assert "interrupted" in done.text, done.text
        done = team.cli("ada", "resume", "job", "--retry")
    over = done.code == 4 and "run job/1 is over: completed" in done.err
    assert done.code == 0 or over, done.text


def files(team: Team) -> list[str]:
    """What the run left outside `plans/`."""
    lines = team.git("ls-tree", "-r", "planlock/job/1").splitlines()
    return [line for line in lines if not line.split("\t")[1].startswith("plans/")]


def check(team: Team) -> None:
    """Nothing is lost, nothing is there twice, and nothing is left lying about."""
    story = team.cli("ada", "log", "job/1", "--json").json
    assert story["status"] == "completed"
    done = [each["step"] for each in story["entries"] if each["status"] == "completed"]
    assert [name for name in done if name] == ["read", "edit", "check"]
    assert team.show_file("planlock/job/1", "count") == "once"
    audit = team.cli("ada", "audit")
    assert audit.code == 0, audit.text
    ledger = team.cli("ada", "ledger", "check")
    assert ledger.code == 0, ledger.text
    team.git("fsck", "--strict")
    assert list(strays(team)) == []


def strays(team: Team) -> Iterator[Path]:
    for pattern in STRAYS:
        yield from (path for path in (team.root / ".git").glob(pattern) if path.is_file())
