from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.cli import highlight
from runner.core.text import visible

STYLE = re.compile(r"\x1b\[[0-9;]*m")
SOURCE = Path(__file__).parents[2]
HEAD = ["--- a/x", "+++ b/x", "@@ -1,2 +1,2 @@"]
PATHS = ["x.py", "x.yaml", "x.sh", "x.c", "x.html", "x.md", "Makefile", "x.unknown", "x", "", "\n"]


@pytest.fixture(autouse=True)
def colors() -> Iterator[None]:
    """As in a terminal that shows colours."""
    with click.Context(click.Command("x"), color=True).scope():
        yield


def plain(lines: list[str]) -> list[str]:
    return [STYLE.sub("", line) for line in lines]


def styles(line: str) -> set[str]:
    return set(STYLE.findall(line)) - {"\x1b[0m"}


def test_code_has_the_colours_of_its_language() -> None:
    """Keywords and texts differ, and the gutter tells what comes and goes."""
    shown = highlight.diff([*HEAD, "-def f():", '+    return "x"', " # why"], "x.py")
    assert plain(shown) == [*HEAD, "-def f():", '+    return "x"', " # why"]
    assert shown[3].startswith("\x1b[31m\x1b[1m-")
    assert shown[4].startswith("\x1b[32m\x1b[1m+")
    assert click.style("def", fg="magenta") in shown[3]
    assert click.style("return", fg="magenta") in shown[4]
    assert click.style("# why", fg="bright_black") in shown[5]


def test_a_text_over_several_lines_is_one_text() -> None:
    """What is removed does not tear apart what stays and comes."""
    lines = [*HEAD, ' """one', "-two", "+return", ' """']
    shown = highlight.diff(lines, "x.py")
    assert "\x1b[35m" not in shown[5]  # not the colour of a keyword


@pytest.mark.parametrize("path", ["x.unknown", "x", ""])
def test_unknown_types_are_plain(path: str) -> None:
    """Only what comes and goes is coloured, as a whole line."""
    shown = highlight.diff([*HEAD, "-def", "+def", " def"], path)
    assert shown[3:] == [click.style("-def", fg="red"), click.style("+def", fg="green"), " def"]


def test_lines_that_look_like_a_header_are_lines() -> None:
    """A removed line of two dashes is no file name."""
    shown = highlight.diff([*HEAD, "--- x", "+++ y"], "x.unknown")
    assert shown[3:] == [click.style("--- x", fg="red"), click.style("+++ y", fg="green")]


@given(
    st.lists(st.tuples(st.sampled_from("+- "), st.text(max_size=30)), max_size=8),
    st.sampled_from(PATHS),
)
def test_the_text_stays_as_it_is(parts: list[tuple[str, str]], path: str) -> None:
    """Whatever is in it: but for colours only hidden characters are changed, and those escaped."""
    lines = [*HEAD, *(kind + text.replace("\n", " ") for kind, text in parts)]
    with click.Context(click.Command("x"), color=True).scope():
        shown = highlight.diff(lines, path)
    assert plain(shown) == [visible(line) for line in lines]


@pytest.mark.parametrize("hidden", ["\x1b[2J", "\x9b31m", "\u202e", "\r", "\x0c", "\u2028", "\x85"])
@pytest.mark.parametrize("path", ["x.py", "x.unknown"])
def test_E01_no_control_character_survives(hidden: str, path: str) -> None:
    """A stranger's text cannot steer the terminal, in a diff or in a command."""
    shown = "\n".join(plain(highlight.diff([*HEAD, f"+a = '{hidden}'"], path)))
    assert visible(shown) == shown
    assert visible(hidden) in shown
    assert visible(hidden) in "\n".join(plain(highlight.command(f"echo '{hidden}'")))


def test_B04_foreign_letters_in_a_command_stand_out() -> None:
    """A look-alike is shown on a red ground."""
    (shown,) = highlight.command("curl g\u043eogle.com # d\u00e9j\u00e0")
    assert click.style("\u043e", fg="red", reverse=True) in shown
    assert click.style("\u00e9", fg="red", reverse=True) in shown
    assert plain([shown]) == ["curl g\u043eogle.com # d\u00e9j\u00e0"]


def test_a_command_of_several_lines() -> None:
    """Lines stay lines."""
    text = "for i in 1; do\n  echo $i\ndone"
    assert plain(highlight.command(text)) == text.split("\n")
    assert styles(highlight.command(text)[0])


def test_a_long_text_is_plain() -> None:
    """Over 200 kB nobody waits for colours."""
    line = "+def f(): return 'x'"
    count = highlight.MOST_TEXT // len(line)
    assert len(styles(highlight.diff([*HEAD, *[line] * (count - 5)], "x.py")[3])) > 2
    assert highlight.diff([*HEAD, *[line] * (count + 5)], "x.py")[3] == click.style(
        line, fg="green"
    )


def test_a_text_that_keeps_a_lexer_busy_is_plain() -> None:
    """Some lexers take minutes for a few blanks: they are stopped, and nothing of it stays."""
    handler = signal.getsignal(signal.SIGVTALRM)
    begin = time.process_time()
    shown = highlight.diff([*HEAD, "+" + " " * 8000], "x.au3")
    assert time.process_time() - begin < highlight.SECONDS + 5
    assert shown[3] == click.style("+" + " " * 8000, fg="green")
    assert signal.getsignal(signal.SIGVTALRM) is handler
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


def test_a_lexer_that_would_change_the_text_is_not_used() -> None:
    """That of Robot Framework makes blanks of tabs, which are not what is approved."""
    shown = highlight.diff([*HEAD, "+  \tlead"], "x.robot")
    assert shown[3] == click.style("+  \tlead", fg="green")


def test_colours_are_off_where_click_says_so() -> None:
    """Then no lexer is loaded either, which would take a while."""
    code = (
        "import sys, click; from runner.cli import highlight\n"
        "with click.Context(click.Command('x'), color=False).scope():\n"
        "    lines = highlight.diff(['@@ -1 +1 @@', '+def'], 'x.py') + highlight.command('x')\n"
        "assert 'pygments' not in sys.modules\n"
        "click.echo(lines)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SOURCE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with click.Context(click.Command("x"), color=False).scope():
        assert highlight.diff(["+def"], "x.py") == [click.style("+def", fg="green")]
