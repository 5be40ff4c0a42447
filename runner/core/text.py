"""What a reviewer cannot see, or may mistake for something else, in a text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_CANDIDATES = re.compile(r"[^\n\t -~]")
_NON_ASCII = re.compile(r"[^\x00-\x7f]")

_WORD = re.compile(r"\w+")
_ASCII_LETTER = re.compile(r"[A-Za-z]")
# How names of letters begin that are drawn like Latin ones: a summary of Unicode's confusables.txt.
_LIKE_LATIN = (
    *("ARMENIAN", "CANADIAN SYLLABICS", "CARIAN", "CHEROKEE", "COPTIC", "CYRILLIC", "DESERET"),
    *("FULLWIDTH", "GREEK", "LATIN LETTER SMALL CAPITAL", "LATIN SMALL LETTER ALPHA"),
    *("LATIN SMALL LETTER SCRIPT G", "LISU", "LYCIAN", "LYDIAN", "MATHEMATICAL", "OLD ITALIC"),
    *("OSAGE", "WARANG CITI"),
)
# Letters of scripts in common use that nobody tells from a Latin one: a word may be made of them.
_DRAWN_ALIKE: Mapping[str, frozenset[str]] = {
    "ARMENIAN": frozenset("ՍՏԼՕգհոսօցքզյ"),
    "CYRILLIC": frozenset("АВЕЅІЈКМНОРСТУХЬҮԌԚԜӀаеосрухѕіјһԁԛԝѵүӏ"),
    "GREEK": frozenset("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαγικνορυχ"),
}

_NAMELESS = {
    "Cc": "CONTROL CHARACTER",
    "Cn": "UNASSIGNED CHARACTER",
    "Co": "PRIVATE USE CHARACTER",
    "Cs": "SURROGATE",
}
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})

# Letters and marks that Unicode calls Default_Ignorable: they take no ink, so code and hidden
# messages to a model have been smuggled in them.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    + "".join(map(chr, range(0xFE00, 0xFE10)))
    + "".join(map(chr, range(0xE0100, 0xE01F0))),
)
_PRESENTATION_SELECTORS = "\ufe0e\ufe0f"
_SYMBOLS_OUTSIDE_SYMBOL_CATEGORIES = "\u203c\u2049\u2139\u3030"


@dataclass(frozen=True)
class Character:
    """One character of a text; `offset` counts characters from 0."""

    offset: int
    code_point: int
    name: str


def hidden_characters(text: str) -> tuple[Character, ...]:
    """Find controls (except line feed and tab), format, private, unassigned and inkless ones."""
    return tuple(find_hidden(text))


def find_hidden(text: str) -> Iterator[Character]:
    """Yield hidden characters one by one, for texts that may be full of them."""
    for match in _CANDIDATES.finditer(text):
        if _is_hidden(text, match.start()):
            yield _character(text, match.start())


def unusual_characters(text: str) -> tuple[Character, ...]:
    """Find every character outside ASCII, so that a Cyrillic letter in a host shows its name."""
    return tuple(_character(text, match.start()) for match in _NON_ASCII.finditer(text))


def mixed_letters(text: str) -> Iterator[Character]:
    """Yield letters of scripts that look like Latin ones, in words that have ASCII letters too."""
    for word in _WORD.finditer(text):
        if _NON_ASCII.search(word.group()) and _ASCII_LETTER.search(word.group()):
            for match in _NON_ASCII.finditer(word.group()):
                found = _character(text, word.start() + match.start())
                if found.name.startswith(_LIKE_LATIN):
                    yield found


def confusable_characters(text: str) -> Iterator[Character]:
    """Yield letters that may pass for Latin ones: in mixed words, whole words, and as variants."""
    mixed = {each.offset for each in mixed_letters(text)}
    for match in _NON_ASCII.finditer(text):
        if match.start() in mixed or _is_variant(match.group()):
            yield _character(text, match.start())
    for word in _disguised_words(text):
        yield from (_character(text, word.start() + n) for n in range(len(word.group())))


def _is_variant(letter: str) -> bool:
    """Whether it is a Latin letter or digit in a dress: wide, bold, joined, a Roman number."""
    if unicodedata.category(letter) not in {"Ll", "Lu", "Nd", "Nl"}:
        return False
    plain = unicodedata.normalize("NFKC", letter)
    return plain.isascii() and plain.isalnum()


def _disguised_words(text: str) -> Iterator[re.Match[str]]:
    """Find words of look-alikes alone, of a script in which the text says nothing else."""
    words = [word for word in _WORD.finditer(text) if not _ASCII_LETTER.search(word.group())]
    for script, alike in _DRAWN_ALIKE.items():
        own = [word for word in words if _name(word.group()[0]).startswith(script)]
        if all(alike.issuperset(word.group()) for word in own):
            yield from (word for word in own if len(word.group()) > 1)


def _name(character: str) -> str:
    return unicodedata.name(character, "")


def visible(text: str) -> str:
    r"""Write each hidden character as `\x1b`, `\u202e` or `\U000e0041`."""
    return _CANDIDATES.sub(_escaped_if_hidden, text)


def _escaped_if_hidden(match: re.Match[str]) -> str:
    if not _is_hidden(match.string, match.start()):
        return match.group()
    code_point = ord(match.group())
    if code_point <= 0xFF:
        return f"\\x{code_point:02x}"
    return f"\\u{code_point:04x}" if code_point <= 0xFFFF else f"\\U{code_point:08x}"


def _is_hidden(text: str, offset: int) -> bool:
    character = text[offset]
    if character in _PRESENTATION_SELECTORS:
        return not _is_symbol(text[offset - 1 : offset])
    return character in _INVISIBLE or unicodedata.category(character) in _HIDDEN_CATEGORIES


def _is_symbol(character: str) -> bool:
    """Tell whether emoji presentation can apply; else a selector carries only a hidden bit."""
    if not character or character.isascii():
        return False
    return (
        unicodedata.category(character) in {"So", "Sm"}
        or character in _SYMBOLS_OUTSIDE_SYMBOL_CATEGORIES
    )


def _character(text: str, offset: int) -> Character:
    character = text[offset]
    kind = _NAMELESS.get(unicodedata.category(character), "CHARACTER")
    name = unicodedata.name(character, f"{kind} U+{ord(character):04X}")
    return Character(offset, ord(character), name)
