"""A home whose network fails, whose answers are lost, or that refuses: retried, and never forced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from clones import Clones
from flaky_ssh import FlakySsh
from surroundings import without_rights
from team import EDIT, READ, Result, surroundings

from runner.core.errors import BranchBusy
from runner.git import home_url
from runner.git.home import Home
from runner.git.refs import Move

BRANCH = "refs/heads/planlock/job/1"
TRIES = 1 + len(home_url.WAITS)
LEVELS = pytest.mark.parametrize("level", ["local", "remote"])
# Ends the connection when the refs have moved, and before the client hears of it.
LOST = "#!/bin/sh\necho lost >> {log}\n{once}kill -9 $PPID\n"


@pytest.fixture
def clones(tmp_path: Path) -> Clones:
    made = Clones.make(tmp_path)
    made.propose("job", READ + EDIT)
    return made


def far(clones: Clones, ssh: FlakySsh, *args: str, level: str = "remote") -> Result:
    """Call planlock with the remote behind a network."""
    extra = {
        **clones.extra,
        "PATH": f"{ssh.folder}:{os.environ['PATH']}",
        "PLANLOCK_HOME": f"ssh://home{clones.remote}",
        "PLANLOCK_DURABILITY": level,
    }
    return clones.team.cli("ada", *args, env=extra)


def same(clones: Clones) -> None:
    """The home and the clone have the run alike, each step once, and the audit finds nothing."""
    there, here = clones.refs(), clones.refs(clones.ada)
    for ref in (BRANCH, "refs/planlock/leases/job/1", "refs/tags/planlock-run/job/1"):
        assert there[ref] == here[ref]
    subjects = clones.git("ada", "log", "--format=%s", "--first-parent", f"plan/job..{BRANCH}")
    assert len([line for line in subjects.splitlines() if " step " in line]) == 2
    audit = clones.run("ada", "audit")
    assert audit.code == 0, audit.text


def lose_answers(clones: Clones, *, once: bool) -> Path:
    hook, log = clones.remote / "hooks/post-receive", clones.remote / "lost"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(LOST.format(log=log, once="rm $0\n" if once else ""))
    hook.chmod(0o755)
    return log


@LEVELS
def test_F04_a_network_that_fails_for_a_moment(clones: Clones, tmp_path: Path, level: str) -> None:
    """A few tries later it is there again, and the run has noticed nothing."""
    ssh = FlakySsh.make(tmp_path)
    ssh.fail(TRIES - 1)
    done = far(clones, ssh, "run", "job", level=level)
    assert done.code == 0, done.text
    same(clones)


@LEVELS
def test_F04_a_network_that_stays_away(clones: Clones, tmp_path: Path, level: str) -> None:
    """After the last try the error says so, nothing is lost, and later the run goes on."""
    ssh = FlakySsh.make(tmp_path)
    assert far(clones, ssh, "run", "job", "--step", level=level).code == 0
    tip = clones.refs(clones.ada)[BRANCH]
    ssh.count()
    ssh.fail(100)
    gone = far(clones, ssh, "resume", "job", level=level)
    assert (gone.code, "Connection refused" in gone.err) == (5, True), gone.text
    assert "hint: see whether this works: git ls-remote ssh://home" in gone.err
    assert ssh.count() == TRIES
    assert clones.refs(clones.ada)[BRANCH] == tip
    ssh.fail(0)
    assert far(clones, ssh, "resume", "job", level=level).code == 0
    same(clones)


def test_F04_a_refusal_is_not_tried_again(clones: Clones, tmp_path: Path) -> None:
    """Who may not come in is told at once."""
    ssh = FlakySsh.make(tmp_path, said="git@home: Permission denied (publickey).")
    ssh.fail(100)
    done = far(clones, ssh, "run", "job")
    assert (done.code, "Permission denied (publickey)" in done.err) == (5, True), done.text
    assert ssh.count() == 1


def test_F04_overtaken_is_not_tried_again(clones: Clones, tmp_path: Path) -> None:
    """Git also says that the line was cut where it gave up an atomic push by itself."""
    ssh = FlakySsh.make(tmp_path)
    home = Home(
        git_dir=clones.ada / ".git",
        url=f"ssh://home{clones.remote}",
        trusted_ref="refs/heads/main",
    )
    old = clones.git("ada", "rev-parse", "main~1")
    path = {"PATH": f"{ssh.folder}:{os.environ['PATH']}"}
    with (
        surroundings(clones.ada, clones.team.environment("ada", path)),
        pytest.raises(BranchBusy, match="another runner was first"),
    ):
        home.push([Move(ref="refs/heads/main", old=None, new=old)])
    assert ssh.count() == 2  # the push, and the look whether it had arrived before


@LEVELS
def test_F04_an_answer_that_is_lost(clones: Clones, level: str) -> None:
    """The push is tried again and found to have arrived: no step twice, and no one was first."""
    clones.git("ada", "config", "planlock.durability", level)
    log = lose_answers(clones, once=True)
    done = clones.run("ada", "run", "job")
    assert done.code == 0, done.text
    assert log.read_text() == "lost\n"
    same(clones)


@LEVELS
def test_F04_answers_that_are_always_lost(clones: Clones, level: str) -> None:
    """A step that arrived without being known to is not made again once the home answers."""
    clones.git("ada", "config", "planlock.durability", level)
    log = lose_answers(clones, once=False)
    done = clones.run("ada", "run", "job")
    log.unlink()
    (clones.remote / "hooks/post-receive").unlink()
    assert done.code in {0, 5}, done.text
    assert clones.run("ada", "run", "job").code == 0
    same(clones)


def test_F04_an_answer_that_comes_late(clones: Clones) -> None:
    """A push that meets its own earlier one, which was still on its way, is not called overtaken."""
    hook = clones.remote / "hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\ngit update-ref "$1" "$3"\n')
    hook.chmod(0o755)
    done = clones.run("ada", "run", "job")
    assert done.code == 0, done.text
    same(clones)


@LEVELS
def test_F04_a_home_that_only_reads(clones: Clones, level: str) -> None:
    """What cannot be pushed is told, and nothing of it is lost."""
    assert clones.run("ada", "run", "job", "--step").code == 0
    clones.git("ada", "config", "planlock.durability", level)
    folders = [clones.remote, *(each for each in clones.remote.rglob("*") if each.is_dir())]
    for each in folders:
        each.chmod(0o555)
    try:
        done = without_rights(clones.team, "run", "job")
    finally:
        for each in folders:
            each.chmod(0o755)
    assert (done.code, "pushing to" in done.err) == (5, True), done.text
    assert clones.run("ada", "resume", "job").code == 0
    same(clones)
