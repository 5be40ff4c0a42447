"""What `run` does with steps: order, options, failures, changes, surroundings of commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from team import EDIT, FACTORIAL, READ, UTILS, Result, Team, command

from runner.core.canonical import sha256_text

pytestmark = pytest.mark.usefixtures("confined")
PLACES = 'utils.py, "utils.py/**", "dir/**", dir, "deep/**", "sub/**", sub, "?.sh", "*.txt"'
ANYTHING = f"writes: [{PLACES}, link, keep, made]\n"


def run(team: Team, steps: str, *options: str) -> Result:
    """Propose, approve and run a plan called `job`."""
    team.propose("job", steps)
    team.approve("bob", "job")
    return team.cli("ada", "run", "job", *options)


def events(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.out.splitlines()]


def tree(team: Team, number: int = 1) -> dict[str, str]:
    """Path → mode and id of a run's files beside `plans/`."""
    lines = team.git("ls-tree", "-r", "-z", f"planlock/job/{number}").split("\0")
    pairs = [line.split("\t", 1) for line in lines if line]
    return {path: what for what, path in pairs if not path.startswith("plans/")}


def record(team: Team, name: str) -> str:
    return team.show_file("planlock/job/1", f"plans/job/runs/1/{name}.yaml")


def test_failed_step_stays_failed_until_retried(team: Team) -> None:
    """A failed command ends the run with exit 5; only `--retry` does it again."""
    steps = READ + command("test -e flag; echo made > made; exit 3", more="writes: [made]\n")
    failed = run(team, steps)
    assert failed.code == 5
    assert "exit code 3" in failed.out
    assert "fix: planlock resume job --retry" in failed.out
    assert "made" not in tree(team)
    tip = team.git("rev-parse", "planlock/job/1")
    again = team.cli("ada", "run", "job")
    assert again.code == 5
    assert team.git("rev-parse", "planlock/job/1") == tip
    assert team.cli("ada", "run", "job", "--retry").code == 5
    assert "attempt: 2" in record(team, "003-check")
    assert "exit_code: 3" in record(team, "003-check")


def test_retry_meets_a_clean_tree(team: Team) -> None:
    """What a failed attempt left behind is gone when it is tried again."""
    script = "ls; test -e .cache/left && exit 9; mkdir .cache; touch .cache/left utils.py; exit 1"
    assert run(team, command(script)).code == 5
    assert "exit code 1" in team.cli("ada", "run", "job", "--retry").out


def test_until_step_and_new(team: Team) -> None:
    """`--step` does one step, `--until` stops behind one, `--new` starts another run."""
    steps = READ + EDIT + READ.replace("id: read", "id: again")
    one = run(team, steps, "--step")
    assert (one.code, "run job/1 paused" in one.out) == (0, True), one.text
    assert "pending" in one.out
    two = team.cli("ada", "run", "job", "--until", "edit")
    assert "✓ edit  completed\n· again  pending" in two.out
    assert team.cli("ada", "run", "job").code == 0
    ended = team.cli("ada", "run", "job")
    assert (ended.code, "--new" in ended.out) == (0, True)
    assert team.cli("ada", "run", "job", "--new").code == 0
    assert team.refs("refs/heads/planlock") == [f"refs/heads/planlock/job/{n}" for n in (1, 2)]


def test_until_an_unknown_step(team: Team) -> None:
    """A misspelled step is wrong usage, and the hint lists the plan's steps."""
    result = run(team, READ + EDIT, "--until", "edti")
    assert (result.code, "steps: read, edit" in result.err) == (2, True), result.text
    assert team.refs("refs/heads/planlock") == []


def test_json_events(team: Team) -> None:
    """With `--json` every line on stdout is one event, the last one the report."""
    result = run(team, READ + command("printf 'a\\nb'; echo >&2 c"), "--json")
    found = events(result)
    kinds = [each["kind"] for each in found]
    assert kinds[:4] == ["run_started", "step_started", "step_finished", "step_started"]
    assert kinds[-2:] == ["run_finished", "report"]
    said = "".join(each["text"] for each in found if each["kind"] == "output")
    assert said == "a\nbc\n"
    assert found[-1]["steps"] == {"read": "completed", "check": "completed"}
    assert found[-1]["status"] == "completed"


def test_json_of_a_refusal(team: Team) -> None:
    """A refusal with `--json` is one JSON object with code and reasons."""
    team.propose("job", EDIT)
    result = team.cli("ada", "run", "job", "--json")
    assert result.code == 4
    assert result.json["error"]["code"] == "refused"
    assert result.json["error"]["reasons"][0]["code"] == "approvals_missing"


