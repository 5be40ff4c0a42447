"""Git is asked in a way that the repository's own settings cannot bend; seen refs only grow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from team import EDIT, FACTORIAL, READ, Team

from runner.core.errors import AuthorityRefused, FileAccessError, GitError, ToolNotFound
from runner.git import command, home
from runner.git.home import Home

SETTINGS = (
    "core.fsmonitor",
    "core.sshCommand",
    "core.askPass",
    "core.pager",
    "core.editor",
    "core.gitProxy",
    "core.alternateRefsCommand",
    "diff.external",
    "diff.evil.textconv",
    "diff.evil.command",
    "merge.evil.driver",
    "filter.evil.clean",
    "filter.evil.smudge",
    "filter.evil.process",
    "credential.helper",
    "gpg.program",
    "gpg.ssh.program",
    "alias.log",
    "alias.fetch",
    "sequence.editor",
    "interactive.diffFilter",
    "uploadpack.packObjectsHook",
)
HOOKS = ("reference-transaction", "post-index-change", "pre-push", "post-checkout", "pre-commit")


def booby_trap(team: Team) -> Path:
    """Let every setting that names a program name one that leaves a marker."""
    marker, trap = team.base / "marker", team.base / "trap"
    trap.write_text(f'#!/bin/sh\necho "$0 $*" >> {marker}\ncat\n')
    trap.chmod(0o755)
    team.commit({".gitattributes": "* diff=evil filter=evil merge=evil\n"}, "Attributes")
    for name in SETTINGS:
        team.git("config", name, f"!{trap}" if name.startswith("alias.") else str(trap))
    (team.root / ".git/info/attributes").write_text("* diff=evil filter=evil\n")
    for folder in (team.base / "hooks", team.root / ".git/hooks"):
        folder.mkdir(exist_ok=True)
        for name in HOOKS:
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(trap)
    team.git("config", "core.hooksPath", str(team.base / "hooks"))
    for name in ("log.showSignature", "filter.evil.required", "push.gpgSign"):
        team.git("config", name, "true")
    team.git("config", "gpg.ssh.allowedSignersFile", str(team.root / "plans/allowed_signers"))
    team.git("config", f"url.ext::{trap} .insteadOf", "https://")
    marker.unlink(missing_ok=True)
    return marker


def test_D13_no_configured_program_runs(team: Team) -> None:
    """Filters, hooks, monitors, helpers and the like in the configuration never start."""
    marker = booby_trap(team)
    team.plan("job", READ + EDIT)
    calls: list[tuple[str, ...]] = [
        ("ada", "propose", "job"),
        ("ada", "status", "job"),
        ("bob", "approve", "job"),
    ]
    calls += [("ada", "run", "job"), ("ada", "log", "job"), ("ada", "show", "job")]
    calls += [("ada", "ledger", "rebuild"), ("ada", "init"), ("bob", "reject", "job")]
    for who, *args in calls:
        done = team.cli(who, *args)
        assert done.code == 0, done.text
    assert not marker.exists(), marker.read_text()
    shown = command.run(["show", "planlock/job/1:utils.py"], git_dir=team.root / ".git")
    assert shown.decode() == FACTORIAL


def test_D13_checked_out_plan_branch(team: Team) -> None:
    """Bringing a work tree along starts no filter and no hook."""
    marker = booby_trap(team)
    team.propose("job", READ + EDIT)
    (team.root / "plans/job/plan.yaml").unlink()
    team.git("-c", "core.hooksPath=/dev/null", "symbolic-ref", "HEAD", "refs/heads/plan/job")
    team.git("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=", "read-tree", "HEAD")
    plain = [word for key in ("clean", "process") for word in ("-c", f"filter.evil.{key}=")]
    plain += ["-c", "filter.evil.required=false", "-c", "core.fsmonitor="]
    for path in team.git("ls-files").splitlines():
        shown = team.git("cat-file", "blob", f"HEAD:{path}")
        team.write({path: f"{shown}\n"})
        os.utime(team.root / path, (4_000_000_000, 4_000_000_000))  # newer than any index
    team.git(*plain, "-c", "core.hooksPath=/dev/null", "update-index", "-q", "--really-refresh")
    marker.unlink(missing_ok=True)
    done = team.cli("bob", "approve", "job")
    assert done.code == 0, done.text
    assert not marker.exists(), marker.read_text()
    assert len(list((team.root / "plans/job/approvals").iterdir())) == 2


@pytest.mark.parametrize(
    "name,value",
    [
        ("log.diffMerges", "off"),
        ("log.showRoot", "false"),
        ("log.follow", "true"),
        ("log.showSignature", "true"),
        ("diff.relative", "true"),
        ("diff.renames", "copies"),
        ("diff.noprefix", "true"),
        ("diff.ignoreSubmodules", "all"),
        ("core.quotePath", "true"),
        ("core.abbrev", "7"),
        ("color.ui", "always"),
        ("format.pretty", "oneline"),
        ("i18n.logOutputEncoding", "UTF-16"),
    ],
)
def test_settings_do_not_change_what_history_says(team: Team, name: str, value: str) -> None:
    """A setting for people's eyes changes no answer that the gate relies on."""
    team.propose("job", READ + EDIT)
    team.git("config", name, value)
    assert team.cli("bob", "approve", "job").code == 0
    done = team.cli("ada", "run", "job")
    assert done.code == 0, done.text


