"""Commands that start others: what the words of one do not show at once, or do not show at all.

Only what the shell, or a common starter, is told to start counts. A program that starts others
by itself (make, an interpreter) is judged by its own words alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from runner.core import globs

# A word whose text, and number, only the shell will know: it meets any words.
UNKNOWN = "**"
# Variables that the shell computes or expands; computing runs what stands in brackets:
# `RANDOM='a[$(reboot)]'` reboots.
_STEERING = re.compile(
    r"BASH\w*|COPROC|DIRSTACK|ENV|EPOCH\w+|FUNCNAME|GROUPS|HISTCMD|LINENO|OPTIND|POSIXLY_CORRECT"
    r"|PROMPT_COMMAND|PS4|RANDOM|SECONDS|SHELLOPTS|SRANDOM"
)
# Parts of the shell that run text, compute, or change what later words mean.
_RUNS_TEXT = re.compile(
    r"alias|bind|compgen|complete|declare|enable|eval|fc|hash|history|jobs|let|local|mapfile"
    r"|readarray|trap|typeset"
)
# Parts of the shell that take the name of a variable and compute what stands in brackets behind it.
_TAKES_NAMES = re.compile(r"\[|export|getopts|printf|read|readonly|test|unset|wait")
_SETS_OPTIONS = re.compile(r"set|shopt")
_HARMLESS_OPTION = re.compile(
    r"[-+][Cefnuv]*o?|errexit|noclobber|noglob|nounset|pipefail|verbose|[-+][qsu]+|\w*glob\w*"
)
_SHELL = re.compile(r"(?:a|ba|c|da|fi|k|mk|pdk|rba|tc|ya|z)?sh|elvish|nu|pwsh|xonsh")
_SCRIPT = re.compile(r"(?![-+])(?!.*(?:dev|proc)/)(?!stdin$|[0-9]+$).+")
# They start a shell, or take text for one, or words from elsewhere.
_ANYTHING = re.compile(
    r"at|batch|busybox|bwrap|capsh|choom|chroot|coreutils|crontab|doas|docker|dpkg-architecture"
    r"|entr|expect|fakeroot|firejail|gdb|gosu|kubectl|ld-linux.*|ld\.so|linux32|linux64|lldb"
    r"|ltrace|newgrp|nsenter|parallel|pkexec|podman|proot|run-parts|run0|runuser|screen|script"
    r"|setarch|sg|ssh|ssh-agent|start-stop-daemon|strace|su|sudo|systemd-run|tmux|toybox"
    r"|unbuffer|unshare|valgrind|watch"
)
_STARTER = re.compile(
    r"chrt|env|find|flock|ionice|nice|nohup|prlimit|setpriv|setsid|stdbuf|taskset|time|timeout"
    r"|xargs"
)
_WITHIN_SHELL = frozenset({"builtin", "command", "exec"})
_READS_FILE = frozenset({".", "source"})
_ADDS_WORDS = frozenset({"find", "xargs"})
_PLACE = "{}"
# Options with which a starter does more than start the words that follow.
_STRANGE_OPTION = {
    "env": re.compile(r"-(?!$|-$|[iu]$).*"),
    "exec": re.compile(r"-.*"),
    "flock": re.compile(r"-c.*|--c.*"),
    "xargs": re.compile(r"-[^-]*[IiJ].*|--rep.*"),
}
_MANY = 16


def is_steering(variable: str) -> bool:
    """Whether the shell may run the value of a variable."""
    return _STEERING.fullmatch(variable) is not None


def runs_text(words: Sequence[str]) -> bool:
    """Whether the shell itself may run what stands in the words of a command."""
    return bool(words) and (words[0] in _WITHIN_SHELL or _computes(words[0], words[1:]))


def may_start(pattern: Sequence[str], words: Sequence[str]) -> bool:
    """Whether a command of these words may start another one that matches the pattern."""
    if not words:
        return False
    name, arguments = _base(words[0]), words[1:]
    if words[0] == UNKNOWN or _ANYTHING.fullmatch(name) or _computes(name, arguments):
        return True
    if _SHELL.fullmatch(name):
        return not _runs_file(arguments) or _begins(pattern, arguments)
    if words[0] in _READS_FILE and not _runs_file(arguments):
        return True
    if not _STARTER.fullmatch(name) and words[0] not in _WITHIN_SHELL | _READS_FILE:
        return False
    return _may_start_anything(name, arguments) or _is_told_to_start(pattern, arguments)


def _base(word: str) -> str:
    return word.rpartition("/")[2]


def _runs_file(arguments: Sequence[str]) -> bool:
    """Whether a shell with these arguments runs a script in a file, which has words of its own."""
    return bool(arguments) and arguments[0] != UNKNOWN and bool(_SCRIPT.fullmatch(arguments[0]))


def _computes(name: str, arguments: Sequence[str]) -> bool:
    if _SETS_OPTIONS.fullmatch(name):
        return not all(_HARMLESS_OPTION.fullmatch(each) for each in arguments)
    if _TAKES_NAMES.fullmatch(name):
        return any(_is_computed(each) for each in arguments)
    return _RUNS_TEXT.fullmatch(name) is not None


def _is_computed(word: str) -> bool:
    return (
        word == UNKNOWN
        or not {"[", "("}.isdisjoint(word)
        or is_steering(re.split(r"\+?=", word)[0])
    )


def _may_start_anything(name: str, arguments: Sequence[str]) -> bool:
    strange = _STRANGE_OPTION.get(name)
    if UNKNOWN in arguments or (strange and any(map(strange.fullmatch, arguments))):
        return True
    if name in _WITHIN_SHELL and _computes_within(arguments):
        return True
    return any(_starts_more(name, _base(each), after) for each, after in pairwise([*arguments, ""]))


def _computes_within(arguments: Sequence[str]) -> bool:
    """Whether one of these may be a part of the shell that computes with those behind it."""
    computed = any(_is_computed(each) for each in arguments)
    return any(
        _RUNS_TEXT.fullmatch(each)
        or _SETS_OPTIONS.fullmatch(each)
        or (computed and _TAKES_NAMES.fullmatch(each))
        for each in arguments
    )


def _starts_more(starter: str, name: str, after: str) -> bool:
    """Whether what a starter starts may start in turn what nobody can see."""
    reads = _SHELL.fullmatch(name) or (starter in _WITHIN_SHELL and name in _READS_FILE)
    if _ANYTHING.fullmatch(name) or (reads and not _runs_file([after])):
        return True
    if starter not in _ADDS_WORDS:
        return False
    is_command = name.startswith(("-exec", "-ok")) and _PLACE in after
    return is_command or bool(_STARTER.fullmatch(name) or _SHELL.fullmatch(name))


def _is_told_to_start(pattern: Sequence[str], arguments: Sequence[str]) -> bool:
    starts = [at for at, each in enumerate(arguments) if _begins(pattern[:1], [each])]
    named = [UNKNOWN if _PLACE in each else each for each in arguments]
    return len(starts) > _MANY or any(_begins(pattern, named[at:]) for at in starts)


def _begins(pattern: Sequence[str], words: Sequence[str]) -> bool:
    """Whether the pattern could match these words, some of them, or more."""
    return any(
        globs.sequences_meet([*pattern, UNKNOWN], each, literal=False)
        or globs.sequences_meet(pattern, [*each, UNKNOWN], literal=False)
        for each in (words, [_base(words[0]), *words[1:]])
    )