def test_declared_changes_of_every_kind(team: Team) -> None:
    """New, changed, deleted, moved and linked files, and modes, end in the commit as they are."""
    team.commit(
        {"old.txt": "old\n", "dir/a.txt": "a\n", "dir/b.txt": "b\n", "x.sh": "x\n"}, "Files"
    )
    (team.root / "keep").symlink_to("utils.py")
    team.git("add", "keep")
    team.git("commit", "-q", "-m", "Link")
    script = (
        "echo more >> utils.py; rm old.txt; mv dir/a.txt new.txt; chmod +x x.sh; "
        "ln -s utils.py link; ln -sfn x.sh keep; mkdir -p deep/er; echo d > deep/er/d; mkdir empty"
    )
    done = run(team, command(script, more=ANYTHING))
    assert done.code == 0, done.text
    found = {path: what.split(" ")[0] for path, what in tree(team).items()}
    assert found == {
        ".gitignore": "100644",
        "utils.py": "100644",
        "new.txt": "100644",
        "dir/b.txt": "100644",
        "x.sh": "100755",
        "link": "120000",
        "keep": "120000",
        "deep/er/d": "100644",
    }
    assert team.show_file("planlock/job/1", "keep") == "x.sh"
    team.git("fsck", "--strict")


@pytest.mark.parametrize(
    "script,expected",
    [
        ("rm -r dir; echo file > dir", {"dir": "file", "utils.py": UTILS.strip()}),
        ("rm -r dir; ln -s utils.py dir", {"dir": "utils.py", "utils.py": UTILS.strip()}),
        ("rm utils.py; mkdir utils.py; echo in > utils.py/in", {"dir/a": "a", "utils.py/in": "in"}),
    ],
)
def test_folder_and_file_change_places(team: Team, script: str, expected: dict[str, str]) -> None:
    """A file in a folder's place, and a folder in a file's, are committed as such."""
    team.commit({"dir/a": "a\n"}, "A folder")
    done = run(team, command(script, more=ANYTHING))
    assert done.code == 0, done.text
    found = {path: team.show_file("planlock/job/1", path) for path in tree(team)}
    assert found == {".gitignore": "__pycache__/", **expected}
    assert team.cli("ada", "run", "job", "--new").code == 0


def test_caches_do_not_end_in_commits(team: Team) -> None:
    """Ignored files are no changes, unless `writes` lists them by a glob that matches."""
    team.commit({".gitignore": "__pycache__/\n*.log\nbuild/\n"}, "Ignore")
    script = "mkdir -p __pycache__ build/deep; touch __pycache__/a.pyc x.log build/deep/out"
    done = run(team, command(script) + command(script, name="two", more="writes: [build/**]\n"))
    assert done.code == 0, done.text
    assert set(tree(team)) == {".gitignore", "utils.py", "build/deep/out"}


@pytest.mark.parametrize(
    "script,writes,code",
    [
        ("echo x > stray.py", "[utils.py]", "unapproved_change"),
        ("rm utils.py", "[]", "unapproved_change"),
        ("chmod +x utils.py", "[]", "unapproved_change"),
        ("touch -d 2001-01-01 utils.py; echo y >> utils.py", "[]", "unapproved_change"),
        ("echo '[alias]' > .gitmodules", '["?gitmod*"]', "unapproved_change"),
        ("mkfifo pipe", "[pipe]", "workspace_special_file"),
        ("rm utils.py; mkfifo utils.py", "[utils.py]", "workspace_special_file"),
        ("mkdir -p sub/.git; touch sub/.git/HEAD", '["sub/**"]', "workspace_git_dir"),
        ("mkdir sub; echo gitdir: /x > sub/.git", '["sub/**"]', "workspace_git_dir"),
        ("touch .GIT", '["?G*"]', "workspace_git_dir"),
        ("touch $'new\\nline'", '["new*"]', "workspace_control_character"),
        ("touch $'bidi\\u202epy'", '["bidi*"]', "workspace_control_character"),
        ("touch $'latin\\xff'", '["latin*"]', "workspace_encoding"),
        ("touch 'back\\slash'", '["back*"]', "workspace_separator"),
        ("exit 7", "[]", "command_failed"),
        ("kill -9 $$", "[]", "command_failed"),
        ("no-such-program", "[]", "command_not_found"),
        ("sleep 60", "[]", "timed_out"),
    ],
)
def test_A33_command_that_goes_too_far(team: Team, script: str, writes: str, code: str) -> None:
    """A command that does what was not approved fails with its code, and nothing of it stays."""
    done = run(team, command(script, more=f"writes: {writes}\ntimeout_s: 2\n"))
    assert done.code == 5, done.text
    assert f"[{code}]" in done.out, done.text
    assert tree(team) == tree_of_main(team)
    assert f"code: {code}" in record(team, "001-check")
    assert team.cli("ada", "log", "job/1").code == 0
    team.git("fsck", "--strict")


