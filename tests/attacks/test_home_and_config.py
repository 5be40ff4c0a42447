"""Attacks through what names the home, and through the configuration of a repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from team import READ, Team

from runner.core.errors import AuthorityRefused, GitError, RepositoryUnsuitable
from runner.git import command, home, home_url, repository
from runner.git.home import Home
from runner.git.objects import ObjectStore

URL = "https://127.0.0.1:1/acme/app.git"


def trap(team: Team, path: Path) -> Path:
    """Write a program that leaves a marker; the marker's path is given back."""
    marker = team.base / "marker"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "$0" >> {marker}\n')
    path.chmod(0o755)
    return marker


def bare(team: Team, folder: Path) -> Path:
    """Put a bare repository that has everything of the team's where a branch could put it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    team.git("clone", "-q", "--bare", str(team.root), str(folder))
    return folder


def resolved(team: Team, url: str) -> str:
    return str(home_url.resolve(url, git_dir=team.root / ".git", top=team.root))


class TestHome:
    def test_A42_folder_named_like_the_url_is_not_the_home(self, team: Team) -> None:
        """A tracked folder `https:/…` never takes the place of the remote of that name."""
        team.propose("job", READ)
        fake = bare(team, team.root / URL.replace("//", "/"))
        marker = trap(team, fake / "hooks/pre-receive")
        team.git("config", "planlock.home", URL)
        done = team.cli("ada", "run", "job")
        assert (done.code, "[git_failed]" in done.err) == (5, True), done.text
        assert not marker.exists()

    @pytest.mark.parametrize(
        "url",
        [
            "./home.git",
            "../project/home.git",
            "{top}/home.git",
            "file://{top}/home.git",
            "file://{top}/../project/%68ome.git",
            "./link",
            "{base}/to-project/home.git",
            "file://{base}/to-project/home.git",
        ],
    )
    def test_A42_home_in_the_work_tree_is_refused(self, team: Team, url: str) -> None:
        """Whatever way a path leads into the work tree, or out by a link there, it is no home."""
        bare(team, team.root / "home.git")
        (team.root / "link").symlink_to(bare(team, team.base / "away.git"))
        (team.base / "to-project").symlink_to(team.root)
        with pytest.raises(AuthorityRefused, match="is in a work tree"):
            resolved(team, url.format(top=team.root, base=team.base))

    def test_A42_home_in_another_work_tree_is_refused(self, team: Team) -> None:
        """A path that counts from a linked work tree must not end in the main one."""
        linked = team.root / "linked"
        team.git("worktree", "add", "-q", "-b", "side", str(linked))
        opened = repository.discover(linked)
        with pytest.raises(AuthorityRefused, match="is in a work tree"):
            home_url.resolve("../home.git", git_dir=opened.git_dir, top=opened.work_tree)

    def test_A42_init_takes_no_home_of_the_work_tree(self, team: Team) -> None:
        """The remote `origin` is judged in the same way."""
        bare(team, team.root / "home.git")
        team.git("config", "--unset", "planlock.home")
        team.git("remote", "add", "origin", "./home.git")
        done = team.cli("ada", "init")
        assert (done.code, "[authority_refused]" in done.err) == (4, True), done.text

    def test_bare_name_is_no_home(self, team: Team) -> None:
        """A name alone is not taken for a path, though git would."""
        bare(team, team.root / "home.git")
        with pytest.raises(GitError, match=r"'home\.git' is no URL"):
            resolved(team, "home.git")

    def test_homes_elsewhere_are_taken(self, team: Team) -> None:
        """URLs stay as they are; paths become absolute."""
        away = str(bare(team, team.base / "away.git"))
        assert resolved(team, "../away.git") == away
        assert resolved(team, away) == away
        for url in (f"file://{away}", URL, "git@example.com:acme/app.git", "ssh://h/x.git"):
            assert resolved(team, url) == url

    def test_remote_refs_are_not_matched_by_their_tail(self, team: Team) -> None:
        """A ref that only ends like a plan's branch does not come along."""
        away = bare(team, team.base / "away.git")
        for name in ("plan/job", "planlock/job/1"):
            team.git("update-ref", f"refs/heads/x/refs/heads/{name}", "main", cwd=away)
        team.git("update-ref", "refs/heads/planlock/job/2", "main", cwd=away)
        before = set(team.refs("refs/"))
        Home(git_dir=team.root / ".git", url=str(away), trusted_ref="refs/heads/main").fetch("job")
        new = {"refs/planlock/home/heads/main", "refs/heads/planlock/job/2"}
        assert set(team.refs("refs/")) - before == new

    def test_default_branch_is_that_of_head_alone(self, team: Team) -> None:
        """Another symbolic ref whose name ends in HEAD does not name the trusted branch."""
        away = bare(team, team.base / "away.git")
        team.git("update-ref", "--no-deref", "HEAD", "main", cwd=away)
        team.git("update-ref", "refs/heads/evil", "main", cwd=away)
        team.git("symbolic-ref", "refs/heads/x/HEAD", "refs/heads/evil", cwd=away)
        with pytest.raises(GitError, match="names none"):
            home.remote_default_branch(str(away))


