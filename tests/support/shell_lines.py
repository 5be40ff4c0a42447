"""Generated command lines: plain ones whose words are known, and nasty ones of every kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from hypothesis import strategies as st
from shell_oracle import RECORDED, Argv

# A word that can stand in a pattern as it is.
BARE: Final = re.compile(r"[^\s*?;&|<>()$`'\"\\#]+")
_SAFE: Final = re.compile(r"[A-Za-z0-9_./,:@%+-]+")
_NAMES: Final = (*RECORDED, "a b", "$x", "if", "{", "[x", "A=1", "#c", "~", "*", "é", "it's", "\\")
_WORDS: Final = (
    *("x", "-c", "A=1", "a b", "'", '"', "\\", "$x", "`y`", "", "*", "{a,b}", "~", "[a]", "#", "é"),
    *("a\nb", ";", "&&", ">f", "1", "done", "!", "\t", "{}", "[", "]", "a\\", "$(alpha)", "\\n"),
)


def _single(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def _double(word: str) -> str:
    return '"' + re.sub(r'([$`"\\])', r"\\\1", word) + '"'


def _escaped(word: str) -> str:
    return re.sub(r"(.)", r"\\\1", word) if word and "\n" not in word else _double(word)


def _halves(word: str) -> str:
    middle = len(word) // 2
    return _single(word[:middle]) + _double(word[middle:])


def _bare(word: str) -> str:
    return word if _SAFE.fullmatch(word) and word != "if" else _single(word)


_QUOTINGS: Final[tuple[Callable[[str], str], ...]] = (_single, _double, _escaped, _halves, _bare)
_quotings = st.sampled_from(_QUOTINGS)
_gaps = st.sampled_from([" ", "  ", "\t", " \\\n", " \t \\\n\t"])


@st.composite
def _plain_command(draw: st.DrawFn) -> tuple[str, Argv]:
    name = draw(st.sampled_from(_NAMES))
    argv = (name, *draw(st.lists(st.sampled_from(_WORDS), max_size=4)))
    text = draw(_quotings)(name)
    for word in argv[1:]:
        text += draw(_gaps) + draw(_quotings)(word)
    return text, argv


@st.composite
def plain_chains(draw: st.DrawFn) -> tuple[str, list[Argv], int]:
    """A line, the commands it is made of, and the exit status with which all of them run."""
    status = draw(st.sampled_from([0, 1]))
    follow = [";", " ; ", "\n", "\n\n", " | ", "|", "|&", " & ", "&", "&&" if status == 0 else "||"]
    commands = draw(st.lists(_plain_command(), min_size=1, max_size=4))
    line = commands[0][0]
    for text, _ in commands[1:]:
        line += draw(st.sampled_from(follow)) + text
    return (
        line + draw(st.sampled_from(["", " ", "\n", ";", " &"])),
        [a for _, a in commands],
        status,
    )


# A command that starts, holds or hides others: `@c` is a command, `@l` a line, `@q` one in quotes.
_SHAPES: Final = (
    *("@c", "@c @c", "@c $x", '@c "$x"', "@c *", "@c {a,b}", "@c ~", "@c [ ]", "@c #c", "#c\n@c"),
    *("A=1 @c", 'A="x y" @c', "A=1 B=2 @c", "A=$x @c", "A+=b @c", "A[0]=1 @c", "A[1 2]=3 @c"),
    *("A[1;2]=3 @c", "A=(1 2) @c", ">f @c", "@c 2>&1", "@c >|f", "@c &>f", "@c >>f", "@c <<<w"),
    *("@c {fd}>f", "{fd}>f @c", "@c 12345678901>f", "@c 2>f", "@c <>f", "@c 3<&0", "@c >& f"),
    *("<<E @c\n@l\nE\n@c", "<\\\n<E @c\nit's\nE\n@c '", "@c >\\\n>f", "@c |\\\n| @c"),
    *("if @c; then @c; fi", "i\\\nf @c; then @c; fi", "! @c", "time @c", "{ @l; }", "(@l)"),
    *("for i in alpha beta; do $i; done", "f() { @c; }; f", "coproc @c", "al\\\npha x", "\\if @c"),
    *("while @c; do @c; break; done", "case x in x) @c;; esac", "[[ x ]] && @c", "[ x ] && @c"),
    *("@c $(@l)", '@c "$(@c)"', "@c `@c`", '@c "`@c`"', "@c <(@c)", "@c $'alpha\\n'", '@c $"x"'),
    *("@c $((1))", "@c ${x:-$(@c)}", "${x:=alpha} y", "x=alpha\n$x z", "x=@q\n$x", "x=@q;eval $x"),
    *("eval @q", "eval @c", "trap @q EXIT", "trap alpha EXIT", "trap beta DEBUG; @c", "\\eval @q"),
    *("bash -c @q", "sh -c @q", "echo @q | bash", "echo @q | bash -s x", "echo @q | xargs"),
    *(
        "echo @q | xargs env",
        "echo alpha | xargs -I% % x",
        "echo @q | bash /dev/stdin",
        "bash <<<@q",
    ),
    *("env @c", "env A=1 @c", "env -S@q", "env -S @q", "timeout 5 @c", "nice -n 1 @c", "nohup @c"),
    *("xargs @c", "xargs -n1 @c", "find . -maxdepth 0 -exec @c \\;", "find . -exec @c {} +"),
    *(
        "command @c",
        "builtin eval @c",
        "exec @c",
        "exec -a beta @c",
        "command eval @q",
        "jobs -x @c",
    ),
    *("shopt -s expand_aliases; alias gamma=@q\ngamma t", "set -k\n@c A=1 y", "set -eu; @c"),
    *("PS4='$(@c)'; set -x; @c", "RANDOM='a[$(@c)]'", "OPTIND='a[$(@c)]' @c", "read x <<< @q; $x"),
    *(
        "x='a[$(@c)]'; test -v \"$x\"",
        "x='a[$(@c)]'; let y=x",
        "unset 'a[$(@c)]'",
        "[ -v 'a[$(@c)]' ]",
    ),
    *("printf -v 'a[$(@c)]' x", "printf -v OPTIND 'a[$(@c)]'", "export RANDOM='a[$(@c)]'"),
    *("x='a[$(@c)]'; declare -i y=$x", "true & wait -n -p 'a[$(@c)]'", 'set -- @c; "$@"', "$@ @c"),
)
_JOINTS: Final = (*(";", " ; ", "\n", " && ", " || ", " | ", "|&", " & ", "&&", "\\\n"), " \\\n")
_PIECES: Final = (
    *RECORDED,
    *(f"{name} " for name in RECORDED),
    *_JOINTS,
    *(
        " ",
        "\t",
        "\\",
        "'",
        '"',
        "`",
        "$",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "#",
        "~",
        "*",
        "!",
        "<",
        ">",
    ),
    *(
        "$(",
        "${",
        "$'",
        '$"',
        "$x",
        "'a b'",
        '"a b"',
        "A=1 ",
        "2>&1 ",
        ">f ",
        "<<E\n",
        "E\n",
        "\\;",
    ),
    *("if ", "then ", "fi", "eval ", "env ", "timeout 5 ", "bash -c ", "xargs ", "trap ", "exec "),
    *("echo alpha x | ", "x=alpha\n", "é", "\u00a0", "\r", "\x0b", "-", "=", "9>f", "\\\n", "{}"),
)


@st.composite
def _line(draw: st.DrawFn, depth: int) -> str:
    parts = draw(st.lists(_command(depth), min_size=1, max_size=3))
    return parts[0] + "".join(draw(st.sampled_from(_JOINTS)) + each for each in parts[1:])


@st.composite
def _command(draw: st.DrawFn, depth: int) -> str:
    if depth == 0:
        return draw(_plain_command())[0]
    shape = draw(st.sampled_from(_SHAPES))
    shape = re.sub("@c", lambda _: draw(_command(depth - 1)), shape)
    shape = re.sub("@l", lambda _: draw(_line(depth - 1)), shape)
    return re.sub("@q", lambda _: draw(_quotings)(draw(_line(depth - 1))), shape)


def chains() -> st.SearchStrategy[str]:
    """Lines of commands that start, hold and hide others."""
    return _line(2)


def soups() -> st.SearchStrategy[str]:
    """Lines of whatever pieces, mostly without sense."""
    return st.lists(st.sampled_from(_PIECES), min_size=1, max_size=12).map("".join)