def tree_of_main(team: Team) -> dict[str, str]:
    lines = team.git("ls-tree", "-r", "main").splitlines()
    pairs = [line.split("\t", 1) for line in lines]
    return {path: what for what, path in pairs if not path.startswith("plans/")}


@pytest.mark.parametrize("file", [".git/config", ".git/HEAD", "plans/policy.yaml", ".git/hooks/x"])
def test_D02_git_and_plans_are_read_only(team: Team, file: str) -> None:
    """A command can write neither its `.git` nor the plans."""
    made = "mkdir -p .git/hooks; " if "hooks" in file else ""
    done = run(team, command(f"{made}echo x > {file}", more=ANYTHING))
    assert done.code == 5, done.text
    assert "Read-only file system" in record(team, "001-check")


def test_folder_that_a_command_closed(team: Team) -> None:
    """A folder without permissions does no harm to this run or to the next attempt."""
    team.commit({"dir/a": "a\n"}, "A folder")
    script = "echo b > dir/b; chmod 000 dir"
    done = run(team, command(script, more=ANYTHING))
    assert done.code in {0, 5}, done.text
    assert team.cli("ada", "run", "job", "--new").code == done.code


def test_git_works_in_commands(team: Team) -> None:
    """A command sees history and a clean status, but no remote and no configuration."""
    team.git("remote", "add", "origin", "https://token@example.com/x")
    script = "git status --porcelain; git log --oneline | wc -l; git remote; git config -l --local"
    assert team.git("config", "planlock.home") == "."
    done = run(team, command(script))
    assert done.code == 0, done.text
    assert "token" not in done.text
    assert "\n    | 5\n" in done.err


def test_output_is_bounded(team: Team) -> None:
    """Much output keeps head and tail in the record, with digest and length of the whole."""
    done = run(team, command("echo first; yes | head -c 3000000; echo last"))
    assert done.code == 0
    text = record(team, "001-check")
    assert "length: 3000011" in text
    assert "truncated: true" in text
    assert "first" in text
    assert "last" in text
    assert len(text) < 200_000


def test_D11_no_sandbox_nothing_run(team: Team, tmp_path: Path) -> None:
    """Where confinement is asked for and missing, the command waits with that reason."""
    team.propose("job", READ + command("touch ran"))
    team.approve("bob", "job")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("git", "ssh-keygen", "bash"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    refused = team.cli("ada", "run", "job", env={"PATH": str(programs)})
    assert refused.code == 4, refused.text
    assert "[sandbox_unavailable]" in refused.out
    assert "001-read" in team.git("ls-tree", "-r", "--name-only", "planlock/job/1")
    assert "002" not in team.git("ls-tree", "-r", "--name-only", "planlock/job/1")
    assert team.cli("ada", "run", "job").code == 5


def test_unconfined_where_the_policy_says_so(team: Team) -> None:
    """`require: none` runs commands as they are, and every record says so."""
    team.policy("require: confined", "require: none")
    done = run(team, command("echo x > made", more="writes: [made]\n"))
    assert done.code == 0, done.text
    assert "sandbox: none" in record(team, "001-check")
    assert team.show_file("planlock/job/1", "made") == "x"


def test_virtual_environment_as_tool(tmp_path: Path) -> None:
    """A project's own virtual environment works in commands, at the path that it has outside."""
    team = Team.start(tmp_path, {"utils.py": UTILS, ".gitignore": ".venv/\n__pycache__/\n"})
    argv = [sys.executable, "-m", "venv", "--without-pip", str(team.root / ".venv")]
    subprocess.run(argv, check=True)
    assert team.cli("ada", "init", "--solo").code == 0
    team.git("add", "plans")
    team.git("commit", "-q", "-m", "Govern")
    assert "tools: [.venv]" in (team.root / "plans/policy.yaml").read_text()
    script = "python -c 'import sys, utils; print(sys.prefix, utils.add(1, 1))'; pwd"
    team.propose("job", command(script))
    team.approve("ada", "job")
    done = team.cli("ada", "run", "job")
    assert done.code == 0, done.text
    assert f"    | {team.root}/.venv 2\n    | {team.root}\n" in done.err
    assert ".venv" not in "".join(tree(team))


def test_missing_tool_is_told(team: Team) -> None:
    """A tool folder that this machine lacks is noted, and the command runs without it."""
    team.policy("tools: []", "tools: [.venv]")
    done = run(team, command("true"))
    assert done.code == 0
    assert "note: sandbox.tools:" in done.err


def test_many_files(tmp_path: Path) -> None:
    """A repository of two thousand files runs, and one change among them is found."""
    files = {f"d{n % 50}/f{n}.txt": f"{n}\n" for n in range(2000)}
    team = Team.governed(tmp_path, "bob", files={"utils.py": UTILS, **files})
    done = run(team, EDIT + command("echo changed > d7/f1057.txt", more="writes: [d7/**]\n"))
    assert done.code == 0, done.text
    changed = team.git("diff", "--name-only", "main", "planlock/job/1").splitlines()
    outside = [path for path in changed if not path.startswith("plans/")]
    assert outside == ["d7/f1057.txt", "utils.py"]


def test_submodule_survives_commands(team: Team, tmp_path: Path) -> None:
    """A command may look at a submodule's empty folder, but not put anything there."""
    other = Team.start(tmp_path / "other")
    team.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other.root), "sub")
    team.git("commit", "-q", "-m", "Add a submodule")
    assert run(team, command("ls -d sub")).code == 0
    for script in ("touch sub/x", "rmdir sub; touch sub"):
        team.propose("job", command(script, more=ANYTHING))
        team.approve("bob", "job")
        done = team.cli("ada", "run", "job", "--new")
        assert (done.code, "workspace_submodule" in done.out) == (5, True), done.text