class TestConfiguration:
    def test_D13_missing_object_starts_no_program(self, team: Team) -> None:
        """A promisor's `uploadpack` is a program, and git would start it for a lost object."""
        marker = trap(team, team.base / "trap")
        team.propose("job", READ)
        blob = team.git("rev-parse", "plan/job:plans/job/plan.yaml")
        for name, value in {
            "core.repositoryFormatVersion": "1",
            "extensions.partialClone": "evil",
            "remote.evil.promisor": "true",
            "remote.evil.url": str(team.root),
            "remote.evil.uploadpack": str(team.base / "trap"),
        }.items():
            team.git("config", name, value)
        (team.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
        for args in (["status", "job"], ["run", "job"], ["audit"], ["show", "job"]):
            assert team.cli("ada", *args).code != 0
        with ObjectStore(team.root / ".git", team.root / ".git/objects") as store:
            assert store.look_up(blob) is None
        command.attempt(["cat-file", "-p", blob], git_dir=team.root / ".git")
        assert not marker.exists(), marker.read_text()
        with pytest.raises(AssertionError):
            team.git("cat-file", "-p", blob)
        assert marker.exists()  # so the trap was one

    @pytest.mark.parametrize("inner", ["", "objects", "refs/heads"])
    @pytest.mark.parametrize("is_bare", ["true", "false"])
    def test_D13_repository_in_the_tree(self, team: Team, inner: str, is_bare: str) -> None:
        """A bare repository that a branch holds is not opened, nor is anything of it believed."""
        fixture = bare(team, team.root / "docs/fixture")
        marker = trap(team, team.base / "trap")
        team.git("config", "core.bare", is_bare, cwd=fixture)
        team.git("config", "core.fsmonitor", str(team.base / "trap"), cwd=fixture)
        team.git("config", "planlock.home", ".", cwd=fixture)
        team.git("config", "planlock.trustedRef", "refs/heads/main", cwd=fixture)
        done = team.cli("ada", "status", "job", cwd=fixture / inner)
        assert (done.code, "[repository_unsuitable]" in done.err) == (5, True), done.text
        assert f"cd {team.root}" in done.err
        assert not marker.exists()

    def test_D13_git_itself_opens_no_repository_in_the_tree(self, team: Team) -> None:
        """Where git looks for a repository by itself, a bare one does not count."""
        fixture = bare(team, team.root / "docs/fixture")
        team.git("config", "url.ext::evil.insteadOf", "https://", cwd=fixture)
        with pytest.raises(GitError, match="only be used inside a git repository"):
            command.run(["config", "--local", "--list"], cwd=fixture)

    def test_repositories_of_ones_own_are_opened(self, team: Team) -> None:
        """Bare ones, git folders, linked work trees and a hidden bare one count as before."""
        away = bare(team, team.base / "away.git")
        assert repository.discover(away).work_tree is None
        assert repository.discover(team.root / ".git").git_dir == team.root / ".git"
        hidden = team.base / "hidden"
        bare(team, hidden / ".bare")
        (hidden / ".git").write_text("gitdir: ./.bare\n")
        team.git("worktree", "add", "-q", str(hidden / "main"), "main", cwd=hidden)
        assert repository.discover(hidden / "main").common_dir == hidden / ".bare"

    def test_configuration_in_another_encoding(self, team: Team) -> None:
        """A name in Latin-1 is told with a hint, and is no bug."""
        path = team.root / ".git/config"
        path.write_bytes(path.read_bytes() + b"[user]\n\tname = Ren\xe9e\n")
        done = team.cli("ada", "status", "job")
        assert (done.code, "[repository_unsuitable]" in done.err) == (5, True), done.text
        assert "git config --list --show-origin" in done.err

    def test_torn_configuration(self, team: Team) -> None:
        """A line that belongs to no section is told in the same way."""
        (team.root / ".git/config").write_text("name = x\n")
        with pytest.raises(RepositoryUnsuitable, match="reading git configuration"):
            repository.discover(team.root)


def test_C01_git_that_cannot_start(tmp_path: Path) -> None:
    """Where GitPython cannot even ask git for its version, the cause is told."""
    program = tmp_path / "git"
    program.write_text("#!/nonexistent/interpreter\n")
    program.chmod(0o755)
    script = (
        "from pathlib import Path\nfrom runner.core.errors import GitError\n"
        "from runner.git import repository\n"
        "try: repository.discover(Path('.'))\nexcept GitError as error: print(error.message)"
    )
    source = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": str(tmp_path), "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("starting git: "), done.stderr
