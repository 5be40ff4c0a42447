"""The command line: help, JSON, exit codes, error texts, escaping, and readers that go away."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from team import CHECK, EDIT, READ, Result, Team, call, command

from runner.cli import checking, main, render
from runner.core import errors
from runner.core.errors import PlanlockError, Problem, Reason

SOURCE = Path(__file__).parents[2]
MAIN = "import sys; from runner.cli.main import main; main(sys.argv[1:])"
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def commands() -> list[tuple[str, ...]]:
    """Every command and sub-command."""
    found: list[tuple[str, ...]] = []
    context = click.Context(main.planlock)
    for name in main.COMMANDS:
        command = main.planlock.get_command(context, name)
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, inner) for inner in command.list_commands(context)]
    return found


def tree(kind: type[PlanlockError]) -> list[type[PlanlockError]]:
    return [kind, *(inner for each in kind.__subclasses__() for inner in tree(each))]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(tmp_path: Path, words: tuple[str, ...], option: str) -> None:
    """Help tells in a sentence what a command does, and each of its options has a text."""
    result = call(tmp_path, ENVIRONMENT, *words, option)
    assert result.code == 0
    assert "Usage: planlock" in result.out
    rows = re.findall(r"^  (--?\S.*)$", result.out, re.MULTILINE)
    assert rows
    assert all(re.search(r"\S {2,}\S", row) or len(row) > 24 for row in rows), rows


def test_help_lists_every_command(tmp_path: Path) -> None:
    """The list of commands, with a line each, comes without loading them."""
    result = call(tmp_path, ENVIRONMENT, "--help")
    for name, (_, text) in main.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(text[:30])}", result.out, re.MULTILINE)


def test_exit_codes_are_documented(tmp_path: Path) -> None:
    """The help names each exit code that an error can have."""
    words = " ".join(call(tmp_path, ENVIRONMENT, "--help").out.split())
    codes = {each.exit_code for each in tree(PlanlockError)} | {0, main.INTERRUPTED}
    assert all(re.search(rf"\b{code} [a-z]", words) for code in codes), codes


def test_error_codes_are_unique() -> None:
    """Each error class has a code of its own, and one of the documented exit codes."""
    kinds = tree(PlanlockError)
    assert len({each.code for each in kinds}) == len(kinds)
    assert {each.exit_code for each in kinds[1:]} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    "typed,meant", [("validat", "validate"), ("aprove", "approve"), ("stauts", "status")]
)
def test_misspelled_command(tmp_path: Path, typed: str, meant: str) -> None:
    """A misspelled command is wrong usage, and the nearest one is named."""
    result = call(tmp_path, ENVIRONMENT, typed)
    assert (result.code, f"Did you mean '{meant}'?" in result.err) == (2, True)
    assert "No such command" in result.err


@pytest.mark.parametrize(
    "args",
    [
        ("run",),
        ("run", "a", "b"),
        ("run", "--no-such"),
        ("approve", "x", "--expires", "soon"),
        ("approve", "x", "--max-usd", "-1"),
        ("approve", "x", "--max-runs", "none"),
        ("cost", "x/y"),
        ("schema", "nothing"),
        ("people", "add", "x"),
        ("validate", "--format", "html"),
    ],
    ids=" ".join,
)
def test_wrong_usage(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Wrong usage ends with 2 and says what is wrong, on stderr."""
    result = call(tmp_path, ENVIRONMENT, *args)
    assert (result.code, result.out) == (2, "")
    assert "Error: " in result.err
    assert "Traceback" not in result.err


@pytest.mark.usefixtures("confined")
def test_json_everywhere(team: Team) -> None:
    """With `--json` stdout is JSON and nothing else, of success and of refusal."""
    team.plan("job", READ + EDIT + command(CHECK))
    story: list[tuple[str, int, tuple[str, ...]]] = [
        ("ada", 0, ("init",)),
        ("ada", 0, ("validate", "plans")),
        ("ada", 0, ("propose", "job")),
        ("ada", 0, ("show", "job")),
        ("ada", 0, ("status", "job")),
        ("ada", 4, ("approve", "job")),
        ("ada", 4, ("withdraw", "job")),
        ("bob", 0, ("approve", "job")),
        ("bob", 0, ("withdraw", "job")),
        ("cleo", 0, ("approve", "job", "--max-usd", "0.50", "--expires", "2h")),
        ("ada", 0, ("run", "job")),
        ("ada", 0, ("log", "job/1")),
        ("ada", 0, ("cost", "job")),
        ("ada", 0, ("ledger", "rebuild")),
        ("ada", 0, ("ledger", "check")),
        ("bob", 0, ("reject", "job", "--step", "edit", "--reason", "no")),
        ("ada", 0, ("new", "Another job")),
        ("ada", 3, ("log", "none")),
        ("ada", 3, ("run", "none")),
        ("ada", 3, ("people", "add", "dan@example.com", "--key", "/none.pub")),
    ]
    for who, code, args in story:
        result = team.cli(who, *args, "--json")
        assert result.code == code, (args, result.text)
        lines = result.out.splitlines() if args[0] == "run" and code == 0 else [result.out]
        parsed = [json.loads(line) for line in lines]
        if code:
            assert parsed[0]["error"]["exit_code"] == code
            assert parsed[0]["error"]["message"]


def test_error_text_names_code_and_hint(tmp_path: Path) -> None:
    """An error is a line with kind, code and message, and a hint that can be typed."""
    result = call(tmp_path, ENVIRONMENT, "status", "x")
    first, second = result.err.splitlines()
    assert first.startswith("error[no_repository]: looking for a git repository: none at ")
    assert second == "  hint: cd into one, or: git init"
    assert result.out == ""


