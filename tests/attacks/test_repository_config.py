"""D13: whatever a repository's settings name, the runner's own git calls start none of it."""

from __future__ import annotations

import subprocess

import pytest
from hostile_config import HOOKS, SETTINGS, VARIABLES, Hostile, Vector
from team import READ, Team, command

from runner.core.errors import AuthorityRefused
from runner.git.home import Home

CALLS = (("status", "job"), ("log", "job"), ("show", "job"), ("audit",))
STEPS = READ + command("git status; git log -1; echo x > made", more="writes: [made]\n")
HOOK_VECTORS = tuple(Vector(name=name, control=text) for name, text in HOOKS.items())


def story(hostile: Hostile, plan: str, env: dict[str, str] | None = None) -> None:
    """Propose, approve, run and look at a plan, with all that travels to the home."""
    team = hostile.team
    team.plan(plan, STEPS)
    calls = [("propose", plan), ("approve", plan), ("run", plan), *CALLS]
    for args in calls:
        done = team.cli("ada", *args, env=env)
        assert done.code == 0, (args, done.text)
        if args[0] in {"propose", "approve"}:
            quiet = ("-c", "core.hooksPath=/dev/null")
            plain = ("--no-verify", "--receive-pack=git-receive-pack")
            team.git(*quiet, "push", "-q", *plain, hostile.home, f"plan/{plan}")
            hostile.forget()  # what a person's own push started
    assert f"planlock/{plan}/1" in team.git("for-each-ref", cwd=hostile.team.base / "home.git")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> tuple[Hostile, set[str]]:
    """The whole story under all settings at once, and the traps that it sprang."""
    hostile = Hostile.start(tmp_path_factory.mktemp("hostile"))
    story(hostile, "job")
    return hostile, hostile.marks()


@pytest.fixture(scope="module")
def in_environment(tmp_path_factory: pytest.TempPathFactory) -> tuple[Hostile, set[str]]:
    """The same with every hostile variable in the caller's environment."""
    hostile = Hostile.start(tmp_path_factory.mktemp("variables"))
    story(hostile, "job", hostile.variables())
    return hostile, hostile.marks()


@pytest.mark.usefixtures("confined")
@pytest.mark.parametrize("vector", [*SETTINGS, *HOOK_VECTORS], ids=lambda each: each.name)
def test_D13_setting_starts_nothing(started: tuple[Hostile, set[str]], vector: Vector) -> None:
    """A program that a setting, hook or attribute names does not start; plain git starts it."""
    hostile, sprung = started
    assert hostile.mark(vector.name).name not in sprung
    hostile.plain(vector)
    assert hostile.mark(vector.name).exists()


@pytest.mark.usefixtures("confined")
@pytest.mark.parametrize("vector", VARIABLES, ids=lambda each: each.name)
def test_D13_variable_starts_nothing(
    in_environment: tuple[Hostile, set[str]], vector: Vector
) -> None:
    """A program that the caller's environment names does not start; plain git starts it."""
    hostile, sprung = in_environment
    assert hostile.mark(vector.name).name not in sprung
    hostile.plain(vector)
    assert hostile.mark(vector.name).exists()


@pytest.mark.usefixtures("confined")
def test_D13_hooks_path(started: tuple[Hostile, set[str]]) -> None:
    """A folder of hooks that the configuration names is not looked into."""
    hostile, _ = started
    folder = hostile.team.base / "hooks"
    folder.mkdir()
    for hook in HOOKS:
        (folder / hook).symlink_to(hostile.trap("hooks-path"))
    hostile.team.git("config", "core.hooksPath", str(folder))
    try:
        hostile.forget()
        story(hostile, "again")
        assert not hostile.mark("hooks-path").exists()
        hostile.team.git("update-ref", "refs/x/z", "HEAD")
        assert hostile.mark("hooks-path").exists()
    finally:
        hostile.team.git("config", "--unset", "core.hooksPath")


@pytest.mark.parametrize(
    "name,value",
    [
        ("url.{evil}.insteadOf", "{home}"),
        ("url.{evil}.pushInsteadOf", "{home}"),
        ("url.ext::{trap} .insteadOf", "file:"),
        ("remote.{home}.url", "{evil}"),
        ("remote.{home}.pushurl", "{evil}"),
    ],
)
def test_D13_setting_that_leads_the_home_elsewhere(team: Team, name: str, value: str) -> None:
    """A setting that puts another place in the home's stead is refused, and its hooks rest."""
    base = team.base
    mark = base / "mark"
    for folder in ("home.git", "evil.git"):
        team.git("clone", "-q", "--bare", str(team.root), str(base / folder))
    trap = base / "evil.git/hooks/pre-receive"
    trap.write_text(f"#!/bin/sh\n: > {mark}\n")
    trap.chmod(0o755)
    url, evil = (f"file://{base}/{folder}" for folder in ("home.git", "evil.git"))
    places = {"home": url, "evil": evil, "trap": trap}
    team.git("config", name.format(**places), value.format(**places))
    home = Home(git_dir=team.root / ".git", url=url, trusted_ref="refs/heads/main")
    with pytest.raises(AuthorityRefused, match="leads to another place"):
        home.fetch("job")
    assert not mark.exists()
    argv = ["git", "-c", "protocol.ext.allow=always", "push", "-q", url, "HEAD:refs/heads/x"]
    subprocess.run(argv, cwd=team.root, env=team.environment("ada"), check=False)
    assert mark.exists()
