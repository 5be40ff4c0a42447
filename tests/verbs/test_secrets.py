"""What a command is given to keep secret shows nowhere: not in git, the ledger, or to people."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from plugin import installed
from team import Result, Team, command

from runner.core import documents
from runner.steps import registry

pytestmark = pytest.mark.usefixtures("confined")

# Neither name nor shape tell that it is one: only the policy does.
NAME = "DEPLOY_TO"
VALUE = "Zq8/kw+bananas&harbour 71"
GIVEN = f"secrets: [{NAME}]\n"
MARK = "[redacted: secret]"

HEX_NAME = '"$(printf %s "$DEPLOY_TO" | od -An -v -tx1 | tr -d " \\n")"'
CHANGES = {
    "content": 'printf "a %s b" "$DEPLOY_TO" > made',
    "large": 'head -c 3000000 /dev/zero > made; printf %s "$DEPLOY_TO" | base64 >> made',
    "link": 'ln -s "$DEPLOY_TO" made',
    "name": f"mkdir made; touch made/{HEX_NAME}",
}
FORMS = {
    "raw": 'printf "%s\\n" "$DEPLOY_TO"',
    "base64": 'printf %s "$DEPLOY_TO" | base64',
    "base64 later": 'printf "xy%s" "$DEPLOY_TO" | base64',
    "base64 wrapped": 'printf "%s" "$DEPLOY_TO" | base64 -w 7',
    "hex": 'printf %s "$DEPLOY_TO" | od -An -v -tx1 | tr -d " "',
    "hex spaced": 'printf %s "$DEPLOY_TO" | od -An -v -tx1',
    "URL": "python3 -c 'import os, urllib.parse as u; print(u.quote(os.environ[\"DEPLOY_TO\"]))'",
    "JSON": "python3 -c 'import os, json; print(json.dumps(dict(os.environ), indent=1))'",
    "two writes": 'printf %s "${DEPLOY_TO:0:9}"; sleep 0.3; printf "%s\\n" "${DEPLOY_TO:9}"',
    "stderr": 'printf %s "${DEPLOY_TO:0:9}" >&2; sleep 0.1; printf "%s\\n" "${DEPLOY_TO:9}"',
    "trap": "trap 'echo \"bye $DEPLOY_TO\"' EXIT; echo hello",
    "environment": "env; cat /proc/self/environ",
}


@pytest.fixture
def listed(team: Team) -> Team:
    """The policy lists the secret, and the project ignores a folder."""
    team.commit({".gitignore": "__pycache__/\ncache/\n"}, "Ignore")
    team.policy("secrets: []", f"secrets: [{NAME}]")
    team.policy("changed_bytes: 1000000", "changed_bytes: 9000000")
    return team


def run(team: Team, steps: str, *options: str, value: str = VALUE) -> Result:
    team.propose("job", steps)
    team.approve("bob", "job")
    return team.cli("ada", "run", "job", *options, env={NAME: value} if value else {})


def told(team: Team, result: Result) -> Iterator[tuple[str, bytes]]:
    """Everything that a run leaves: objects, files on disk, and what people and programs read."""
    yield "objects", objects(team)
    for path in team.base.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield str(path), path.read_bytes()
    for args in (("log", "job", "--full"), ("status",), ("show", "job"), ("audit",)):
        for more in ((), ("--json",)):
            done = team.cli("ada", *args, *more, env={NAME: VALUE})
            yield " ".join((*args, *more)), done.text.encode()
    yield "run", result.text.encode()


def objects(team: Team) -> bytes:
    argv = ["git", "cat-file", "--batch-all-objects", "--batch"]
    return subprocess.run(argv, cwd=team.root, check=True, capture_output=True).stdout


def forms_in(content: bytes) -> list[str]:
    data = VALUE.encode()
    forms = {
        "raw": data,
        "JSON": json.dumps(VALUE)[1:-1].encode(),
        "URL": quote(VALUE).encode(),
        "hex": data.hex().encode(),
        "base64": base64.b64encode(data)[:-4],
        "base64 later": base64.b64encode(b"xy" + data)[4:-4],
    }
    flat = content.translate(None, b"\r\n ")
    return [name for name, form in forms.items() if form in content or form in flat]


def leaks(team: Team, result: Result) -> list[tuple[str, str]]:
    """Where the value shows, and how."""
    return [(place, form) for place, content in told(team, result) for form in forms_in(content)]


def in_objects(team: Team) -> list[str]:
    return forms_in(objects(team))


def record(team: Team, name: str) -> dict[str, object]:
    text = team.show_file("planlock/job/1", f"plans/job/runs/1/{name}.yaml") + "\n"
    value: dict[str, object] = documents.parse(text.encode(), file=name).value
    return value


def test_E04_a_printed_secret_is_redacted_everywhere(listed: Team) -> None:
    """In every form, over two writes, on both channels: in git, the ledger, and all that is said."""
    script = "\n".join(f"echo '== {form}'; ( {line} )" for form, line in FORMS.items())
    done = run(listed, command(script, more=GIVEN), "--json")
    assert done.code == 0, done.text
    shown = listed.cli("ada", "log", "job", "--full").out
    assert [part.split("\n")[0] for part in shown.split("| == ")[1:] if MARK in part] == [*FORMS]
    assert leaks(listed, done) == []


def test_E04_without_the_policys_word_the_search_finds_it(team: Team) -> None:
    """The search is worth something: a value that nobody declared is found in all places."""
    done = run(team, command(f"echo '{VALUE}'"), "--json")
    assert done.code == 0, done.text
    assert {place for place, _ in leaks(team, done)} >= {"objects", "log job --full --json", "run"}


def test_E04_a_later_step_without_secrets_finds_none(listed: Team) -> None:
    """What a command with secrets left in ignored files is gone before the next one; work stays."""
    keep = 'mkdir cache && printf %s "$DEPLOY_TO" | base64 -w 9 > cache/kept; echo 1 > made'
    first = command(keep, name="keep", more=GIVEN + "writes: [made]\n")
    second = command("cat made; ls cache", name="print")
    done = run(listed, first + second)
    assert done.code == 5, done.text
    shown = listed.cli("ada", "log", "job", "--full").out
    assert "| 1\n" in shown
    assert "cannot access 'cache'" in shown
    assert leaks(listed, done) == []


@pytest.mark.parametrize(
    "before, script, after",
    [
        ("place/x", "rm -r place; echo new > place", "place"),
        ("place", "rm place; mkdir place; echo new > place/x", "place/x"),
    ],
)
def test_E04_work_survives_what_is_forgotten(
    listed: Team, before: str, script: str, after: str
) -> None:
    """A file in place of a folder, or the other way round, is there for the next command."""
    listed.commit({before: "old\n"}, "Place")
    first = command(script, name="turn", more=GIVEN + 'writes: [place, "place/**"]\n')
    done = run(listed, first + command(f"cat {after}", name="print"))
    assert done.code == 0, done.text
    assert "| new\n" in listed.cli("ada", "log", "job", "--full").out
    assert listed.show_file("planlock/job/1", after) == "new"


def test_E04_an_error_names_no_secret(listed: Team) -> None:
    """Neither the command's own words nor a path that planlock names show it."""
    first = run(listed, command(f'mkdir "$DEPLOY_TO"; touch {HEX_NAME}', more=GIVEN))
    assert first.code == 5, first.text
    assert f"the command changed {MARK}" in first.out
    assert "mkdir: cannot create directory" in first.err
    assert leaks(listed, first) == []