def test_A27_environment_of_git(team: Team) -> None:
    """Nothing inherited reaches git but what it needs to work."""
    environment = command.environment()
    assert environment["GIT_CONFIG_GLOBAL"] == "/dev/null"
    assert environment["GIT_ALLOW_PROTOCOL"] == "none"
    assert not {"GIT_DIR", "GIT_AUTHOR_NAME", "GIT_SSH_COMMAND"} & environment.keys()
    with pytest.raises(GitError, match="git rev-parse --verify nothing: exit 128: fatal"):
        command.run(["rev-parse", "--verify", "nothing"], git_dir=team.root / ".git")


def test_git_in_a_folder_that_is_gone(tmp_path: Path) -> None:
    """A missing folder is not mistaken for a missing git."""
    with pytest.raises(FileAccessError, match="no such folder"):
        command.run(["version"], cwd=tmp_path / "gone")


def test_git_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git on PATH the error says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolNotFound, match="not installed"):
        command.run(["version"])


def test_A42_local_home_never_moves_backwards(team: Team) -> None:
    """Once a commit of the trusted branch was seen, only what descends from it is believed."""
    local = Home(git_dir=team.root / ".git", url=None, trusted_ref="refs/heads/main")
    seen = local.trusted()
    team.git("update-ref", "refs/heads/main", "main~1")
    with pytest.raises(AuthorityRefused, match="moved other than forward") as caught:
        local.trusted()
    team.git(*caught.value.hint.partition("if this is meant: git ")[2].split())
    assert local.trusted() != seen


def test_plan_branch_never_moves_aside(team: Team) -> None:
    """The same holds for a plan branch, also when it is deleted and made anew."""
    local = Home(git_dir=team.root / ".git", url=None, trusted_ref="refs/heads/main")
    team.propose("job", READ)
    assert local.plan_tip("job") == team.git("rev-parse", "plan/job")
    team.git("branch", "-q", "-D", "plan/job")
    assert local.plan_tip("job") is None
    team.git("branch", "plan/job", "main")
    with pytest.raises(AuthorityRefused, match="moved other than forward"):
        local.plan_tip("job")


def test_default_branch_of_a_remote(team: Team, tmp_path: Path) -> None:
    """A remote's HEAD names the trusted branch; one that has none is told."""
    assert home.remote_default_branch(str(team.root)) == "refs/heads/main"
    team.git("init", "-q", "--bare", str(tmp_path / "empty.git"))
    with pytest.raises(GitError, match="names none"):
        home.remote_default_branch(str(tmp_path / "empty.git"))
    with pytest.raises(GitError, match=r"asking .*/none for its refs"):
        home.remote_default_branch(str(tmp_path / "none"))
