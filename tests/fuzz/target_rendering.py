"""The renderers of untrusted text, against what reads it where it is shown.

That is GitHub's Markdown, an HTML parser, and a model of how the runner of GitHub Actions reads.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, Protocol

import cmarkgfm
import html5lib
from cmarkgfm.cmark import Options

from runner.core import inert
from tests.fuzz.pieces import text_of

MAX_LENGTH = 160
TOKENS = (
    *(
        b"`",
        b"``",
        b"````",
        b"~~~",
        b"\n",
        b"\n\n",
        b"\t",
        b" ",
        b"    ",
        b"|",
        b"\\",
        b"\\|",
        b"*",
    ),
    *(b"</details>", b"<script>", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"&lt;", b"&", b'"', b"'"),
    *(b"<img src=x>", b"![x](y)", b"[x](javascript:y)", b"[x]: y", b"@octocat", b"#1", b"www.a.io"),
    *(b"https://a.io", b"a@b.io", b"\x1b[31m", b"\x1b]8;;x\x07", b"\r", b"\x08", b"\x9b", b"\0"),
    *(b"::", b":", b"set-env name=x::y", b"##[", b"##", b"#", b"[", b"add-mask]", b"%0A", b"\x04"),
    *(b"\xc2\xa0", b"\xe2\x80\xa8", b"\xe2\x80\xae", b"\xe2\x80\x8b", b"\xcc\x81", b"\xe3\x80\x80"),
    *(
        b"\xef\xb8\x8f",
        b"\xff",
        b"\xf0\x9f\x98\x80",
        b"- [ ] ",
        b"> ",
        b"1. ",
        b"---",
        b"^[",
        b"$x$",
    ),
)
_CUT = "\x04"
_SHOWN_CONTROLS = frozenset("\n\t")
_HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_OVERLOOKED = frozenset("MC")
_LIMIT = 40
_EXTENSIONS = ["table", "strikethrough", "autolink", "tasklist"]


class Renderers(Protocol):
    def terminal(self, text: str, *, limit: int = ...) -> str: ...

    def markdown(self, text: str, *, cell: bool = ..., limit: int = ...) -> str: ...

    def markdown_block(self, text: str, language: str = ..., *, limit: int = ...) -> str: ...

    def html(self, text: str, *, limit: int = ...) -> str: ...

    def html_block(self, text: str, *, limit: int = ...) -> str: ...

    def actions_log(self, text: str, *, limit: int = ...) -> str: ...


def check(data: bytes, *, renderers: Renderers = inert) -> None:
    """Whatever a text says, it is shown and does nothing, in each of the four places."""
    text = text_of(data)
    shown = renderers.terminal(text)
    _shows_no_control(shown)
    assert renderers.terminal(shown) == shown, "twice"
    assert len(renderers.terminal(text * 40, limit=_LIMIT)) <= _LIMIT
    _is_one_text(_page(text, renderers), _page("x", renderers), shown)
    _commands_nothing(renderers.actions_log(text))
    _commands_nothing(_logged(text.split(_CUT)))
    _is_the_same_json(text)


def _shows_no_control(shown: str) -> None:
    for character in shown:
        hidden = unicodedata.category(character) in _HIDDEN
        assert not hidden or character in _SHOWN_CONTROLS, "a control or hidden character"


def _page(text: str, renderers: Renderers) -> Any:
    """One page with the text in every context where it may stand."""
    line, cell = renderers.markdown(text), renderers.markdown(text, cell=True)
    block = renderers.markdown_block(text)
    document = (
        f"(({line}))\n\n- (({line}))\n\n| a | b |\n|---|---|\n| (({cell})) | c |\n\n"
        f"<details>\n<summary>s</summary>\n\n{block}\n\n</details>\n"
    )
    page = cmarkgfm.markdown_to_html_with_extensions(
        document, options=Options.CMARK_OPT_UNSAFE, extensions=_EXTENSIONS
    )
    inside = renderers.html(text)
    page += f'<p title="{inside}">(({inside}))</p>{renderers.html_block(text)}'
    return html5lib.parseFragment(page, namespaceHTMLElements=False)


def _is_one_text(page: Any, plain: Any, shown: str) -> None:
    """The page has the elements of one with a plain text, and the text in each of its places."""
    assert _elements(page) == _elements(plain), "an element of the text's own"
    line = shown.replace("\n", "\\n")
    texts = ["".join(each.itertext()) for each in _within(page, ("p", "li", "td", "pre"))]
    block = shown if not shown or shown.endswith("\n") else f"{shown}\n"
    told = [f"(({line}))", f"(({line}))", f"(({line.strip()}))", "c", block, f"(({shown}))", shown]
    assert [_trimmed(each) for each in texts] == [_trimmed(each) for each in told], "text"
    (attributes,) = [each.attrib for each in page.iter("p") if each.attrib]
    assert attributes == {"title": shown}


def _within(page: Any, names: tuple[str, ...]) -> Iterator[Any]:
    return (each for each in page.iter() if each.tag in names)


def _trimmed(text: str) -> str:
    """Markdown drops blanks beside code in a cell."""
    return re.sub(r"\(\(\s*|\s*\)\)", "", text)


def _elements(page: Any) -> list[tuple[str, tuple[str, ...]]]:
    """All but code, which a cell has in parts and an empty text not at all."""
    found = [(str(each.tag), tuple(each.attrib)) for each in page.iter()]
    return [each for each in found if each != ("code", ())]


def _commands_nothing(log: str) -> None:
    for line in re.split(r"\r\n|\r|\n", log):
        seen = "".join(each for each in line if not _is_overlooked(each))
        assert not seen.strip().startswith("::"), "a workflow command"
        assert "##[" not in seen, "a workflow command of the older kind"


def _is_overlooked(character: str) -> bool:
    """A comparison by language skips marks and what has no ink; a tab is a blank to it."""
    return character != "\t" and unicodedata.category(character)[0] in _OVERLOOKED


def _logged(pieces: list[str]) -> str:
    log = inert.ActionsLog()
    return "".join([*map(log.feed, pieces), log.finish()])


def _is_the_same_json(text: str) -> None:
    for ascii_only in (True, False):
        written = inert.json_text(json.dumps([text], ensure_ascii=ascii_only, indent=2))
        assert json.loads(written) == [text]
        _shows_no_control(written)
        _commands_nothing(written)
