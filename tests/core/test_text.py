from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.text import Character, find_hidden, hidden_characters, unusual_characters, visible


@pytest.mark.parametrize(
    "character",
    [
        "\x00",
        "\x08",
        "\r",
        "\x1b",
        "\x7f",
        "\x85",
        "\x9b",
        "\u00ad",
        "\u034f",
        "\u061c",
        "\u115f",
        "\u180e",
        "\u200b",
        "\u200d",
        "\u200e",
        "\u2028",
        "\u2029",
        "\u202e",
        "\u2060",
        "\u2066",
        "\u3164",
        "\ue000",
        "\ufdd0",
        "\ufeff",
        "\uffa0",
        "\ud800",
        "\U000e0041",
        "\U000e0100",
        "\U0010fffd",
    ],
)
def test_B03_characters_that_nobody_sees_are_found_with_their_offset(character: str) -> None:
    """A control, format, private, unassigned or inkless character is hidden wherever it stands."""
    found = hidden_characters(f"ab{character}c")
    assert [(it.offset, it.code_point) for it in found] == [(2, ord(character))]
    assert found[0].name


@pytest.mark.parametrize(
    "text", ["", "plain\n\ttext", "é ñ 漢字 🎉 ½ \u00a0", "⚠\ufe0f \u2139\ufe0f ↔\ufe0e"]
)
def test_ordinary_text_hides_nothing(text: str) -> None:
    """Letters of any script, emoji with their presentation, line feeds and tabs may stand."""
    assert hidden_characters(text) == ()
    assert visible(text) == text


@pytest.mark.parametrize("text", ["\ufe0f", "a\ufe0f", "1\ufe0f", "⚠\ufe0f\ufe0e", "é\ufe0f"])
def test_B03_a_presentation_selector_that_selects_nothing_is_hidden(text: str) -> None:
    """A selector after anything but a symbol could carry a hidden bit."""
    assert [it.offset for it in hidden_characters(text)] == [len(text) - 1]


def test_hidden_characters_are_named() -> None:
    """Names come from Unicode, and from the category where Unicode has none."""
    assert hidden_characters("\u202e\x1b\ue000") == (
        Character(0, 0x202E, "RIGHT-TO-LEFT OVERRIDE"),
        Character(1, 0x1B, "CONTROL CHARACTER U+001B"),
        Character(2, 0xE000, "PRIVATE USE CHARACTER U+E000"),
    )


def test_B04_homoglyphs_show_their_names() -> None:
    """A Cyrillic letter in a host is listed with its name."""
    assert unusual_characters("ex\u0430mple.com") == (
        Character(2, 0x430, "CYRILLIC SMALL LETTER A"),
    )
    assert unusual_characters("python -m pytest -q\n") == ()


@pytest.mark.parametrize(
    "text,shown",
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x1b]8;;http://x\x07", "\\x1b]8;;http://x\\x07"),
        ("50%\r100%\x08", "50%\\x0d100%\\x08"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u202eb", "a\\u202eb"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("line\n\tnext", "line\n\tnext"),
    ],
)
def test_E01_terminal_controls_are_shown_escaped(text: str, shown: str) -> None:
    """What would steer a terminal or hide a character is written as its code."""
    assert visible(text) == shown


@given(st.text(st.characters(exclude_categories=[])))
def test_visible_text_hides_nothing_and_keeps_the_rest(text: str) -> None:
    """After `visible` nothing is hidden, and characters that are not hidden stand as they were."""
    hidden = {it.offset for it in find_hidden(text)}
    assert hidden_characters(visible(text)) == ()
    if not hidden:
        assert visible(text) == text
