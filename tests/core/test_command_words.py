"""What a backslash and a quote do to the words of a command line, letter by letter."""

from __future__ import annotations

import string

import pytest

from runner.core.command_line import read

ESCAPED = '$`"\\'
KEPT = sorted({*string.printable} - {*ESCAPED, "\n"})


def word(text: str) -> str:
    """The second word of a line that has two."""
    (command,) = read(f"alpha {text}").commands
    (_, found) = command.words
    return found


class TestDoubleQuotes:
    @pytest.mark.parametrize("char", ESCAPED)
    def test_a_backslash_goes_before_what_it_protects(self, char: str) -> None:
        """POSIX 2.2.3: a dollar, a backquote, a double quote and a backslash."""
        assert word(f'"a\\{char}b"') == f"a{char}b"

    def test_a_backslash_stays_before_everything_else(self) -> None:
        """It is a letter of the word there."""
        assert [char for char in KEPT if word(f'"a\\{char}b"') != f"a\\{char}b"] == []

    def test_a_line_that_goes_on_within_quotes_is_joined(self) -> None:
        """A backslash before a new line goes with it; a new line alone stays."""
        assert word('"a\\\nb"') == "ab"
        assert word('"a\nb"') == "a\nb"


class TestPlainWords:
    def test_letters_digits_and_most_signs_mean_themselves(self) -> None:
        """A word of them is known, so that a pattern can surely match it."""
        text = string.ascii_letters + string.digits + "%+,-./:=@^_"
        assert word(text) == text
        assert read(f"alpha {text}").plain

    def test_the_number_of_a_descriptor_is_no_word(self) -> None:
        """Neither before input nor before output."""
        for line in ("alpha 2<f", "alpha 2>f", "alpha 0<f x>g 1>&2"):
            (command,) = read(line).commands
            assert set(command.words) <= {"alpha", "x"}
            assert not command.plain


class TestSingleQuotes:
    def test_every_character_means_itself(self) -> None:
        """Between single quotes nothing is special."""
        inside = string.printable.replace("'", "")
        assert word(f"'{inside}'") == inside


@pytest.mark.parametrize(
    "line,why",
    [
        ("if alpha; then beta; fi", "`if`"),
        ("BASH_ENV=x alpha", "BASH_ENV"),
        ("alpha <<E", "here-document"),
        ("alpha `x`", "backquote"),
        ('alpha "`x`"', "backquote"),
        ("alpha 'x", "quote is not closed"),
        ('alpha "x', "quote is not closed"),
        ("A[0]=1 alpha", "element of a variable"),
        ("alpha; A[0]=1 beta", "element of a variable"),
        ("alpha {x}<f", "redirection with `{`"),
        ("alpha $(x)", "`$(`"),
        ("(alpha)", "`(`"),
        ("alpha \\", "backslash"),
        ("alpha {x}>f", "redirection with `{`"),
    ],
)
def test_what_could_not_be_read_is_told_to_who_wrote_it(line: str, why: str) -> None:
    """A person sees which part of the line leaves every pattern in doubt."""
    found = read(line)
    assert why in found.trouble
    assert found.text == line


@pytest.mark.parametrize("variables", [[], ["HOME"], ["BASH_ENV"]])
def test_what_was_read_is_kept_as_it_stood(variables: list[str]) -> None:
    """Read or not, the line can be shown."""
    assert read("alpha  'x'", variables=variables).text == "alpha  'x'"
