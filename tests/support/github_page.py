"""What a browser makes of Markdown and HTML: GitHub's own parser, then that of the standard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cmarkgfm
import html5lib
from cmarkgfm.cmark import Options

EXTENSIONS = ["table", "strikethrough", "autolink", "tasklist"]


def of_markdown(text: str) -> Any:
    """The tree that GitHub's parser gives, before anything is cleaned away."""
    return of_html(
        cmarkgfm.markdown_to_html_with_extensions(
            text, options=Options.CMARK_OPT_UNSAFE, extensions=EXTENSIONS
        )
    )


def of_html(text: str) -> Any:
    return html5lib.parse(text, namespaceHTMLElements=False)


def elements(page: Any) -> list[tuple[str, dict[str, str]]]:
    return [(str(each.tag), dict(each.attrib)) for each in page.iter()]


def texts(page: Any, tag: str) -> Iterator[str]:
    return ("".join(each.itertext()) for each in page.iter(tag))


def mentionable(page: Any) -> str:
    """All text outside of code, in which GitHub looks for names, numbers and links."""
    found: list[str] = []

    def walk(node: Any) -> None:
        if node.tag not in {"code", "pre"}:
            found.append(node.text or "")
            for each in node:
                walk(each)
                found.append(each.tail or "")

    walk(page)
    return "".join(found)
