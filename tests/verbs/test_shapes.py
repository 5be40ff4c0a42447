"""Every shape of repository and bad surroundings: a clear answer, and nothing half-written."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from surroundings import MAIN, refused, started, state, unchanged
from team import EDIT, FACTORIAL, READ, Result, Team, call

COMMANDS = (
    ("init",),
    ("propose", "job"),
    ("approve", "job"),
    ("reject", "job"),
    ("withdraw", "job"),
    ("run", "job"),
    ("status", "job"),
    ("show", "job"),
    ("log", "job"),
    ("audit",),
    ("new", "Do the job"),
    ("cost",),
)
ODD_NAMES = (
    "with space.txt",
    "quo'te\".txt",
    "größe.txt",
    "back\\slash.txt",
    "new\nline.txt",
    "legit\\ignored",
    "tab\t.txt",
    "-dash",
    "#hash",
    "*",
    "日本/語.txt",
    "u\u0308.txt",
)


def play(team: Team, *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Result:
    """Propose, approve and run an edit."""
    team.plan("job", READ + EDIT)
    for who, *args in (("ada", "propose", "job"), ("bob", "approve", "job")):
        done = team.cli(who, *args, cwd=cwd, env=env)
        assert done.code == 0, done.text
    return team.cli("ada", "run", "job", cwd=cwd, env=env)


def only(tmp_path: Path, *programs: str) -> dict[str, str]:
    """A PATH that holds these programs and no others."""
    folder = tmp_path / "few-programs"
    folder.mkdir()
    for name in programs:
        (folder / name).symlink_to(str(shutil.which(name)))
    return {"PATH": str(folder)}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command[0]))
def test_no_repository(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Outside any repository every command says so, and writes nothing."""
    result = call(tmp_path, {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, *command)
    refused(result, exit_code=3, code="no_repository", hint="git init")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", COMMANDS[1:10], ids=lambda command: str(command[0]))
def test_not_governed(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Before `init` every command that needs authority names `planlock init`."""
    team = Team.start(tmp_path)
    team.plan("job", READ)
    with unchanged(team):
        result = team.cli("ada", *command)
        if command[0] == "log":
            assert result.code == 3
        else:
            refused(result, exit_code=3, code="not_governed", hint="planlock init")


def test_init_is_not_enough_before_its_commit(tmp_path: Path) -> None:
    """Authority files that nobody committed do not count."""
    team = Team.start(tmp_path)
    assert team.cli("ada", "init").code == 0
    team.plan("job", READ)
    refused(team.cli("ada", "propose", "job"), exit_code=3, code="not_governed", hint="commit")


def test_unborn_branch(tmp_path: Path) -> None:
    """A repository without a commit is not governed, and `init` says how to make one."""
    root = tmp_path / "fresh"
    team = Team(base=tmp_path, root=root)
    root.mkdir()
    team.git("init", "-q", ".")
    result = team.cli("ada", "init")
    refused(result, exit_code=5, code="repository_unsuitable", hint="git commit --allow-empty")
    assert [path.name for path in root.iterdir()] == [".git"]


def test_detached_head_cannot_be_governed(tmp_path: Path) -> None:
    """`init` needs a branch to trust."""
    team = Team.start(tmp_path)
    team.git("switch", "-q", "--detach")
    with unchanged(team):
        result = team.cli("ada", "init")
        refused(result, exit_code=5, code="repository_unsuitable", hint="git switch")


def test_detached_head_runs_plans(team: Team) -> None:
    """Once governed, a detached HEAD is no hindrance, and it stays where it is."""
    team.git("switch", "-q", "--detach")
    head = team.git("rev-parse", "HEAD")
    assert play(team).code == 0
    assert team.git("rev-parse", "HEAD") == head
    assert team.git("branch", "--show-current") == ""


def test_bare_repository(team: Team, tmp_path: Path) -> None:
    """A bare repository is not governed from within, but runs plans that are on its branches."""
    assert play(team).code == 0
    bare = tmp_path / "bare.git"
    team.git("clone", "-q", "--mirror", str(team.root), str(bare))
    refused(
        team.cli("ada", "init", cwd=bare),
        exit_code=5,
        code="repository_unsuitable",
        hint="in a clone",
    )
    for name, value in (("home", "."), ("trustedRef", "refs/heads/main")):
        team.git("config", f"planlock.{name}", value, cwd=bare)
    team.git("config", "planlock.runnerKey", str(team.root / ".git/planlock/runner_key"), cwd=bare)
    done = team.cli("ada", "run", "job", "--new", cwd=bare)
    assert done.code == 0, done.text
    assert f"{team.git('show', 'planlock/job/2:utils.py', cwd=bare)}\n" == FACTORIAL


def test_A27_shallow_clone(team: Team, tmp_path: Path) -> None:
    """A clone that lacks history is refused as such."""
    play(team)
    clone = tmp_path / "shallow"
    team.git("clone", "-q", "--depth=1", f"file://{team.root}", str(clone))
    for args in (("status", "job"), ("run", "job"), ("approve", "job")):
        result = team.cli("ada", *args, cwd=clone)
        refused(result, exit_code=4, code="authority_refused", hint="git fetch --unshallow")
    assert "planlock/job/2" not in team.git("for-each-ref", cwd=clone)


def test_dirty_tree_is_left_alone(team: Team) -> None:
    """Changed, staged and untracked files are neither used nor touched."""
    team.write({"utils.py": "broken(\n", "staged.py": "1\n", "untracked.py": "2\n"})
    team.git("add", "staged.py")
    team.plan("job", READ + EDIT)
    before = team.git("status", "--porcelain=v2")
    assert play(team).code == 0
    assert team.git("status", "--porcelain=v2") == before
    assert f"{team.show_file('planlock/job/1', 'utils.py')}\n" == FACTORIAL


def test_missing_git_identity(tmp_path: Path) -> None:
    """Without a name and an email no commit is made in anybody's name."""
    team = Team.start(tmp_path)
    with unchanged(team):
        nobody = {"GIT_AUTHOR_NAME": "", "GIT_AUTHOR_EMAIL": ""}
        result = team.cli("ada", "init", env=nobody)
        refused(result, exit_code=5, code="repository_unsuitable", hint="git config user.name")


@pytest.mark.parametrize("command", ["propose", "approve"])
def test_missing_ssh_keygen(team: Team, tmp_path: Path, command: str) -> None:
    """Without ssh-keygen nothing is signed, so nothing is written."""
    if command == "approve":
        team.propose("job", READ + EDIT)
    team.plan("job", READ + EDIT)
    with unchanged(team):
        result = team.cli("bob", command, "job", env=only(tmp_path, "git"))
        refused(result, exit_code=3, code="tool_not_found", hint="openssh-client")


def test_missing_git(team: Team, tmp_path: Path) -> None:
    """Without git the answer says that git is missing."""
    with unchanged(team):
        argv = [sys.executable, "-c", MAIN, "status", "job"]
        result = started(team, ["env", f"PATH={only(tmp_path)['PATH']}", *argv])
        refused(result, exit_code=3, code="tool_not_found", hint="install git")


@pytest.mark.parametrize("command", ["propose", "approve"])
def test_no_key(team: Team, tmp_path: Path, command: str) -> None:
    """Without a key the answer says where one was looked for and which setting to change."""
    if command == "approve":
        team.propose("job", READ + EDIT)
    team.plan("job", READ + EDIT)
    with unchanged(team):
        result = team.cli("bob", command, "job", env={"PLANLOCK_KEY": str(tmp_path / "none")})
        refused(result, exit_code=3, code="no_key", hint="export PLANLOCK_KEY=FILE, or unset it")


def test_lost_runner_key(team: Team) -> None:
    """Without the runner's own key no run starts."""
    team.propose("job", READ)
    (team.root / ".git/planlock/runner_key").unlink()
    with unchanged(team):
        refused(team.cli("ada", "run", "job"), exit_code=3, code="no_key", hint="planlock init")


def test_folder_that_is_gone(team: Team, tmp_path: Path) -> None:
    """A shell that stands in a deleted folder gets an answer."""
    script = f'mkdir {tmp_path}/x; cd {tmp_path}/x; rmdir {tmp_path}/x; exec "$@"'
    result = started(team, ["sh", "-c", script, "sh", sys.executable, "-c", MAIN, "status", "job"])
    refused(result, exit_code=3, code="no_repository", hint="cd")


@pytest.mark.parametrize("name", ["with space", "gr\u00f6\u00dfe", "$HOME", "quo'te", "100%x%"])
def test_A14_names_of_the_repository_folder(tmp_path: Path, name: str) -> None:
    """The folder's name is never expanded or split."""
    team = Team.governed(tmp_path / name, "bob")
    inner = team.root / "deep/er"
    inner.mkdir(parents=True)
    assert play(team, cwd=inner).code == 0


def test_sha256_repository(tmp_path: Path) -> None:
    """A repository of another object format is refused before anything is read from it."""
    team = Team(base=tmp_path, root=tmp_path)
    team.git("init", "-q", "--object-format=sha256", ".")
    result = team.cli("ada", "init")
    refused(result, exit_code=5, code="repository_unsuitable", hint="sha1")


def test_broken_git_configuration(team: Team) -> None:
    """A configuration that cannot be parsed is named as the cause."""
    (team.root / ".git/config").write_text("[core\nbroken")
    result = team.cli("ada", "status", "job")
    assert result.code == 5, result.text
    assert "[repository_unsuitable]" in result.err


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"])
def test_A27_git_variables_lead_nowhere(team: Team, tmp_path: Path, variable: str) -> None:
    """Variables that would lead git to another repository are ignored."""
    other = Team.start(tmp_path / "other")
    where = other.root / ".git" / ("objects" if variable.endswith("OBJECT_DIRECTORY") else "")
    extra = {variable: str(where), "GIT_WORK_TREE": str(other.root), "GIT_INDEX_FILE": "/x"}
    before = state(other)
    done = play(team, env=extra)
    assert done.code == 0, done.text
    assert state(other) == before


def test_A27_replace_refs_and_grafts(team: Team) -> None:
    """What replaces a commit for ordinary git does not for the gate."""
    team.propose("job", READ + EDIT)
    forged = team.git("commit-tree", "-m", "x", f"{team.git('rev-parse', 'main')}^{{tree}}")
    team.git("replace", team.git("rev-parse", "plan/job"), forged)
    (team.root / ".git/info/grafts").write_text(f"{team.git('rev-parse', 'main')}\n")
    assert team.cli("bob", "approve", "job").code == 0
    assert team.cli("ada", "run", "job").code == 0


def test_submodule_is_left_alone(team: Team, tmp_path: Path) -> None:
    """A submodule stays as it is recorded, and an edit inside it is refused."""
    other = Team.start(tmp_path / "other")
    team.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other.root), "sub")
    team.git("commit", "-q", "-m", "Add a submodule")
    recorded = team.git("rev-parse", "HEAD:sub")
    assert play(team).code == 0
    assert team.git("rev-parse", "planlock/job/1:sub") == recorded
    team.propose("inside", EDIT.replace("path: utils.py", "path: sub/new.py"))
    team.approve("bob", "inside")
    result = team.cli("ada", "run", "inside")
    assert result.code == 5, result.text
    assert "workspace_submodule" in result.out
    assert team.git("rev-parse", "planlock/inside/1:sub") == recorded


def test_odd_file_names_and_links(team: Team) -> None:
    """Names and links that no plan could name are carried along unharmed."""
    for name in ODD_NAMES:
        team.write({name: "content\n"})
    (team.root / "dangling").symlink_to("nowhere")
    (team.root / "outward").symlink_to("/etc")
    (team.root / "inward").symlink_to("日本")
    (team.root / os.fsdecode(b"latin-\xff")).write_text("not UTF-8\n")
    team.git("add", "-A")
    team.git("commit", "-q", "-m", "Odd names")
    done = play(team)
    assert done.code == 0, done.text
    changed = team.git("diff-tree", "-r", "--name-only", "main", "planlock/job/1")
    assert [name for name in changed.splitlines() if not name.startswith("plans/")] == ["utils.py"]
