"""Commands that people write in comments: `/planlock run`, on the first line and nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Verb = Literal["run", "cancel", "status", "cost", "help"]
VERBS: Final[tuple[Verb, ...]] = ("run", "cancel", "status", "cost", "help")
OPTIONS: Final = frozenset({"--retry", "--skip", "--new"})
HELP: Final = """\
| command | what it does |
| --- | --- |
| `/planlock run` | goes on with the plan's run, or starts it; asks for every approval again |
| `/planlock run --retry` | does the failed or interrupted step once more |
| `/planlock run --skip` | leaves the next step out; later ones then need approvals that say so |
| `/planlock run --new` | starts another run after one that has ended |
| `/planlock cancel` | ends the run |
| `/planlock status` | tells what is missing |
| `/planlock cost` | tells what it cost so far |
| `/planlock help` | shows this |

On the first line of a new comment, by people who may write here."""
_START: Final = re.compile(r"/planlock(?![\w-])")


@dataclass(frozen=True, kw_only=True)
class Command:
    verb: Verb
    options: frozenset[str] = frozenset()


def is_meant(body: str) -> bool:
    """Whether a comment's first line is addressed to planlock."""
    return _START.match(_first(body)) is not None


def parse(body: str) -> Command | str:
    """The command on a comment's first line, or what is wrong with it."""
    words = _first(body).split()[1:]
    if not words:
        return "no command is named"
    verb = next((each for each in VERBS if each == words[0]), None)
    if verb is None:
        return "there is no such command"
    options = frozenset(words[1:])
    if (options and verb != "run") or not options <= OPTIONS:
        return f"/planlock {verb} does not take that"
    if len(options) > 1:
        return "one option at a time"
    return Command(verb=verb, options=options)


def _first(body: str) -> str:
    """The very first line: what is quoted, indented or in a comment of HTML does not start so."""
    return body.split("\n", 1)[0].rstrip("\r ")
