"""Path globs, against regular expressions."""

from __future__ import annotations

import re
from collections.abc import Callable

from runner.core import globs
from runner.core.globs import Hit
from tests.fuzz.pieces import clean_text_of

MAX_LENGTH = 48
TOKENS = (b"**", b"*", b"?", b"/", b"**/", b"/**", b"\0", b"a", b"b", b"A", b"docs", b"***", b".")


def check(data: bytes, *, hit: Callable[[str, str], Hit] = globs.hit) -> None:
    """A pattern and a target, parted by NUL, meet as the regular expression of the pattern says."""
    pattern, _, target = clean_text_of(data).partition("\0")
    assert globs.overlaps(pattern, target) == globs.overlaps(target, pattern), "symmetric"
    answer = hit(pattern, target)
    if globs.is_glob(target):
        sample = target.replace("**", "x/y").replace("*", "zz").replace("?", "q")
        inside = _matches(target, sample) and _matches(pattern, sample)
        assert not (inside and answer is Hit.NO), "a common path is denied"
        assert answer is not Hit.YES or not _matches(target, sample) or _matches(pattern, sample)
        return
    assert (answer is Hit.YES) == _matches(pattern, target), "a plain path"
    assert answer is not Hit.NO or not _matches(pattern.casefold(), target.casefold())


def _matches(pattern: str, path: str) -> bool:
    """Each name of a path is followed by a slash, so that `**` takes whole names or none."""
    parts = ("(?:[^/]*/)*" if name == "**" else _name(name) for name in _parts(pattern))
    return re.fullmatch("".join(parts), f"{path}/", re.DOTALL) is not None


def _parts(pattern: str) -> list[str]:
    names = pattern.split("/")
    return [name for at, name in enumerate(names) if name != "**" or names[at - 1 : at] != ["**"]]


def _name(name: str) -> str:
    stars = re.sub(r"\*+", "*", name)
    wild = {"*": "[^/]*", "?": "[^/]"}
    return "".join(wild.get(each) or re.escape(each) for each in stars) + "/"
