"""Command lines as runner/core/command_line.py reads them, held against what bash really does."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shell_lines import BARE, chains, plain_chains, soups
from shell_oracle import STARTERS, Argv, Shell

from runner.core.command_line import hit, pattern_words, read
from runner.core.globs import Hit

EXAMPLES = int(os.environ.get("PLANLOCK_TEST_EXAMPLES", "60"))
steady = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)

# Parts of the shell that run text.
RUN_TEXT = (
    *("alias", "bind", "compgen", "complete", "declare", "enable", "eval", "fc", "history", "jobs"),
    *("let", "local", "mapfile", "readarray", "trap", "typeset"),
)
# Programs that run text, or start what comes from elsewhere.
RUN_ANYTHING = (
    *("ash", "at", "bash", "batch", "busybox", "chroot", "crontab", "csh", "dash", "doas"),
    *("docker", "entr", "expect", "fakeroot", "fish", "gdb", "ksh", "kubectl", "ld.so", "linux64"),
    *("ld-linux-x86-64.so.2", "mksh", "newgrp", "nsenter", "parallel", "pkexec", "podman"),
    *("proot", "pwsh", "run0", "runuser", "screen", "script", "setarch", "sg", "sh", "ssh"),
    *("strace", "su", "sudo", "systemd-run", "tcsh", "tmux", "toybox", "unshare", "watch", "zsh"),
)
START_THEIR_WORDS = (
    *("chrt", "env", "find", "flock", "ionice", "nice", "nohup", "prlimit", "setpriv", "setsid"),
    *("stdbuf", "taskset", "/usr/bin/time", "timeout", "xargs"),
    *("command", "exec", "builtin", ".", "source"),
)
YES, MAYBE, NO = Hit.YES, Hit.MAYBE, Hit.NO


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell.make(tmp_path_factory.mktemp("shell"))


def words(line: str) -> list[Argv]:
    return [each.words for each in read(line).commands]


def literal(argv: Sequence[str]) -> str:
    """The closest pattern of a command's words: one that no pattern can hold becomes `*`."""
    return " ".join(each if BARE.fullmatch(each) else "*" for each in argv)


class TestAgainstBash:
    @steady
    @given(plain_chains())
    def test_plain_lines_are_read_as_bash_reads_them(
        self, shell: Shell, chain: tuple[str, list[Argv], int]
    ) -> None:
        """However plain words are quoted and joined, the reader finds what bash starts."""
        line, meant, status = chain
        found = read(line)
        assert not found.trouble
        assert [each.words for each in found.commands] == meant
        assert Counter(shell.started(line, status=status)) == Counter(meant)

    @steady
    @given(st.one_of(chains(), soups()))
    def test_what_bash_starts_is_never_ruled_out(self, shell: Shell, line: str) -> None:
        """Whatever a line is made of, no command that bash starts is one that cannot match."""
        started = {argv for status in (0, 1) for argv in shell.started(line, status=status)}
        check(line, started)


def check(line: str, started: set[Argv]) -> None:
    found = read(line)
    for argv in started:
        for pattern in (literal(argv), f"{literal(argv[:1])} **"):
            assert hit(pattern, found) is not NO, (line, argv)
    names = {each.words[0] for each in found.commands if each.words}
    if found.plain and not names & set(STARTERS):  # what those start, the shell does not
        assert started <= {each.words for each in found.commands}, line


