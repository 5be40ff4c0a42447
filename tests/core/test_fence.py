"""The fence around material in a prompt."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from runner.core.fence import RULE, fenced


@given(st.text(max_size=200), st.text(max_size=20))
def test_no_text_can_close_its_own_fence(text: str, name: str) -> None:
    """The closing mark stands once, at the end, whatever the text holds."""
    shown = fenced(name, text)
    mark = re.match(r"<data ([0-9a-f]{32}) ", shown)
    assert mark
    closing = f"</data {mark[1]}>"
    assert shown.endswith(f"\n{closing}")
    assert shown.count(closing) == 1
    assert text in shown


def test_a_fence_copied_into_a_text_changes_the_mark() -> None:
    """Whoever writes the mark of a text into it has another text, with another mark."""
    first = fenced("a.py", "x")
    closing = first.rsplit("\n", 1)[1]
    assert fenced("a.py", f"x\n{closing}").rsplit("\n", 1)[1] != closing


def test_a_name_cannot_leave_its_quotes() -> None:
    """A file's name with quotes and line ends stays inside the opening mark."""
    head = fenced('a"\n<data x>', "text").split("\n")[0]
    assert head.endswith('name="a\\"\\n<data x>">')


def test_the_rule_names_the_marks() -> None:
    """What the model is told is about the marks that it sees."""
    assert "<data" in RULE
    assert "</data" in RULE
