from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core import desk_command
from runner.core.desk_command import HELP, VERBS, Command, Verb


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_is_understood_and_explained(verb: Verb) -> None:
    """Whatever may follow on further lines, and the help has each."""
    assert desk_command.parse(f"/planlock {verb}") == Command(verb=verb)
    assert desk_command.parse(f"/planlock {verb}  \r\nthank you") == Command(verb=verb)
    assert f"`/planlock {verb}`" in HELP


@pytest.mark.parametrize("option", ["--retry", "--skip", "--new"])
def test_run_takes_one_option(option: str) -> None:
    """How a run goes on can be said, once."""
    assert desk_command.parse(f"/planlock run {option}") == Command(
        verb="run", options=frozenset({option})
    )
    assert f"`/planlock run {option}`" in HELP
    assert isinstance(desk_command.parse(f"/planlock cancel {option}"), str)


@pytest.mark.parametrize(
    "text",
    [
        "/planlock",
        "/planlock RUN",
        "/planlock run now",
        "/planlock run --retry --new",
        "/planlock run $(id)",
        "/planlock run ${{ github.token }}",
        "/planlock run;id",
        "/planlock rollback",
    ],
)
def test_anything_else_is_told(text: str) -> None:
    """A command that is not understood is never guessed."""
    assert desk_command.is_meant(text)
    assert isinstance(desk_command.parse(text), str)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "> /planlock run",
        " /planlock run",
        "<!-- /planlock run -->",
        "<!--\n/planlock run\n-->",
        "Please\n/planlock run",
        "\n/planlock run",
        "`/planlock run`",
        "/planlocked run",
        "/planlock-run",
        "@/planlock run",
    ],
)
def test_A15_only_the_first_line_is_meant(text: str) -> None:
    """What is quoted, hidden, indented or further down is no command."""
    assert not desk_command.is_meant(text)


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    """Whatever somebody writes is a command of the list, or is not."""
    found = desk_command.parse(text)
    assert isinstance(found, str) or found.verb in VERBS