class TestReading:
    @pytest.mark.parametrize(
        "line,expected",
        [
            ("alpha", [("alpha",)]),
            ("alpha 'a b' \"c'd\" e\\ f", [("alpha", "a b", "c'd", "e f")]),
            ("a''l\"ph\"a x", [("alpha", "x")]),
            ('alpha "$x" y', [("alpha", "**", "y")]),
            ("alpha; beta && gamma | delta", [("alpha",), ("beta",), ("gamma",), ("delta",)]),
            ("alpha &\nbeta", [("alpha",), ("beta",)]),
            ("A=1 B=2 alpha A=3", [("alpha", "A=3")]),
            ("A=1", [()]),
            ("alpha >f 2>&1 <<<w x", [("alpha", "x")]),
            ("alpha \\\n  x", [("alpha", "x")]),
            ("[ -f x ] && alpha {}", [("[", "-f", "x", "]"), ("alpha", "{}")]),
            ('alpha "\\$x" "\\a" \'\\\'', [("alpha", "$x", "\\a", "\\")]),
            ("alpha x2>f", [("alpha", "x2")]),
            ("alpha ''", [("alpha", "")]),
            ("alpha 12345678901>f", [("alpha", "**")]),
            ("alpha 123>f", [("alpha",)]),
            ('alpha "$\'x\'" $% "$"', [("alpha", "**", "**", "**")]),
            ("  ;", []),
        ],
    )
    def test_the_words_of_a_line(self, line: str, expected: list[Argv]) -> None:
        """Quotes go, redirections and assignments are no words, an expansion may be any words."""
        assert words(line) == expected

    @pytest.mark.parametrize(
        "line",
        [
            *(
                "alpha $(x)",
                "alpha `x`",
                'alpha "$(x)"',
                'alpha "`x`"',
                "alpha ${x:-y}",
                "alpha $'x'",
            ),
            *(
                'alpha $"x"',
                "alpha $((1))",
                "alpha $[1]",
                "(alpha)",
                "f() { alpha; }",
                "alpha <(x)",
            ),
            *("if alpha; then x; fi", "! alpha", "time alpha", "{ alpha; }", "[[ x ]]", "coproc x"),
            *(
                "alpha # x",
                "# x",
                "alpha <<E\nE",
                "alpha <<-E\nE",
                "al\\\npha",
                "alpha\\\n x",
                "\\\nx",
            ),
            *("alpha 'x", 'alpha "x', "alpha \\", "A[0]=1 alpha", "A[1 2]=3 alpha", "A=(1)"),
            *(
                "RANDOM=1 alpha",
                "PS4=x",
                "BASH_ENV=x alpha",
                "OPTIND+=1",
                "{x}>f alpha",
                "alpha <\\\n<E",
            ),
        ],
    )
    def test_what_is_not_plain_may_be_anything(self, line: str) -> None:
        """A construct that the reader does not follow leaves every pattern in doubt, and says why."""
        found = read(line)
        assert found.trouble
        assert not found.plain
        assert hit("unheard of", found) is MAYBE

    @pytest.mark.parametrize("name", ["BASH_ENV", "PS4", "SHELLOPTS", "ENV", "RANDOM"])
    def test_a_variable_that_the_shell_runs_leaves_every_pattern_in_doubt(self, name: str) -> None:
        """An environment that steers the shell makes a harmless line run anything."""
        found = read("alpha", variables=["HOME", name])
        assert name in found.trouble
        assert hit("beta", found) is MAYBE
        assert hit("beta", read("alpha", variables=["HOME"])) is NO

    @pytest.mark.parametrize(
        "text", ["\0", "\ud800", "a" * 20_000, "'" * 9999, "\\" * 9999, ";" * 9999]
    )
    def test_reading_never_fails(self, text: str) -> None:
        """Whatever the text is, reading it and asking about it gives an answer."""
        assert hit("alpha **", read(text)) in Hit

    def test_a_patterns_words_are_parted_by_what_parts_a_lines(self) -> None:
        """A space of another kind is part of a word, in a pattern as in a command."""
        assert pattern_words(" a\tb\u00a0c ") == ["a", "b\u00a0c"]
        assert hit("alpha\u00a0x", read("alpha\u00a0x")) is YES
        assert hit("alpha\u00a0x", read("alpha x")) is NO


