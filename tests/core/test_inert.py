from __future__ import annotations

import json
import time
import tracemalloc

import hostile_text
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core import inert
from runner.core.text import visible

RENDERERS = {
    "terminal": inert.terminal,
    "one_line": inert.one_line,
    "markdown": inert.markdown,
    "markdown_address": inert.markdown_address,
    "markdown_block": inert.markdown_block,
    "html": inert.html,
    "html_block": inert.html_block,
    "actions_log": inert.actions_log,
    "actions_data": inert.actions_data,
    "actions_field": inert.actions_field,
}
LONG = {
    "ascii": "a" * 100_000_000,
    "hidden": "\x1b" * 1_000_000,
    "commands": "::" * 1_000_000,
    "older commands": "##[" * 1_000_000,
    "marks": ("#" + "\u0591" * 9) * 100_000,
    "backticks": "`" * 1_000_000,
    "bars": "|" * 1_000_000,
    "markup": "<" * 1_000_000,
    "lines": "\n" * 1_000_000,
}


@pytest.mark.parametrize("name", RENDERERS)
@given(text=hostile_text.text)
def test_E01_no_renderer_lets_a_control_character_through(name: str, text: str) -> None:
    """Whatever a text is, what comes out holds nothing that is hidden or steers a terminal."""
    assert hostile_text.controls(RENDERERS[name](text)) == []


@pytest.mark.parametrize("name", hostile_text.TEXTS)
def test_the_hostile_texts_are_hostile(name: str) -> None:
    """Each of the samples has something that some renderer must change."""
    text = hostile_text.TEXTS[name]
    changed = [name for name, renderer in RENDERERS.items() if renderer(text) != text]
    assert changed


@given(text=hostile_text.text)
def test_what_is_inert_stays_as_it_is(text: str) -> None:
    """Rendering twice for the terminal, or for a workflow's log, changes nothing more."""
    for renderer in (inert.terminal, inert.one_line, inert.actions_log):
        shown = renderer(text)
        assert renderer(shown) == shown


def test_ordinary_text_is_not_touched() -> None:
    """Letters of any script, emoji, colons and number signs that command nothing stand as they are."""
    text = "漢字 é 🎉 ⚠\ufe0f\n\ta::b c: # ## x\nstd::vector<int> #1 [x]\n"
    assert inert.terminal(text) == text
    assert inert.actions_log(text) == text


@given(text=hostile_text.text, limit=st.integers(40, 200))
def test_E05_a_text_is_cut_at_the_limit(text: str, limit: int) -> None:
    """It fits into the limit, its beginning stands, and the number of those left out is right."""
    whole = visible(text)
    shown = inert.terminal(text, limit=limit)
    assert len(shown) <= limit
    if len(whole) <= limit:
        assert shown == whole
        return
    head, _, told = shown.rpartition("… (")
    left = int(told.removesuffix(" more characters)").replace(",", ""))
    assert visible(text[: len(text) - left]) == head


@pytest.mark.parametrize("name", LONG)
def test_E05_an_enormous_text_costs_no_more_than_the_limit(name: str) -> None:
    """One line of 100 MB, or a million of what must be escaped: bounded in time and length."""
    for renderer in RENDERERS.values():
        before = time.process_time()
        shown = renderer(LONG[name])
        assert time.process_time() - before < 2
        assert len(shown) <= 8 * inert.LIMIT


@pytest.mark.parametrize("name", RENDERERS)
def test_E05_one_line_of_100_MB_takes_no_memory(name: str) -> None:
    """It is cut before anything is made of it."""
    tracemalloc.start()
    RENDERERS[name](LONG["ascii"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("name", hostile_text.TEXTS)
def test_E03_json_is_inert_and_says_the_same(name: str) -> None:
    """Hidden characters and `##[` are written as escapes, which mean the same text."""
    value = {"text": hostile_text.TEXTS[name], name: [1, None]}
    for indent in (None, 2):
        written = inert.json_text(json.dumps(value, ensure_ascii=False, indent=indent))
        assert json.loads(written) == value
        assert hostile_text.controls(written) == []
        assert "##[" not in written


def test_a_block_is_in_no_language_that_draws() -> None:
    """GitHub would render a diagram or a formula."""
    for language in ("mermaid", "math", "geojson", "diff\n```"):
        with pytest.raises(ValueError, match="language"):
            inert.markdown_block("x", language)


@pytest.mark.parametrize(
    "text,is_link",
    [
        ("https://github.com/acme/shop/pull/7", True),
        ("http://127.0.0.1:8080/acme/shop/pull/7", True),
        ("https://github.com/acme/shop/pull/7?x=1", False),
        ("https://github.com/acme/shop/pull/7\n", False),
        ("https://github.com/acme/shop/pull/7> @everyone", False),
        ("https://bob@github.com/acme/shop/pull/7", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_only_a_pull_requests_address_is_a_link(text: str, *, is_link: bool) -> None:
    """Whatever could be more than that is shown as code."""
    assert inert.markdown_address(text) == (f"<{text}>" if is_link else inert.markdown(text))
