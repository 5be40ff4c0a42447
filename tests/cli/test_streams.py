"""The output streams at the edge: what is ours passes, what is not is shown."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from actions_parser import commands
from hostile_text import TEXTS, controls
from hypothesis import given
from hypothesis import strategies as st
from team import EDIT, Team, surroundings
from terminal import terminal

from runner.cli import streams

SOURCE = str(Path(__file__).parents[2])


def written(*pieces: str, actions: bool = False) -> str:
    """What comes out where these pieces are written to stdout."""
    out = io.StringIO()
    environment = {"GITHUB_ACTIONS": "true"} if actions else {}
    with (
        surroundings(Path.cwd(), environment),
        contextlib.redirect_stdout(out),
        streams.guarded(),
    ):
        for piece in pieces:
            sys.stdout.write(piece)
    return out.getvalue()


@pytest.mark.parametrize("name", TEXTS)
def test_E01_a_text_that_nobody_escaped_stops_at_the_edge(name: str) -> None:
    """Whatever a command writes: only plain colours get to a terminal, and none to a workflow."""
    shown = written(TEXTS[name])
    assert set(controls(shown)) <= {"\x1b"}
    assert "\x1b[8m" not in shown
    assert "\x1b]" not in shown
    logged = written(TEXTS[name], actions=True)
    assert (controls(logged), commands(logged)) == ([], [])


def test_our_own_colours_pass() -> None:
    """And so does the line that a clock is written over with."""
    text = click.style("x", fg="bright_black", bold=True, dim=True, reverse=True)
    assert written(text, "\r\x1b[K  5 s") == f"{text}\r\x1b[K  5 s"


def test_E03_a_command_in_two_writes_stops_at_the_edge() -> None:
    """The beginning waits for the rest, and comes out with it."""
    assert (
        written(":", ":error::x\n#", "#[error]y\n", actions=True) == "\\::error::x\n#\\#[error]y\n"
    )
    assert written("a:", ":b ", ":", actions=True) == "a::b :"


@given(pieces=st.lists(st.sampled_from([*"::##[] x\n", "error", "\u0591"]), max_size=12))
def test_E03_no_pieces_make_a_command(pieces: list[str]) -> None:
    """However few characters a write has."""
    assert commands(written(*pieces, actions=True)) == []


def test_commands_of_our_own_pass_in_their_place() -> None:
    """What was still waiting comes before them."""
    out = io.StringIO()
    with (
        surroundings(Path.cwd(), {"GITHUB_ACTIONS": "true"}),
        contextlib.redirect_stdout(out),
        streams.guarded(),
    ):
        sys.stdout.write("#1\n##")
        streams.command("::group::x")
    assert out.getvalue() == "#1\n##::group::x\n"


@pytest.mark.parametrize("language", ["C", "C.UTF-8"])
def test_any_character_can_be_written_anywhere(tmp_path: Path, language: str) -> None:
    """Where the surroundings know nothing but ASCII too."""
    code = "from runner.cli import streams, render; import sys\nwith streams.guarded():\n"
    code += " print(render.mark('completed'), '\\udcff', file=sys.stdout)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            "PATH": os.environ["PATH"],
            "LC_ALL": language,
            "PYTHONIOENCODING": "ascii:strict",
            "PYTHONPATH": SOURCE,
        },
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
    assert done.stdout.decode() == "\x1b[32m✓\x1b[0m \\udcff\n"


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_a_stream_may_be_closed_from_the_start(tmp_path: Path, closed: str) -> None:
    """Then what would go there goes nowhere, and the exit code is as ever."""
    code = "from runner.cli.main import main; main(['--version'])"
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -c "{code}" {closed}'],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": SOURCE},
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_E01_a_real_terminal_gets_colours_and_nothing_else(team: Team) -> None:
    """On a terminal, a plan about a hostile file brings styles and no other control."""
    team.commit({"utils.py": "\x1b[31m\x1b[8mx\x1b]52;c;eA==\x07\n"}, "Odd")
    team.propose("job", EDIT)
    with terminal(team, "bob", "show", "job") as screen:
        screen.until("To approve exactly this:")
    assert "\\x1b[8m" in screen.text
    assert {each for each in screen.raw if each < " "} <= set("\x1b\r\n")
    assert "\x1b]" not in screen.raw
    assert "\x1b[8m" not in screen.raw
