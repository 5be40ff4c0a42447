from __future__ import annotations

from typing import Any

import github_page
import hostile_text
import pytest
from hypothesis import given

from runner.core import inert

CONTEXTS = {
    "paragraph": "before {} after\n",
    "heading": "## Plan {}\n\nx\n",
    "list": "- a: {}\n- b: {}\n",
    "quote": "> a: {}\n",
}


def shape(page: Any) -> list[tuple[str, dict[str, str]]]:
    """Elements and attributes, without code, of which a text has none, one or several."""
    return [each for each in github_page.elements(page) if each != ("code", {})]


@pytest.mark.parametrize("name", CONTEXTS)
@given(text=hostile_text.text)
def test_E02_no_text_is_markdown(name: str, text: str) -> None:
    """In a line of Markdown a text is code: no element is its own, no name or link is outside."""
    context = CONTEXTS[name]
    page = github_page.of_markdown(context.replace("{}", inert.markdown(text)))
    plain = github_page.of_markdown(context.replace("{}", "`x`"))
    assert shape(page) == shape(plain)
    assert github_page.mentionable(page).split() == github_page.mentionable(plain).split()
    for code in github_page.texts(page, "code"):
        assert code == inert.one_line(text)


@given(text=hostile_text.text)
def test_E02_no_text_leaves_its_cell(text: str) -> None:
    """In a table it makes no other cell or row, and stands there whole."""
    row = f"| {inert.markdown(text, cell=True)} | last |"
    page = github_page.of_markdown(f"| a | b |\n| --- | --- |\n{row}\n{row}\n")
    cells = list(github_page.texts(page, "td"))
    assert [each.strip() for each in cells] == [inert.one_line(text).strip(), "last"] * 2
    assert github_page.mentionable(page).split() == ["a", "b", "last", "last"]
    assert {tag for tag, _ in shape(page)} == {
        *("html", "head", "body", "table", "thead", "tbody", "tr", "th", "td")
    }


@given(text=hostile_text.text)
def test_E02_no_text_ends_its_block(text: str) -> None:
    """Within `<details>` a block holds all of its text, and what follows is Markdown again."""
    block = inert.markdown_block(text, "diff")
    page = github_page.of_markdown(
        f"<details><summary>s</summary>\n\n{block}\n\n</details>\n\n**end**\n"
    )
    plain = github_page.of_markdown(
        "<details><summary>s</summary>\n\n```diff\nx\n```\n\n</details>\n\n**end**\n"
    )
    assert github_page.elements(page) == github_page.elements(plain)
    shown = inert.terminal(text)
    assert list(github_page.texts(page, "code")) == [
        shown if not shown or shown.endswith("\n") else f"{shown}\n"
    ]


@given(text=hostile_text.text)
def test_E02_no_text_is_html(text: str) -> None:
    """Between tags, in an attribute and as a block: the text, and nothing that it would add."""
    inside = inert.html(text)
    page = github_page.of_html(f'<p title="{inside}">{inside}</p>{inert.html_block(text)}')
    shown = inert.terminal(text)
    assert github_page.elements(page) == [
        *(("html", {}), ("head", {}), ("body", {})),
        *(("p", {"title": shown}), ("pre", {})),
    ]
    assert list(github_page.texts(page, "p")) == [shown]
    assert list(github_page.texts(page, "pre")) == [shown]


@pytest.mark.parametrize("name", ["markup", "markdown", "backticks"])
def test_E02_the_samples_are_markup_where_nothing_renders_them(name: str) -> None:
    """The same texts, put into the page as they are, add elements: the parser is no toy."""
    page = github_page.of_markdown(f"before\n\n{hostile_text.TEXTS[name]}\n")
    plain = github_page.of_markdown("before\n\nx\n")
    assert len(github_page.elements(page)) > len(github_page.elements(plain))


def test_E02_short_texts_read_well() -> None:
    """A code span as one would write it, with as many backticks as it takes."""
    assert inert.markdown("utils.py") == "`utils.py`"
    assert inert.markdown("a`b") == "``a`b``"
    assert inert.markdown("`a") == "`` `a ``"
    assert inert.markdown("a|b", cell=True) == "`a`<code>&#124;</code>`b`"
    assert inert.markdown("a\nb") == "`a\\nb`"
    assert inert.markdown("") == ""
    assert inert.markdown_block("a\n```\n", "text") == "````text\na\n```\n````"
