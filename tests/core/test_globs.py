from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.globs import Hit, hit, is_glob, matches, overlaps

NAMES = ("a", "b", "aa", "ab", "ba", "bb")
PATHS = tuple(
    "/".join(parts) for depth in (1, 2, 3) for parts in itertools.product(NAMES, repeat=depth)
)
SEGMENTS = ("a", "b", "*", "?", "**", "a*", "*b", "?b", "a?", "ab", "a**")
globs = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3).map("/".join)
short = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=2).map("/".join)


class TestMatches:
    @pytest.mark.parametrize(
        "pattern,path",
        [
            ("a.md", "a.md"),
            ("*.md", "a.md"),
            ("?.md", "a.md"),
            ("docs/*", "docs/a"),
            ("docs/**", "docs/a/b/c"),
            ("docs/**/c", "docs/c"),
            ("docs/**/c", "docs/a/b/c"),
            ("**", "a/b"),
            ("**/a.py", "a.py"),
            ("a*b*c", "axxbyyc"),
        ],
    )
    def test_a_pattern_that_matches(self, pattern: str, path: str) -> None:
        """`*` and `?` stay within a name, `**` takes any number of folders."""
        assert matches(pattern, path)

    @pytest.mark.parametrize(
        "pattern,path",
        [
            ("*.md", "docs/a.md"),
            ("docs/*", "docs/a/b"),
            ("docs/?", "docs/ab"),
            ("docs/*", "docs"),
            ("a.md", "A.md"),
            ("a.md", "axmd"),
            ("*", "a/b"),
            ("docs/**", "docsx/a"),
            ("a", "*"),
            ("a/b", "**"),
            ("[ab]", "a"),
        ],
    )
    def test_a_pattern_that_does_not_match(self, pattern: str, path: str) -> None:
        """Dots and brackets mean themselves, case counts, and a path is never a pattern."""
        assert not matches(pattern, path)

    def test_many_stars_stay_cheap(self) -> None:
        """A pattern made to be slow is answered all the same."""
        assert not matches("*a" * 30, "a" * 60 + "b")
        assert not overlaps("/".join(["**"] * 12) + "/x", "/".join(["**"] * 12) + "/y")


class TestHit:
    @pytest.mark.parametrize(
        "pattern,target,expected",
        [
            ("docs/**", "docs/a.md", Hit.YES),
            ("docs/**", "docs/*.md", Hit.YES),
            ("docs/**", "docs/**", Hit.YES),
            ("**", "*", Hit.YES),
            ("docs/*", "docs/*", Hit.YES),
            ("a/**", "a/*", Hit.YES),
            ("docs/**", "**/*.md", Hit.MAYBE),
            ("docs/*.md", "docs/**", Hit.MAYBE),
            ("docs/**", "DOCS/a.md", Hit.MAYBE),
            ("d*/**", "docs/*", Hit.MAYBE),
            ("docs/**", "src/*", Hit.NO),
            ("docs/**", "docsx/a", Hit.NO),
            ("docs**", "docs/a", Hit.NO),
            ("docs**", "docsx/a", Hit.NO),
            ("docs**", "docsx", Hit.YES),
        ],
    )
    def test_a_rule_meets_a_target(self, pattern: str, target: str, expected: Hit) -> None:
        """A glob that is touched in part, or only where case is ignored, is a perhaps."""
        assert hit(pattern, target) is expected

    @given(globs, globs)
    def test_yes_covers_every_path_of_the_target(self, pattern: str, target: str) -> None:
        """A YES is only said where each path that the target matches is matched by the rule."""
        if hit(pattern, target) is Hit.YES:
            assert all(matches(pattern, path) for path in PATHS if matches(target, path))

    @given(globs, globs)
    def test_no_leaves_no_path_in_common(self, pattern: str, target: str) -> None:
        """A NO is only said where no path is matched by both."""
        if hit(pattern, target) is Hit.NO:
            assert not [path for path in PATHS if matches(target, path) and matches(pattern, path)]

    @given(globs, st.sampled_from(PATHS))
    def test_a_plain_path_is_met_exactly_where_it_is_matched(self, pattern: str, path: str) -> None:
        """A plain path is surely met where the pattern matches it, and nowhere else."""
        assert (hit(pattern, path) is Hit.YES) == matches(pattern, path)


class TestOverlaps:
    @given(globs, globs)
    def test_overlap_is_symmetric(self, first: str, second: str) -> None:
        """Which glob is named first does not matter."""
        assert overlaps(first, second) == overlaps(second, first)

    @given(short, short)
    def test_overlap_is_what_trying_all_paths_finds(self, first: str, second: str) -> None:
        """Two globs overlap exactly where some path of a small alphabet is matched by both."""
        found = any(matches(first, path) and matches(second, path) for path in PATHS)
        assert overlaps(first, second) is found

    @pytest.mark.parametrize(
        "first,second,expected",
        [
            ("a*", "*b", True),
            ("a*c", "*b*", True),
            ("a?", "?b", True),
            ("a?", "b?", False),
            ("a/**", "**/b", True),
            ("a/*", "a/*/*", False),
            ("*", "**", True),
            ("*x", "*y", False),
        ],
    )
    def test_globs_with_and_without_common_paths(
        self,
        first: str,
        second: str,
        expected: bool,  # noqa: FBT001  # pytest passes by name
    ) -> None:
        """Stars on both sides are played against each other."""
        assert overlaps(first, second) is expected


@pytest.mark.parametrize("text,expected", [("a", False), ("a*", True), ("?", True), ("[a]", False)])
def test_what_makes_a_glob(text: str, expected: bool) -> None:  # noqa: FBT001  # pytest passes by name
    """Only `*` and `?` make a glob."""
    assert is_glob(text) is expected


def test_thousands_of_parts() -> None:
    """A path or glob may have thousands of parts; matching does not recurse."""
    deep = "/".join(["a"] * 1500)
    assert hit("infra/**", deep) is Hit.NO
    assert hit("a/**", deep) is Hit.YES
    assert overlaps("/".join(["**"] * 300), "/".join(["**", "a"] * 100))