def test_E01_messages_are_shown_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Terminal controls in a message, a hint or a reason arrive as visible text."""
    evil = "\x1b[2J\x07\u202egnp.exe\r"
    reason = Reason(code="x", message=evil, fix=evil)
    render.error(errors.Refused(evil, reasons=(reason,), hint=evil), as_json=False)
    problem = Problem(file=evil, line=1, column=1, path=evil, code="x", message=evil, fix=evil)
    render.error(errors.InvalidDocument([problem]), as_json=False)
    told = click.unstyle(capsys.readouterr().err)
    assert not {"\x1b", "\x07", "\u202e", "\r"} & set(told)
    assert call(tmp_path, ENVIRONMENT, "validate", f"{tmp_path}/\x1b]0;x\x07").code == 1


@given(st.text(max_size=40), st.text(max_size=40), st.integers(0, 9))
def test_E03_annotations_cannot_be_forged(message: str, path: str, column: int) -> None:
    """Whatever a file holds, an annotation for Actions is one line with one command."""
    problem = Problem(
        file=f"a,b::{path}", line=3, column=column, path=path, code="c", message=message, fix="::x"
    )
    text = checking.annotation(problem)
    assert "\n" not in text
    assert "\r" not in text
    head, _, _ = text.removeprefix("::error ").partition("::")
    fields = dict(pair.split("=", 1) for pair in head.split(","))
    assert set(fields) == {"file", "line", "title"} | ({"col"} if column else set())
    assert fields["line"] == "3"


def test_E03_github_format(tmp_path: Path) -> None:
    """`--format github` writes one annotation a problem, newlines and colons escaped."""
    plan = tmp_path / "bad,name::x.yaml"
    plan.write_text('version: 1\nid: bad\ngoal: "::set-env x"\n"a\\n::error": 1\nsteps: []\n')
    result = call(tmp_path, ENVIRONMENT, "validate", "--format", "github", str(plan))
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines
    for line in lines:
        assert line.startswith("::error file=")
        assert "bad%2Cname%3A%3Ax.yaml" in line
        assert not re.search(r"\n|\r", line)


def shell(folder: Path, script: str) -> Result:
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**ENVIRONMENT, "PYTHONPATH": str(SOURCE), "PY": sys.executable, "MAIN": MAIN},
        capture_output=True,
        text=True,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("args", ["--help", "schema plan", "validate one.yaml --json"])
def test_reader_that_goes_away(tmp_path: Path, args: str) -> None:
    """A closed pipe ends the command without a trace."""
    (tmp_path / "one.yaml").write_text("version: 1\n")
    script = f'{{ sleep 0.1; "$PY" -c "$MAIN" {args}; echo "${{PIPESTATUS[0]}}" >&2; }} | true'
    result = shell(tmp_path, script)
    assert result.err.strip() in {"0", "1"}, result.err


@pytest.mark.parametrize("args", ["--help", "schema plan", "validate one.yaml --json"])
def test_output_to_a_full_device(tmp_path: Path, args: str) -> None:
    """Output that cannot be written is no success and no bug: one line says so."""
    (tmp_path / "one.yaml").write_text("version: 1\n")
    result = shell(tmp_path, f'"$PY" -c "$MAIN" {args} > /dev/full')
    line, *hints = result.err.splitlines()
    assert (result.code, hints) == (5, ["  hint: df -h"])
    assert line == "error[file_access]: writing the output: No space left on device"


def test_no_colors_in_a_pipe(tmp_path: Path) -> None:
    """Without a terminal there are no escape sequences."""
    result = shell(tmp_path, '"$PY" -c "$MAIN" status x; "$PY" -c "$MAIN" --help')
    assert "\x1b" not in result.text


def test_error_of_run_is_one_line_of_json(tmp_path: Path) -> None:
    """Where stdout is JSON lines an error is one line too; elsewhere it is laid out."""
    assert len(call(tmp_path, ENVIRONMENT, "run", "x", "--json").out.splitlines()) == 1
    assert len(call(tmp_path, ENVIRONMENT, "status", "x", "--json").out.splitlines()) > 1


@pytest.mark.parametrize("value,colored", [("1", False), ("", True)])
def test_no_color_is_honoured(tmp_path: Path, value: str, *, colored: bool) -> None:
    """On a terminal there are colours, unless NO_COLOR is set to something (no-color.org)."""
    master, slave = os.openpty()
    environment = {**ENVIRONMENT, "PYTHONPATH": str(SOURCE), "NO_COLOR": value, "TERM": "xterm"}
    with os.fdopen(master, "rb", buffering=0) as terminal, os.fdopen(slave, "wb") as other_end:
        subprocess.run(
            [sys.executable, "-c", MAIN, "status", "x"],
            cwd=tmp_path,
            env=environment,
            stderr=other_end,
            check=False,
        )
        said = terminal.read(10_000)
    assert b"[no_repository]" in said
    assert (b"\x1b[" in said) is colored


def test_bug_ends_with_70_and_a_report(tmp_path: Path) -> None:
    """What nobody foresaw ends with 70, the trace, and a request to report it."""
    broken = tmp_path / "git"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise RuntimeError('a broken installation')\n")
    argv = f'cd /; PYTHONPATH="{tmp_path}:$PYTHONPATH" "$PY" -c "$MAIN" status x'
    result = shell(tmp_path, argv)
    assert result.code == main.BUG
    assert "RuntimeError: a broken installation" in result.err
    assert "error[bug]: this is a bug in planlock" in result.err
