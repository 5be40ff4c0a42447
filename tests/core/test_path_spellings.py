"""C08 and C09: protected names against models of how file systems fold names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import WorkspaceSecurityError
from runner.core.paths import HINTS, check_path, is_authority, is_protected

# What HFS+ drops from names, as git's utf8.c lists it.
HFS_IGNORED = (
    *map(chr, range(0x200C, 0x2010)),
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x206A, 0x2070)),
    "\ufeff",
)
NTFS_ENDS = ("", ".", " ", " . ", "::$INDEX_ALLOCATION", ":$I30:$INDEX_ALLOCATION", ":stream")
# Letters that some file system's table of cases gives for a plain one.
LOOSE = {"i": "iI\u0130\u0131\uff49\u2170", "s": "sS\u017f\uff53", "k": "kK\u212a\uff4b"}


def variants(letter: str) -> list[str]:
    wide = chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter
    return [*LOOSE.get(letter.lower(), letter + letter.swapcase()), wide]


def spelled(name: str) -> st.SearchStrategy[str]:
    """The name with any letter in another form, dropped characters anywhere, and an odd end."""
    dropped = st.sampled_from(["", "", "", *HFS_IGNORED])
    letters = [st.tuples(dropped, st.sampled_from(variants(letter))) for letter in name]
    text = st.tuples(*letters).map(lambda pairs: "".join(a + b for a, b in pairs))
    return st.tuples(text, st.sampled_from(NTFS_ENDS)).map("".join)


def short_names(name: str) -> list[str]:
    """The 8.3 names that NTFS may give: by number, and from the fifth on by a checksum."""
    stem = name.lstrip(".").replace(".", "")
    numbered = [f"{stem[: 7 - len(str(n))][:6]}~{n}" for n in (1, 2, 4, 10, 100)]
    return [*numbered, f"{stem[:2]}{checksum(name)}~1", f"{stem[:2]}{checksum(name)[:3]}~10"]


def checksum(name: str) -> str:
    total = 0
    for letter in name:
        total = (total * 0x25 + ord(letter)) & 0xFFFF
    product = (total * 314159269) & 0xFFFFFFFF
    product = abs(product - (1 << 32) if product >> 31 else product)
    product -= ((product * 1152921497) >> 60) * 1000000007
    return f"{product & 0xFFFF:04x}"[::-1]


def test_the_checksum_is_ntfs() -> None:
    """The model gives the names that git's own tests list."""
    assert [checksum(name) for name in (".gitmodules", ".gitignore", ".gitattributes")] == [
        *("7eba", "250a", "7d29")
    ]


def test_C08_git_dir_and_its_short_names() -> None:
    """Every 8.3 name of .git is refused, wherever it stands."""
    for name in ("git~1", "GIT~4", "git~10", f"gi{checksum('.git')}~1"):
        for place in ("{}", "a/{}/config"):
            with pytest.raises(WorkspaceSecurityError) as caught:
                check_path(place.format(name))
            assert caught.value.reason_code == "git_dir"


@given(st.data())
def test_C08_git_dir_as_file_systems_fold_it(data: st.DataObject) -> None:
    """Case, width, dotless letters, dropped characters and NTFS's ends do not hide .git."""
    name = data.draw(spelled(".git"))
    place = data.draw(st.sampled_from(["{}", "{}/config", "a/{}/hooks/x"]))
    with pytest.raises(WorkspaceSecurityError) as caught:
        check_path(place.format(name))
    assert caught.value.reason_code == "git_dir"


@given(st.data())
@pytest.mark.parametrize(
    "path",
    [
        (".gitmodules",),
        ("src", ".gitattributes"),
        (".github", "workflows", "ci.yml"),
        ("CODEOWNERS",),
        (".github", "CODEOWNERS"),
        ("docs", "CODEOWNERS"),
    ],
)
def test_C09_protected_as_file_systems_fold_it(path: tuple[str, ...], data: st.DataObject) -> None:
    """However its parts are spelled, and also with backslashes, a protected path is one."""
    separator = data.draw(st.sampled_from(["/", "\\"]))
    assert is_protected(separator.join(data.draw(spelled(name)) for name in path))


@pytest.mark.parametrize(
    "name,place",
    [
        (".gitmodules", "{}"),
        (".gitattributes", "src/{}"),
        (".github", "{}/workflows/x"),
        ("workflows", ".github/{}/x"),
        ("CODEOWNERS", "{}"),
        ("CODEOWNERS", ".github/{}"),
    ],
)
def test_C09_short_names_of_protected_files(name: str, place: str) -> None:
    """The 8.3 names of protected files are protected, those by checksum too."""
    for short in short_names(name):
        assert is_protected(place.format(short)), short
        assert is_protected(place.format(short.upper())), short


@given(st.data())
def test_plans_as_file_systems_fold_it(data: st.DataObject) -> None:
    """The plans folder is authority in every such spelling."""
    assert is_authority(data.draw(spelled("plans")) + "/policy.yaml")


@pytest.mark.parametrize(
    "path", ["git", "a~1", "digits~1", "work~1/x", "gitlab~1", "ma\u0131n.py", "\u0130zmir.md"]
)
def test_names_that_only_resemble(path: str) -> None:
    """Neighbours pass and are not protected."""
    assert check_path(path) == path
    assert not is_protected(path)


@pytest.mark.parametrize("path", ["", "/x", "..", "a//b", "a\\b", "\0", "\n", ".git/x", "con"])
def test_a_refusal_says_what_to_do(path: str) -> None:
    """Each refusal of a name has a path, a reason, a code and a hint."""
    with pytest.raises(WorkspaceSecurityError) as caught:
        check_path(path)
    error = caught.value
    assert error.path == path
    assert error.reason
    assert error.hint == HINTS[error.reason_code]
