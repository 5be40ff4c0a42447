"""Shell command lines, read as far as they are plain, and held against patterns of words.

A pattern is words: `*` and `?` stand within a word, `**` for any number of words. The answer
has three values: what only the shell can know (expansions, loops, scripts in quotes) may match.
Grammar: POSIX.1-2017, Shell Command Language, 2.2, 2.3 and 2.9; Bash Reference Manual, 3.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from runner.core import command_starters, globs
from runner.core.command_starters import UNKNOWN, is_steering
from runner.core.globs import Hit

_RESERVED = re.compile(
    r"!|\[\[|\]\]|\{|\}|case|coproc|do|done|elif|else|esac|fi|for|function|if|in|select|then|time"
    r"|until|while"
)
UNMATCHABLE = frozenset(";&|<>()$`'\"\\#")

_OPERATOR = re.compile(r"&&|\|\||\|&|;|\||&|\n")
_REDIRECTION = re.compile(r"&>>?|[<>]&|>>|>\||<>|<<<|<<-?|<|>")
# The shell drops a continuation before all else, so that one within a token would join its parts.
_BLANKS = re.compile(r"(?:[ \t]|(?<=[ \t])\\\n)+")
_NUMBER = re.compile(r"[0-9]{1,9}")
_VARIABLE = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]|\{[A-Za-z_][A-Za-z0-9_]*\})")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\+?=")
_ELEMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\[")
_EXPANDED = frozenset("*?[{}~")
# What would be expanded, but is left as it is where it stands alone.
_ALONE = frozenset({"[", "]", "{}"})


class _Unreadable(Exception):
    """The line has what this reader does not read."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """The words of one simple command; `plain` where it is nothing but known words."""

    words: tuple[str, ...]
    plain: bool


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """`trouble` says what could not be read; then anything may be among the commands."""

    text: str
    commands: tuple[Command, ...] = ()
    trouble: str = ""

    @property
    def plain(self) -> bool:
        return not self.trouble and all(each.plain for each in self.commands)


def read(text: str, *, variables: Iterable[str] = ()) -> CommandLine:
    """Read a command line that runs with these variables set; never raises."""
    steering = next(filter(is_steering, variables), None)
    if steering is not None:
        return CommandLine(text=text, trouble=f"its `env` has {steering}, which the shell runs")
    try:
        return CommandLine(text=text, commands=tuple(_Reader(text).commands()))
    except _Unreadable as error:
        return CommandLine(text=text, trouble=str(error))


def pattern_words(pattern: str) -> list[str]:
    """The words of a pattern, which blanks part as in a command line."""
    return [each for each in re.split(r"[ \t\n]", pattern) if each]


def hit(pattern: str, line: CommandLine) -> Hit:
    """YES where every command of the line surely matches, NO where none can, else MAYBE."""
    words = pattern_words(pattern)
    if line.plain and line.commands and all(_matches(words, each) for each in line.commands):
        return Hit.YES
    if line.trouble or any(_may_match(words, each) for each in line.commands):
        return Hit.MAYBE
    return Hit.NO


def _matches(pattern: Sequence[str], command: Command) -> bool:
    return globs.sequences_meet(pattern, command.words, literal=True)


def _may_match(pattern: Sequence[str], command: Command) -> bool:
    """Whether the command, or one that it may start, could match."""
    words = command.words
    based = [words[0].rpartition("/")[2], *words[1:]] if words else []
    if _overlaps(pattern, words) or _overlaps(pattern, based):
        return True
    return command_starters.may_start(pattern, words)


def _overlaps(pattern: Sequence[str], words: Sequence[str]) -> bool:
    return globs.sequences_meet(pattern, words, literal=False)


@dataclass
class _Building:
    """A simple command as far as it has been read."""

    words: list[str] = field(default_factory=list)
    plain: bool = True

    def add(self, word: str, *, raw: str, known: bool) -> None:
        """Take in a word; `raw` is how it is written, quotes and all."""
        if not self.words and _RESERVED.fullmatch(raw):
            raise _Unreadable(f"it has `{raw}`")
        if not self.words and (assigned := _ASSIGNMENT.match(raw)):
            if is_steering(assigned[1]):
                raise _Unreadable(f"it sets {assigned[1]}, which the shell may run")
            self.plain = False
            return
        self.words.append(word if known else UNKNOWN)
        self.plain = self.plain and known

    def done(self) -> Iterator[Command]:
        if self.words or not self.plain:
            words = tuple(self.words)
            plain = self.plain and not command_starters.runs_text(words)
            yield Command(words=words, plain=plain)


class _Reader:
    """Goes through a line once; `at` is the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def commands(self) -> Iterator[Command]:
        building = _Building()
        while self.at < len(self.text):
            if self._take(_BLANKS):
                continue
            redirection = self._take(_REDIRECTION)
            if redirection:
                self._redirect(redirection, building)
                continue
            operator = self._take(_OPERATOR)
            if operator:
                # what runs in the background may outlive its check
                building.plain = building.plain and operator != "&"
                yield from building.done()
                building = _Building()
                continue
            self._word_into(building)
        yield from building.done()

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            return ""
        self.at = match.end()
        return match.group()

    def _redirect(self, operator: str, building: _Building) -> None:
        if operator in {"<<", "<<-"}:
            raise _Unreadable("it has a here-document")
        building.plain = False
        self._take(_BLANKS)
        self._word()

    def _word_into(self, building: _Building) -> None:
        start = self.at
        if not building.words and _ELEMENT.match(self.text, start):
            raise _Unreadable("it sets an element of a variable")
        word, known = self._word()
        raw = self.text[start : self.at]
        if self.text[self.at : self.at + 1] in {"<", ">"}:
            if raw.startswith("{"):
                raise _Unreadable("it has a redirection with `{`")
            if _NUMBER.fullmatch(raw):
                return  # the number of a descriptor
            known = known and not raw.isdecimal()
        building.add(word, raw=raw, known=known or raw in _ALONE)

    def _word(self) -> tuple[str, bool]:
        """Read one word: its text, and whether that is what the command will get."""
        parts: list[str] = []
        known = True
        start = self.at
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t\n;|&<>":
                break
            if char in "()" or (char == "#" and self.at == start):
                raise _Unreadable(f"it has `{char}`")
            if char in _EXPANDED:
                known = False
            known = self._piece(char, parts) and known
        return "".join(parts), known

    def _piece(self, char: str, parts: list[str]) -> bool:
        """Read a quoted or plain piece of a word; False where the shell will expand it."""
        if char == "'":
            parts.append(self._single_quoted())
            return True
        if char == '"':
            return self._double_quoted(parts)
        if char == "$":
            return self._variable()
        if char == "`":
            raise _Unreadable("it has a backquote")
        if char == "\\":
            self.at += 1
            char = self.text[self.at : self.at + 1]
            if char in {"", "\n"}:
                raise _Unreadable("a backslash breaks a word")
        parts.append(char)
        self.at += 1
        return True

    def _single_quoted(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise _Unreadable("a quote is not closed")
        inside = self.text[self.at + 1 : end]
        self.at = end + 1
        return inside

    def _double_quoted(self, parts: list[str]) -> bool:
        known = True
        self.at += 1
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == '"':
                self.at += 1
                return known
            if char == "`":
                raise _Unreadable("it has a backquote")
            if char == "$":
                known = self._variable(quoted=True) and known
                continue
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in {*'$`"\\\n'}:
                self.at += 1
                char = self.text[self.at].replace("\n", "")
            parts.append(char)
            self.at += 1
        raise _Unreadable("a quote is not closed")

    def _variable(self, *, quoted: bool = False) -> bool:
        if self._take(_VARIABLE):
            return False
        following = self.text[self.at + 1 : self.at + 2]
        if following in {"(", "{", "["} or (following in {"'", '"'} and not quoted):
            raise _Unreadable(f"it has `${following}`")
        self.at += 1
        return False