class TestHit:
    @pytest.mark.parametrize(
        "pattern,line",
        [
            ("alpha", "alpha"),
            ("alpha **", "alpha"),
            ("alpha **", "alpha -x 'a b' \"c\""),
            ("alpha * z", "alpha 'a b' z"),
            ("alpha -?", "alpha -x"),
            ("** z", "alpha y z"),
            ("python -m pytest **", "python -m pytest -q tests"),
            ("alpha **", "alpha x; alpha y && alpha z"),
            ("alpha **", "alpha x\nalpha y | alpha z"),
            ("**", "alpha; beta"),
            ("./run.sh", "./run.sh"),
            ("bash run.sh", "bash run.sh"),
            ("timeout 5 alpha **", "timeout 5 alpha x"),
        ],
    )
    def test_a_plain_line_of_matching_commands_surely_matches(
        self, pattern: str, line: str
    ) -> None:
        """Every command of the line must match, word for word."""
        assert hit(pattern, read(line)) is YES

    @pytest.mark.parametrize(
        "pattern,line",
        [
            ("alpha", "alpha x"),
            ("alpha *", "alpha"),
            ("alpha *", "alpha x y"),
            ("alpha", "Alpha"),
            ("alpha", "beta alpha"),
            ("alpha **", "'alpha x'"),
            ("alpha **", "echo alpha x"),
            ("alpha **", "beta && gamma 'alpha x'"),
            ("git push **", "git status"),
            ("alpha **", "bash script.sh x"),
            ("alpha **", "env A=1 timeout 5 beta x"),
            ("alpha **", "find . -name '*.py' -exec grep -l x {} +"),
            ("alpha **", "set -euo pipefail; beta"),
            ("alpha **", "shopt -s nullglob globstar; beta *.c"),
            ("alpha **", "[ -f x ] && beta"),
            ("alpha **", "printf '%s' x; export A=1; read y"),
            ("alpha **", "A=1 beta >f 2>&1"),
            ("alpha **", "A=1"),
            ("alpha **", "command -p beta"),
            ("alpha **", "beta | xargs -n 1 gamma"),
            ("alpha x", "beta $x"),
            ("alpha **", "builtin read x"),
        ],
    )
    def test_a_line_without_a_matching_command_does_not_match(
        self, pattern: str, line: str
    ) -> None:
        """Arguments are no commands, and names of other commands are others."""
        assert hit(pattern, read(line)) is NO

    @pytest.mark.parametrize(
        "line",
        [
            # among others, or with more than its words
            *("alpha x; beta", "beta | alpha x", "beta\nalpha x", "A=1 alpha x", "alpha x >f"),
            *(
                "alpha x 2>&1",
                "alpha x &",
                "alpha $x",
                "alpha *",
                "alpha ~",
                "alpha {a,b}",
                "al* x",
            ),
            *("$x", "$x y", '"$x" y', "/usr/bin/alpha x", "./alpha x", "a[l]pha x", "{alpha,x}"),
            # started by others
            *("env alpha x", "env -i A=1 alpha x", "/usr/bin/env alpha x", "timeout 5 alpha x"),
            *("nice -n 1 timeout 5 alpha x", "xargs alpha", "xargs -n1 alpha x", "exec alpha x"),
            *("command alpha x", "find . -exec alpha {} +", "find . -exec alpha \\;", ". alpha x"),
            *("env /bin/alpha x", "bash alpha x", "bash ./alpha", "env A='x y' alpha z"),
            # text that is run
            *("eval 'alpha x'", 'eval al"ph"a x', "trap 'alpha x' EXIT", "bash -c 'alpha x'", "sh"),
            *(
                "echo alpha x | bash",
                "echo alpha x | bash -s y",
                "bash -eo pipefail",
                "bash /dev/stdin",
            ),
            *("bash ../../proc/self/fd/0", "echo alpha x | env bash", "echo alpha x | xargs env"),
            *(
                "xargs -I% % x",
                "xargs --replace=y y",
                "find . -exec {} x \\;",
                "find . -ok '{}' \\;",
            ),
            *("env -S'alpha x'", "env --split-string=alpha", "env -a z alpha", "exec -a z alpha x"),
            *("env bash -c x", "env $x y", "xargs timeout 5", "su -c x", "watch x", "flock f -c x"),
            *("alias ls=alpha", "shopt -s expand_aliases", "shopt -so history", "set -k", "set -x"),
            *("set -o posix", "enable -f x y", "let x=y", "declare -i x=y", "mapfile -C alpha x"),
            *(
                "test -v 'a[$(alpha)]'",
                "[ -v $x ]",
                "read 'a[0]'",
                "unset $x",
                "printf -v OPTIND x",
            ),
            *(
                "export RANDOM=x",
                "readonly RANDOM+=x",
                "wait -p 'a[0]'",
                "builtin eval x",
                "jobs -x y",
            ),
            *("command test -v 'a[$(alpha)]'", "command set -k", "env a a a a a a a a a alpha x"),
        ],
    )
    def test_what_only_the_shell_can_know_is_in_doubt(self, line: str) -> None:
        """A command that may be, or may start, one that matches is neither let through nor off."""
        assert hit("alpha **", read(line)) is MAYBE

    @pytest.mark.parametrize(
        "pattern,line",
        [
            ("alpha x y", "alpha $x"),
            ("alpha x", "alpha '*'"),
            ("alpha **", "alpha $x; alpha y"),
            ("alpha x", "xargs alpha"),
            ("alpha x y", "find . -exec alpha {} y +"),
            ("alpha", "find . -exec alpha \\;"),
        ],
    )
    def test_words_that_are_not_known_meet_any(self, pattern: str, line: str) -> None:
        """An expansion, and what a starter adds, puts in or cuts off, may be what is wanted."""
        assert hit(pattern, read(line)) is MAYBE

    @pytest.mark.parametrize("name", START_THEIR_WORDS)
    def test_a_starter_starts_what_its_words_name(self, name: str) -> None:
        """The command behind its options and settings may match, and another one cannot."""
        assert hit("alpha **", read(f"{name} z A=1 alpha x")) is MAYBE
        assert hit("alpha **", read(f"{name} z A=1 beta alphabet")) is NO

    @pytest.mark.parametrize("name", RUN_ANYTHING)
    def test_what_takes_commands_from_elsewhere_may_run_anything(self, name: str) -> None:
        """No word of such a program tells what it will start, and starters start it too."""
        for line in (f"{name} -x", f"/bin/{name} -x", f"env {name} -x", f"xargs {name} -x"):
            assert hit("unheard of", read(line)) is MAYBE

    @pytest.mark.parametrize("name", RUN_TEXT)
    def test_a_part_of_the_shell_that_runs_text_may_run_anything(self, name: str) -> None:
        """A program of the same name that something else starts is only a program."""
        for line in (f"{name} x", f"command {name} x", f"builtin {name} x"):
            assert hit("unheard of", read(line)) is MAYBE
        assert hit("unheard of", read(f"env {name} x")) is NO

    @pytest.mark.parametrize(
        "pattern,line",
        [
            ("eval **", "eval alpha"),
            ("trap **", "trap alpha EXIT"),
            ("command **", "command alpha"),
            ("exec **", "exec alpha"),
            ("test **", "test -v 'a[$(alpha)]'"),
            ("**", "alias ls=alpha"),
            ("alpha **", "alpha x &"),
            ("alpha **", "alpha x > alpha"),
        ],
    )
    def test_a_part_of_the_shell_that_runs_others_matches_nothing_surely(
        self, pattern: str, line: str
    ) -> None:
        """What `eval` and its like run is not among their words, whatever a rule says of those."""
        assert hit(pattern, read(line)) is MAYBE

    def test_a_line_without_commands_matches_nothing(self) -> None:
        """Nothing is let through that is not there."""
        assert hit("**", read(" \n ")) is NO
        assert hit("**", read("A=1")) is MAYBE

    def test_a_long_line_is_answered_soon(self) -> None:
        """A line made to be slow takes no longer than its length."""
        for line in ("env " + "alpha " * 3000, "env " + "test [ " * 2000, "xargs " + "a*" * 9000):
            assert hit("alpha * alpha * beta **", read(line)) is not YES