@pytest.mark.parametrize("kind", CHANGES)
def test_E04_a_change_that_holds_a_secret_fails_the_step(listed: Team, kind: str) -> None:
    """Content, where a link leads, a name: nothing of it reaches an object."""
    more = GIVEN + 'writes: ["made", "made/**"]\n'
    done = run(listed, command(CHANGES[kind], more=more), "--json")
    assert done.code == 5, done.text
    error = record(listed, "001-check")["error"]
    assert isinstance(error, dict)
    assert error["code"] == "secret_in_change"
    assert error["message"].startswith(f"the step leaves the secret {NAME} in made")
    assert in_objects(listed) == []


def test_E04_the_same_change_without_the_secret_is_kept(listed: Team) -> None:
    """It is the secret that fails the step, not that it had one."""
    more = GIVEN + "writes: [made]\n"
    done = run(listed, command('printf "a %s b" "${#DEPLOY_TO}" > made', more=more))
    assert done.code == 0, done.text
    assert listed.show_file("planlock/job/1", "made") == f"a {len(VALUE)} b"


def test_E04_an_edit_that_holds_a_secret_fails(listed: Team) -> None:
    """Also where people approved it: they may not have known."""
    content = base64.b64encode(f"user:{VALUE}".encode()).decode()
    edit = "- id: edit\n  step_type: edit_file\n  description: Add\n  input:\n"
    done = run(listed, f"{edit}    path: made\n    new_content: {content}\n")
    assert done.code == 5, done.text
    assert "secret_in_change" in listed.cli("ada", "log", "job").out
    assert "made" not in listed.git("ls-tree", "-r", "--name-only", "planlock/job/1").split()


