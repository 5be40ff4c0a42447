"""D02: what a command does to `.git` and plans/ fails the step, and what it leaves is judged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forging import codes
from team import READ, Team, command

from runner.core.errors import WorkspaceSecurityError
from runner.git.objects import ObjectStore
from runner.git.worktree import WorkTree

Act = Callable[[Path], object]


def run(team: Team, script: str, more: str = "") -> list[str]:
    """Run the script as an approved command; the codes of why the run stopped are given back."""
    team.propose("job", READ + command(script, more=more))
    team.approve("bob", "job")
    return codes(team.cli("ada", "run", "job", "--json"))


@pytest.fixture
def loose(team: Team) -> Team:
    """Nothing confines commands: only what the runner itself looks at counts."""
    team.policy("require: confined", "require: none")
    return team


@pytest.mark.parametrize(
    "script",
    [
        "rm -r .git",
        "mv .git git; ln -s git .git",
        "rm -r .git; echo 'gitdir: /tmp' > .git",
        "echo '[core] fsmonitor = /bin/false' >> .git/config",
        "mkdir .git/hooks; printf '#!/bin/sh\\n' > .git/hooks/post-index-change",
        "echo /tmp > .git/objects/info/alternates",
        "git update-ref refs/replace/$(git rev-parse HEAD) HEAD^",
        "git update-ref HEAD HEAD^",
        "rm .git/HEAD; mkfifo .git/HEAD",
        "truncate -s 1T .git/config 2>/dev/null; truncate -s 900M .git/config",
        "chmod 0 .git/config",
        "mkdir .git/info; echo '*' > .git/info/exclude",
        "ln -sf /etc/hostname .git/HEAD",
        "echo x >> plans/policy.yaml",
        "rm plans/allowed_signers",
        "echo x > plans/new",
        "mkdir plans/__pycache__; touch plans/__pycache__/x.pyc",
        "mv plans away; ln -s away plans",
        "rm -r plans",
        "chmod +x plans/policy.yaml",
        "ln plans/policy.yaml plans/policy2.yaml",
    ],
)
def test_D02_protected_change_fails_the_step(loose: Team, script: str) -> None:
    """Whatever a command does below `.git` or plans/, its step fails and nothing is kept."""
    found = run(loose, f"{script}; echo x > made", more='writes: ["**"]\n')
    assert found == ["workspace_protected_changed"]
    files = loose.git("ls-tree", "-r", "--name-only", "planlock/job/1").split()
    assert "made" not in files
    assert loose.git("diff", "main", "planlock/job/1", "--", "plans/policy.yaml") == ""
    folder = loose.root / ".git/planlock"
    assert not list(folder.rglob("made"))
    assert loose.cli("ada", "audit").code == 0


@pytest.mark.parametrize(
    "script", ["git status; git diff; git log -1; git describe --always --dirty", "true"]
)
def test_looking_with_git_is_no_change(loose: Team, script: str) -> None:
    """In a command git may note in the index when it looked at files."""
    assert run(loose, f"touch -d '1 hour ago' utils.py; {script}") == []


@pytest.mark.usefixtures("confined")
def test_D02_confined_commands_cannot(team: Team) -> None:
    """Where commands are confined, the writes themselves do not succeed, and the step is fine."""
    script = "! echo x >> .git/config && ! echo x > plans/new && ! mv .git g && ! rm -r plans"
    assert run(team, f"{{ {script}; }} 2>/dev/null") == []


def test_D02_links_left_by_a_failing_command_are_not_followed(loose: Team) -> None:
    """A failed step's record never goes through a link that the command put into its way."""
    away = loose.base / "away"
    away.mkdir()
    (away / "HEAD").write_text("kept\n")
    script = f"rm -r .git plans; ln -s {away} .git; ln -s {away} plans; exit 1"
    assert run(loose, script)[0] in {"command_failed", "workspace_protected_changed"}
    assert [(each.name, each.read_text()) for each in away.iterdir()] == [("HEAD", "kept\n")]


def test_next_command_starts_from_a_private_git_of_its_own(loose: Team) -> None:
    """The index that one command left is not what the next one sees."""
    steps = command("git rm -q --cached utils.py; true", name="one")
    steps += command('test -z "$(git status --porcelain)"', name="two")
    loose.propose("job", steps)
    loose.approve("bob", "job")
    done = loose.cli("ada", "run", "job")
    assert done.code == 0, done.text


