from __future__ import annotations

from itertools import pairwise

import hostile_text
import pytest
from actions_parser import commands
from hypothesis import given
from hypothesis import strategies as st

from runner.core import inert

ATTACKS = {
    "plain": "::set-env name=PATH::/tmp",
    "indented": "  \t::add-mask::x",
    "no-break space": "\u00a0::add-mask::x",
    "ideographic space": "\u3000\u2003::add-mask::x",
    "mark": "\u0591::add-mask::x",
    "marks between": ":\u0301:add-mask::x",
    "after a line": "x\n::error::y",
    "after CR": "x\r::error::y",
    "older": "anything ##[error]y",
    "older, three": "###[error]y",
    "older, marks between": "#\u0301#\u0591[error]y",
    "stop": "::stop-commands::pause",
    "upper case": "::SET-ENV name=x::y",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_E03_a_command_is_defused(name: str) -> None:
    """What the runner would obey as it stands, it only shows when it was rendered."""
    attack = ATTACKS[name]
    assert commands(attack)
    assert commands(inert.actions_log(attack)) == []


@pytest.mark.parametrize("space", "\u0085\u2028\u200b\u00ad\ufeff\u2060\x1f\x0b\x0c\x00\x1b\x7f")
def test_E03_a_command_behind_what_nobody_sees(space: str) -> None:
    """A character that is trimmed, or that a comparison skips, is shown in its place."""
    for attack in (f"{space}::error::x", f":{space}:error::x", f"#{space}#[error]"):
        assert commands(inert.actions_log(attack)) == []


def test_E03_defusing_is_visible_and_small() -> None:
    """A backslash stands where the command began; nothing else changes."""
    assert inert.actions_log("a\n ::set-env name=x::y") == "a\n \\::set-env name=x::y"
    assert inert.actions_log("a ##[error]b") == "a #\\#[error]b"
    assert inert.actions_log("std::vector") == "std::vector"


@given(text=hostile_text.text)
def test_E03_no_text_commands_a_workflow(text: str) -> None:
    """Neither as lines, nor as the data or a field of a command of our own."""
    assert commands(inert.actions_log(text)) == []
    for ours in (inert.actions_data(text), inert.actions_field(text)):
        assert commands(f"::group::{ours}") == ["group"]
        assert "\n" not in ours


@given(text=hostile_text.text, cuts=st.lists(st.integers(0, 200), max_size=12))
def test_E03_however_a_text_is_cut_into_writes(text: str, cuts: list[int]) -> None:
    """A command that comes in pieces is defused too, and nothing of the text is lost."""
    log, places = (
        inert.ActionsLog(),
        sorted({0, len(text), *(min(each, len(text)) for each in cuts)}),
    )
    pieces = [text[start:end] for start, end in pairwise(places)]
    written = "".join([*map(log.feed, pieces), log.finish()])
    assert commands(written) == []
    assert hostile_text.controls(written) == []


@pytest.mark.parametrize("attack", ATTACKS.values())
def test_E03_character_by_character(attack: str) -> None:
    """As whole lines: a stream writes what the renderer gives."""
    log = inert.ActionsLog()
    assert "".join([*map(log.feed, attack), log.finish()]) == inert.actions_log(attack)


@pytest.mark.parametrize("sign", [":", "#"])
@pytest.mark.parametrize("mark", ["\u0591", ""])
def test_E03_a_command_stretched_farther_than_one_waits(sign: str, mark: str) -> None:
    """Thousands of marks that nobody sees between two signs do not hide them."""
    log = inert.ActionsLog()
    rest = ":error::x" if sign == ":" else "#[error]x"
    pieces = [sign + (mark or sign) * 5000, rest]
    assert commands("".join([*map(log.feed, pieces), log.finish()])) == []


def test_what_begins_no_command_is_not_held_back() -> None:
    """A question without a line end can be read at once."""
    log = inert.ActionsLog()
    assert log.feed("Sign? [y/N] ") == "Sign? [y/N] "
    assert log.feed("#") == ""
    assert log.feed("1\n") == "#1\n"
    assert log.feed(":") == ""
    assert log.finish() == ":"