def test_E04_a_plugins_output_and_change_hold_no_secret(listed: Team, tmp_path: Path) -> None:
    """A step type of somebody else's is held to the same."""
    registry._load.cache_clear()  # noqa: SLF001  # what a new process starts with
    listed.policy("plugins: []", "plugins: [greet-plugin]")
    greet = "- {id: ID, step_type: greet, description: Greet, input: {name: lighthouses%s}}\n"
    steps = greet.replace("ID", "say") % "" + greet.replace("ID", "leave") % ", path: made"
    with installed(tmp_path):
        done = run(listed, steps, value="lighthouses")
        assert done.code == 5, done.text
        story = listed.cli("ada", "log", "job", "--full").out
    assert f"| hello {MARK}" in story
    assert f"secret_in_change: the step leaves the secret {NAME} in made" in story


@pytest.mark.parametrize(
    "value, code, fix",
    [
        ("", "secret_missing", "fix: export DEPLOY_TO=…"),
        ("short77", "secret_too_short", "longer secret"),
        ("  short  \n", "secret_too_short", "longer secret"),
    ],
)
def test_E04_a_secret_that_cannot_be_kept_is_not_given(
    listed: Team, value: str, code: str, fix: str
) -> None:
    """Not set, or too short to be told from other text: the step does not start."""
    team, steps = listed, command("echo started", more=GIVEN)
    done = run(team, steps, value=value)
    assert done.code == 4, done.text
    assert fix in done.text
    again = team.cli("ada", "run", "job", "--json", env={NAME: value} if value else {})
    assert code in again.out
    assert "started" not in done.text
    assert team.cli("ada", "run", "job", env={NAME: VALUE}).code == 0


def test_D12_a_command_gets_only_what_was_declared(listed: Team) -> None:
    """Nothing of the runner's environment passes, whatever it is called, but the listed secrets."""
    script = "printf '%s\\n' ${!PLANLOCK*} ${!GITHUB*} ${!AWS*} ${!DEPL*} ${!X*}; ls -A ~ | wc -l; env | cut -d= -f1 | sort | tr '\\n' ' '"
    listed.propose("job", command(script, more=f"env: {{XENV: one}}\n{GIVEN}"))
    listed.approve("bob", "job")
    outer = {"GITHUB_TOKEN": "ghs_abc", "GITHUB_ENV": "/tmp/env", "AWS_SECRET": "a", "XOUT": "b"}
    done = listed.cli("ada", "run", "job", env={**outer, NAME: VALUE})
    assert done.code == 0, done.text
    output = record(listed, "001-check")["output"]
    assert isinstance(output, dict)
    *names, files, variables = output["text"].splitlines()
    assert sorted(names) == [NAME, "XENV"]
    assert files == "0"
    own = {"PWD", "SHLVL", "_", "OLDPWD"}
    base = {"PATH", "HOME", "LANG", "TMPDIR", "PYTHONDONTWRITEBYTECODE"}
    assert set(variables.split()) - own == base | {NAME, "XENV"}


def test_D03_a_token_in_git_configuration_is_absent(team: Team) -> None:
    """What a checkout left in the repository's configuration is not in the command's."""
    header = "AUTHORIZATION: basic " + base64.b64encode(b"x:" + VALUE.encode()).decode()
    team.git("config", "http.https://example.com/.extraheader", header)
    team.git("config", "remote.other.url", f"https://x:{quote(VALUE, safe='')}@example.com/r")
    look = (
        "git config --list; cat .git/config; grep -rc AUTHORIZATION .git | grep -v ':0'; echo done"
    )
    done = run(team, command(look))
    assert done.code == 0, done.text
    output = record(team, "001-check")["output"]
    assert isinstance(output, dict)
    assert "done" in output["text"]
    assert "extraheader" not in output["text"]
    assert "AUTHORIZATION" not in output["text"]
    assert "example.com/r" not in output["text"]


def test_who_approves_is_told_hosts_and_secrets(listed: Team) -> None:
    """What a step gets stands in the line about it."""
    listed.policy("network: []", "network: [example.org]")
    listed.propose("job", command("true", more=GIVEN + "network: [example.org]\n"))
    done = listed.cli("bob", "approve", "job")
    assert done.code == 0, done.text
    assert f"check  run_command  true; may contact example.org; gets secrets {NAME}" in done.out