class TestObjects:
    """What is planted beside the objects changes nothing in what is recorded or read."""

    @pytest.fixture
    def tree(self, team: Team, tmp_path: Path) -> Iterator[WorkTree]:
        commit = team.git("rev-parse", "HEAD")
        with ObjectStore(team.root / ".git", team.root / ".git/objects") as store:
            tree = WorkTree(tmp_path / "work", store)
            tree.fill(store.commit(commit).tree, commit)
            tree.index()
            yield tree

    @pytest.mark.parametrize(
        "act",
        [
            lambda git: (git / "config").write_text("[core]\n\tfsmonitor = /tmp/trap\n"),
            lambda git: (git / "objects/info/alternates").write_text("/nowhere\n"),
            lambda git: (git / "objects/info/http-alternates").write_text("http://evil/\n"),
            lambda git: (git / "info").mkdir(),
            lambda git: (git / "shallow").write_text(f"{'1' * 40}\n"),
            lambda git: (git / "commondir").write_text("/nowhere\n"),
            lambda git: (git / "index.lock").touch(),
            lambda git: os.mkfifo(git / "packed-refs"),
        ],
    )
    def test_D02_planted_in_the_private_git(self, tree: WorkTree, act: Act) -> None:
        """It is found, put right, and the runner's own git works as before."""
        act(tree.root / ".git")
        with pytest.raises(WorkspaceSecurityError, match="protected") as caught:
            tree.changes(["**"])
        assert caught.value.reason_code == "protected_changed"
        tree.index()
        assert tree.changes(["**"]) == []

    def test_D02_index_believes_nothing_of_before(self, tree: WorkTree, tmp_path: Path) -> None:
        """The private repository is made anew also where nobody looked at what became of it."""
        mark, trap = tmp_path / "mark", tmp_path / "trap"
        trap.write_text(f"#!/bin/sh\n: > {mark}\n")
        trap.chmod(0o755)
        git = tree.root / ".git"
        (git / "hooks").mkdir()
        (git / "hooks/post-index-change").symlink_to(trap)
        (git / "config").write_text(f"[core]\n\tfsmonitor = {trap}\n")
        (git / "objects/info/alternates").write_text("/nowhere\n")
        tree.index()
        assert not mark.exists()
        assert not (git / "hooks").exists()
        assert "trap" not in (git / "config").read_text()

    def test_replace_refs_and_grafts_change_no_record(self, team: Team) -> None:
        """Planted in the governed repository itself, they change neither reading nor audit."""
        assert run(team, "true") in ([], ["sandbox_unavailable"])
        before = team.cli("ada", "audit", "--json").json
        head, blob = team.git("rev-parse", "main"), team.git("rev-parse", "main:utils.py")
        other = team.git("hash-object", "-w", "--stdin", stdin="evil")
        team.git("replace", "-f", blob, other)
        team.git("replace", "--graft", head)
        (team.root / ".git/info/grafts").write_text(f"{head}\n")
        assert team.git("cat-file", "blob", blob) == "evil"
        with ObjectStore(team.root / ".git", team.root / ".git/objects") as store:
            assert store.blob(blob) != b"evil"
            assert store.commit(head).parents
        assert team.cli("ada", "audit", "--json").json == before

    @pytest.mark.parametrize("kind", ["blob", "commit"])
    def test_objects_under_a_wrong_name_are_detected(self, team: Team, kind: str) -> None:
        """A loose object that holds something else is refused, alternates or not."""
        name = "main:plans/policy.yaml" if kind == "blob" else "main"
        oid = team.git("rev-parse", name)
        wrong = team.git("rev-parse", "main:utils.py" if kind == "blob" else "main~1")
        objects = team.root / ".git/objects"
        target = objects / oid[:2] / oid[2:]
        target.chmod(0o644)
        target.write_bytes((objects / wrong[:2] / wrong[2:]).read_bytes())
        with (
            ObjectStore(team.root / ".git", objects) as store,
            pytest.raises(Exception, match="not"),
        ):
            store.read(oid)
        assert team.cli("ada", "audit").code != 0
