"""Which YAML scalars mean the same to every parser, and why the others do not.

The rules follow the YAML 1.1 and 1.2 schemas, and what PyYAML, libyaml, ruamel.yaml, js-yaml, yaml
for JavaScript, go-yaml and Psych were seen or are documented to read differently.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from runner.core.canonical import MAX_INTEGER
from runner.core.text import find_hidden, visible

_TYPED_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_AMBIGUOUS_WORDS = frozenset(
    {
        *("true", "false", "yes", "no", "on", "off", "y", "n"),
        *("null", "~"),
    }
)
# All that has another meaning than its letters, or may have, and begins with a letter.
_WORDS = _AMBIGUOUS_WORDS | {"inf", "infinity", "nan"}
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_NUMBER = re.compile(
    r"""[-+]?(?:
        0[bB][01_,]+ | 0[oO][0-7_,]+ | 0[xX][0-9a-fA-F_,]+
      | [0-9][0-9_,]* (?: \.[0-9_,]* )? (?: [eE][-+]?[0-9_]+ )?
      | \.[0-9_,]* (?: [eE][-+]?[0-9_]+ )?
      | [0-9][0-9_,]* (?: :[0-5]?[0-9] )+ (?: \.[0-9_]* )?
      | \.?(?i: inf | infinity | nan )
    )""",
    re.VERBOSE,
)
_TIMESTAMP = re.compile(
    r"-?[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]| +)[0-9]{1,2}:[0-9][0-9:.+\-Zz ]*)?",
)
# libyaml also takes tabs, and comments without a blank before them.
_BLOCK_HEADER = re.compile(r"[|>](?:[1-9][-+]?|[-+][1-9]?)? *(?: #.*)?")
_TAB_FIRST = re.compile(r"(?: *\n)* *\t")
_BLANK_LAST_LINE = re.compile(r"\n[ \t]+\n*\Z")
_UNCLEAR_LINE_END = re.compile(r"[ \t]\n|\\\n[ \t]*\n")
_MAX_DIGITS = len(str(MAX_INTEGER))
_SHOWN = 40
_ON_ONE_LINE = str.maketrans({"\n": "\\n", "\t": "\\t"})


class Flaw(NamedTuple):
    """Why a scalar is refused, without its place."""

    code: str
    message: str
    fix: str


def plain_flaw(plain: str, *, in_flow: bool = False) -> Flaw | None:
    """Say why a plain scalar is refused; None when it has one meaning."""
    if in_flow and "?" in plain:
        message = "YAML parsers disagree on ? between brackets"
        return Flaw("flow_question_mark", message, f"quote it: {shown(plain)}")
    if not plain:
        return Flaw("empty_value", "a value is missing", 'write null, "" or a value')
    if plain in _TYPED_WORDS:
        return None
    if _INTEGER.fullmatch(plain):
        return None if _in_range(plain) else _out_of_range(plain)
    return None if _is_word(plain) else _ambiguity(plain)


def plain_value(plain: str) -> str | int | bool | None:
    """Give the value of a plain scalar that has no flaw."""
    if plain in _TYPED_WORDS:
        return _TYPED_WORDS[plain]
    return int(plain) if _INTEGER.fullmatch(plain) else plain


def has_one_meaning(plain: str) -> bool:
    """Tell whether a plain scalar is the text as it is written, to every parser."""
    return _is_word(plain) or (plain_flaw(plain) is None and plain_value(plain) == plain)


def _is_word(plain: str) -> bool:
    return plain.isascii() and plain[:1].isalpha() and plain.lower() not in _WORDS


def quoted_flaw(source: str, value: str, *, indent: int) -> Flaw | None:
    """Say why a scalar in quotes is refused; its lines must be deeper than column `indent`."""
    if any(_column(line) <= indent for line in source.split("\n")[1:] if line.strip()):
        message = "YAML parsers disagree on a line in quotes that is not indented"
        return Flaw("quoted_indentation", message, "indent the line")
    if _UNCLEAR_LINE_END.search(source):
        message = "YAML parsers disagree on a blank or backslash before a line end in quotes"
        return Flaw("quoted_line_end", message, "write the text on one line, with \\n")
    hidden = next(find_hidden(value), None)
    if hidden is None:
        return None
    message = f"an escape hides {hidden.name} (U+{hidden.code_point:04X})"
    return Flaw("hidden_character", message, "remove the escape")


def block_flaw(source: str, *, style: str, value: str) -> Flaw | None:
    """Say why a literal or folded block is refused; `source` is how it is written."""
    header, _, content = source[source.index(style) :].partition("\n")
    if not _BLOCK_HEADER.fullmatch(header):
        message = f"YAML parsers disagree on the block header {shown(header)}"
        return Flaw("block_header", message, "write | or |- and put comments above")
    if _TAB_FIRST.match(content) or not value.strip():
        message = "YAML parsers disagree on a text block that begins with a tab or is blank"
        return Flaw("block_start", message, "put the text into double quotes")
    if _BLANK_LAST_LINE.search(value):
        message = "YAML parsers disagree on a text block whose last line has only blanks"
        return Flaw("block_end", message, "remove the blanks, or put the text into quotes")
    return None


def shown(text: str) -> str:
    """Quote the start of a text from a document, harmless for a terminal."""
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return f'"{visible(cut).translate(_ON_ONE_LINE)}"'


def _ambiguity(plain: str) -> Flaw | None:
    if plain in {"<<", "="}:
        message = f"{shown(plain)} has a special meaning in YAML 1.1"
        return Flaw("merge_key", message, _in_quotes(plain))
    if plain.lower() in _AMBIGUOUS_WORDS:
        message = f"{shown(plain)} means different things to different YAML parsers"
        fix = f"{_in_quotes(plain)}, or write true, false or null"
        return Flaw("ambiguous_word", message, fix)
    if _NUMBER.fullmatch(plain):
        message = f"some YAML parsers read {shown(plain)} as a number"
        fix = f"{_in_quotes(plain)}, or write a plain decimal integer"
        return Flaw("ambiguous_number", message, fix)
    if _TIMESTAMP.fullmatch(plain):
        message = f"some YAML parsers read {shown(plain)} as a date"
        return Flaw("timestamp", message, _in_quotes(plain))
    if plain == "-" or plain.startswith((":", "---", "...")):
        message = f"some YAML parsers read {shown(plain)} as a symbol or a marker"
        return Flaw("ambiguous_word", message, _in_quotes(plain))
    return None


def _in_quotes(plain: str) -> str:
    return f"quote it: {shown(plain)}"


def _in_range(digits: str) -> bool:
    return len(digits.lstrip("-")) <= _MAX_DIGITS and abs(int(digits)) <= MAX_INTEGER


def _out_of_range(digits: str) -> Flaw:
    message = f"the integer {shown(digits)} is outside ±(2^53-1), where parsers round"
    return Flaw("integer_out_of_range", message, "quote it, or write a smaller integer")


def _column(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