def test_odd_names_are_no_changes(team: Team) -> None:
    """Files whose names no plan could name are not taken for changes after a command."""
    for name in (
        "new\nline",
        "back\\slash",
        "quo'te\"",
        "größe",
        "bidi\u202epy",
        os.fsdecode(b"\xff"),
    ):
        (team.root / name).write_text("x\n")
    (team.root / "outward").symlink_to("/etc")
    team.git("add", "-A")
    team.git("commit", "-q", "-m", "Odd names")
    done = run(team, command("ls -R; echo y > made", more=ANYTHING))
    assert done.code == 0, done.text
    changed = team.git("diff", "--name-only", "main", "planlock/job/1").splitlines()
    assert [path for path in changed if not path.startswith("plans/")] == ["made"]


@pytest.mark.parametrize(
    "change,code",
    [("limits: {steps: 50, changed_files: 1", "changed files"), ("", "")],
)
def test_limits_on_changes(team: Team, change: str, code: str) -> None:
    """More changed files than the policy allows fail the step."""
    if change:
        team.policy("limits: {steps: 50, changed_files: 100", change)
    done = run(team, command("touch a b", more="writes: [a, b]\n"))
    assert (done.code, code in done.out) == (5 if change else 0, True), done.text
    assert ("a" in tree(team)) == (not change)


def test_limit_on_changed_bytes(team: Team) -> None:
    """More changed bytes than the policy allows fail the step, over all steps of the run."""
    team.policy("changed_bytes: 1000000", "changed_bytes: 15")
    small = command("echo 123456789 > a", name="small", more="writes: [a]\n")
    done = run(team, small + command("echo 123456789 > b", more="writes: [b]\n"))
    assert done.code == 5, done.text
    assert "20 changed bytes; the policy allows 15" in done.out
    assert "a" in tree(team)
    assert "b" not in tree(team)


def test_input_of_a_command_that_is_gone_is_stale(team: Team) -> None:
    """A command whose `reads` match no file any more does not start."""
    gone = command("rm utils.py", name="remove", more="writes: [utils.py]\n")
    done = run(team, gone + command("touch ran", more='reads: ["utils.*"]\nwrites: [ran]\n'))
    assert done.code == 5, done.text
    assert "no file matches it any more" in done.out
    assert "ran" not in tree(team)


def test_edit_of_a_changed_file_is_stale(team: Team) -> None:
    """An edit whose file an earlier step changed is not applied."""
    pinned = EDIT.replace(
        "path: utils.py", f"path: utils.py\n    replaces: {sha256_text(UTILS.encode())}"
    )
    done = run(team, command("echo more >> utils.py", more="writes: [utils.py]\n") + pinned)
    assert done.code == 5, done.text
    assert "[stale]" in done.out
    assert team.show_file("planlock/job/1", "utils.py") == f"{UTILS}more".strip()
    assert FACTORIAL.strip() not in team.show_file("planlock/job/1", "utils.py")
