"""The path checker, against a model of four file systems."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from runner.core import paths
from runner.core.errors import WorkspaceSecurityError
from tests.fuzz import folding
from tests.fuzz.pieces import text_of

MAX_LENGTH = 160
TOKENS = (
    *(
        b".git",
        b".GIT",
        b"git~1",
        b".gi",
        b"t",
        b"/",
        b"..",
        b".",
        b"\\",
        b":",
        b" ",
        b"~1",
        b"~10",
    ),
    *(b"::$INDEX_ALLOCATION", b".gitmodules", b".gitattributes", b"GITMOD~1", b"gi7eba~1"),
    *(b"gi7d29~1", b".github/workflows/ci.yml", b"GITHUB~1", b"WORKFL~1", b"CODEOWNERS"),
    *(b"docs/", b"plans", b"PLANS", b"con", b"nul.txt", b"com1", b"a", b"src/a.py", b"\0", b"\n"),
    *(
        each.encode()
        for each in "\u200c\u200d\u202e\u2060\ufeff\u00ad\ufe0f\U000e0041\u2024\uff0e\uff0f\u2215"
        "\u212a\u0130\u0131\u017f\ufb01\u1e9e\u00b9\u00a0\u0301\u034f\uff27\uff27"
    ),
)
_ROOT = "/srv/workspace"
_ORDINARY = re.compile(
    r"[a-z][a-z0-9_-]{0,20}(\.[a-z]{1,4})?(/[a-z][a-z0-9_-]{0,20}(\.[a-z]{1,4})?)*"
)
# Where every file system sees the same, so that no path is judged more strictly than it need be.
_PLAIN = re.compile(r"[!-}]+")


def check(
    data: bytes,
    *,
    check_path: Callable[[str], str] = paths.check_path,
    is_protected: Callable[[str], bool] = paths.is_protected,
    is_authority: Callable[[str], bool] = paths.is_authority,
) -> None:
    """An accepted path is one file below the root and is judged as every file system sees it."""
    path = text_of(data)
    protected, authority = is_protected(path), is_authority(path)
    try:
        assert check_path(path) == path
    except WorkspaceSecurityError:
        assert not _is_ordinary(path), "an ordinary path is refused"
        return
    names = path.split("/")
    _stays_below(path)
    assert not any(folding.same_name(name, ".git") for name in names), "reaches into .git"
    assert not any(folding.is_device(name) for name in names), "names a device"
    if folding.is_protected(path) or _PLAIN.fullmatch(path):
        assert protected == folding.is_protected(path), "protected"
    if folding.same_name(names[0], "plans") or _PLAIN.fullmatch(path):
        assert authority == folding.same_name(names[0], "plans"), "authority"


def _stays_below(path: str) -> None:
    below = posixpath.normpath(posixpath.join(_ROOT, path))
    assert below == f"{_ROOT}/{path}", "leads elsewhere"
    assert below.encode().isascii() or "\0" not in below
    assert not set(path) & {"\0", "\\", "\n", "\r"}, "a control character or a separator"


def _is_ordinary(path: str) -> bool:
    short = len(path) < 200
    names = path.split("/")
    return bool(short and _ORDINARY.fullmatch(path)) and not any(map(folding.is_device, names))
