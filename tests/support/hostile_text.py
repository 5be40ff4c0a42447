"""Texts that speak to what shows them, and what must never come out of us."""

from __future__ import annotations

import unicodedata

from hypothesis import strategies as st

TEXTS = {
    "colour": "\x1b[31mred\x1b[8m",
    "link": "\x1b]8;;http://x\x07y\x1b]8;;\x07",
    "clipboard": "\x1b]52;c;cHduZWQ=\x07",
    "overwritten": "safe\rrm -rf\x08\x08",
    "one byte": "\x9b2J\x90q\x9c",
    "bidi": "a\u202egpj.exe\u2066b",
    "unseen": "g\u200bi\u2060t\U000e0041\ufe0f\u00ad",
    "line ends": "a\u2028b\u2029c\x85d\x0be",
    "lone": "\ud800x\udc00",
    "markup": "</details><script>alert(1)</script><img src=x onerror=alert(1)>",
    "quotes": "\" onload='x' <!-- --> ]]> &lt; &#60;",
    "backticks": "`a``b```c\n~~~\n````",
    "markdown": "![i](http://x) [l](javascript:x) @octocat #1 GH-1 www.a.io https://a.io a@b.io",
    "cells": "a|b\\|c\n|---|\n| x |",
    "command": "::set-env name=PATH::/tmp",
    "spaced": "\u00a0\t\u3000\u2003::add-mask::x",
    "marked": "\u0591:\u0301:set-output name=x::y",
    "stop": "x\n::stop-commands::pause\n\r::error::no",
    "older": "say ##[set-env name=x]y ###[add-path]z #\u0301#\u0591[error]",
}
ALLOWED = frozenset("\n\t")

_PIECES = st.sampled_from(
    [*TEXTS.values(), "::", ":", "#", "##", "[", "]", "`", "|", "\\", "\n", " ", "<", ">", "&"]
)
text = st.lists(
    st.one_of(_PIECES, st.text(st.characters(exclude_categories=[]), max_size=8)), max_size=8
).map("".join)


def controls(shown: str) -> list[str]:
    """Characters that a terminal would obey, or that nobody sees."""
    hidden = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
    return [each for each in shown if unicodedata.category(each) in hidden and each not in ALLOWED]
