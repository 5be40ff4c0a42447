"""What runs leave in the repository, and what comes after a process that was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from recorded import LEASE, check
from team import EDIT, READ, Team

from runner.git import journal, packs_files, refs_locks

# A runner that dies when it is about to write into its journal for the fourth time.
KILLED = """
import os, sys
sys.path.insert(0, "{root}")
from runner.cli.main import main
from runner.git import durable
done, count = durable.perform, 0
def perform(name, place, act):
    global count
    count += name == "write at"
    if count == 4:
        os._exit(9)
    return done(name, place, act)
durable.perform = perform
main(sys.argv[1:])
""".replace("{root}", str(Path(__file__).parents[2]))


def left(team: Team) -> list[str]:
    folders = (journal.FOLDER, packs_files.OWN, refs_locks.LOCKS)
    files = [path for folder in folders for path in (team.root / ".git" / folder).glob("*")]
    packs = team.root / ".git/objects/pack"
    return [path.name for path in files] + sorted(path.suffix for path in packs.iterdir())


def test_run_leaves_one_pack(team: Team) -> None:
    """A run ends as one pack of git's, whose objects git accepts, and nothing beside it."""
    team.propose("job", READ + EDIT)
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job").code == 0
    assert left(team) == [".idx", ".pack"]
    check(team.root)
    team.git("gc", "-q", "--prune=now")
    assert team.cli("ada", "audit").code == 0


def test_waiting_run_leaves_nothing_open(team: Team) -> None:
    """Each call that goes on with a run leaves what it recorded in git."""
    team.propose("job", READ + EDIT)
    assert team.cli("ada", "run", "job").code == 4
    assert left(team) == [".idx", ".pack"]
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job").code == 0
    assert left(team) == [".idx", ".idx", ".pack", ".pack"]
    assert team.cli("ada", "audit").code == 0


def test_intent_of_a_read_is_in_the_chain(team: Team) -> None:
    """The lease says of every step that it was about to start, whenever that was published."""
    team.propose("job", READ)
    assert team.cli("ada", "run", "job").code == 0
    subjects = team.git("log", "--reverse", "--format=%s", LEASE).splitlines()
    assert "planlock: about to start read" in subjects


@pytest.fixture
def killed(team: Team) -> Team:
    """A run whose process died in its second step, its journal left behind."""
    team.propose("job", READ + EDIT)
    team.approve("bob", "job")
    script = team.base / "dies.py"
    script.write_text(KILLED)
    argv = [sys.executable, str(script), "run", "job"]
    done = subprocess.run(argv, cwd=team.root, env=team.environment("ada"), check=False)
    assert done.returncode == 9
    assert len(list((team.root / ".git" / journal.FOLDER).iterdir())) == 1
    return team


@pytest.mark.parametrize("verb", [("status", "job"), ("log", "job"), ("audit",), ("run", "job")])
def test_F01_any_command_settles(killed: Team, verb: tuple[str, ...]) -> None:
    """Whatever is called next, what the killed process had recorded is settled first."""
    for path in (killed.root / ".git/objects/pack").iterdir():
        path.unlink()
        path.touch()
    done = killed.cli("ada", *verb)
    assert "note:" not in done.err
    assert not list((killed.root / ".git" / journal.FOLDER).iterdir())
    assert killed.cli("ada", "run", "job").code == 0
    assert killed.cli("ada", "audit").code == 0
    check(killed.root)


def test_F02_what_cannot_be_settled_is_said(killed: Team) -> None:
    """Where that cannot be done a command says so, and does what it can."""
    own = killed.root / ".git" / packs_files.OWN
    own.rename(killed.base / "own")
    own.write_text("in the way")
    done = killed.cli("ada", "status", "job")
    assert done.code == 0, done.text
    assert "note: recovering what an ended process wrote" in done.err
    refused = killed.cli("ada", "run", "job")
    assert refused.code == 5
    own.unlink()
    assert killed.cli("ada", "run", "job").code == 0
    assert killed.cli("ada", "audit").code == 0
