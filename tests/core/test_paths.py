from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import WorkspaceSecurityError
from runner.core.paths import check_path, is_authority, is_protected

PLAIN_NAME = st.from_regex(r"[d-z_][d-z0-9_-]{0,12}\.py", fullmatch=True)


@pytest.mark.parametrize(
    "path,reason_code",
    [
        ("../x", "parent"),
        ("a/../../etc/passwd", "parent"),
        ("a/..", "parent"),
        ("\uff0e\uff0e/x", "parent"),
        ("/etc/passwd", "absolute"),
        ("//x", "absolute"),
        ("a\0b", "nul"),
        ("", "empty"),
        (".", "dot"),
        ("./a", "dot"),
        ("a/. ./b", "dot"),
        ("\u200d", "dot"),
        ("a//b", "empty_component"),
        ("a/", "empty_component"),
        ("a\\b", "separator"),
        ("..\\x", "separator"),
        ("a\uff0fb", "separator"),
        ("CON", "device_name"),
        ("src/nul.txt", "device_name"),
        ("com1.tar.gz", "device_name"),
        ("lpt\u00b9", "device_name"),
        ("aux .c", "device_name"),
        ("a\nb", "control_character"),
        ("a\x7fb", "control_character"),
        ("a\x85b", "control_character"),
        ("\udcff", "encoding"),
        ("x" * 256, "too_long"),
        ("\u00e4" * 128, "too_long"),
        ("x/" * 2048 + "x", "too_long"),
    ],
)
def test_C01_paths_that_could_lead_elsewhere(path: str, reason_code: str) -> None:
    """A path that could mean anything but one file below the workspace is refused."""
    with pytest.raises(WorkspaceSecurityError) as caught:
        check_path(path)
    assert caught.value.reason_code == reason_code


@pytest.mark.parametrize(
    "name",
    [
        ".git",
        ".GIT",
        ".gIt",
        ".gi\u200ct",
        "\u2060.git\ufeff",
        ".g\ufe0fit",
        "\uff0e\uff47\uff49\uff54",
        "\u2024git",
        "git~1",
        "GIT~12",
        ".git::$INDEX_ALLOCATION",
        ".git:stream",
        ".git ",
        ".git.",
        ".git . .",
        ".git\u00a0",
    ],
)
@pytest.mark.parametrize("place", ["{}", "{}/config", "sub/{}", "sub/{}/hooks/pre-commit"])
def test_C08_spellings_of_git_dir(name: str, place: str) -> None:
    """No spelling that some file system takes for .git passes, at any depth."""
    with pytest.raises(WorkspaceSecurityError) as caught:
        check_path(place.format(name))
    assert caught.value.reason_code == "git_dir"


@pytest.mark.parametrize(
    "path",
    [
        "a/b.txt",
        ".gitignore",
        ".github/workflows/ci.yml",
        "git",
        "digit~1",
        "console.py",
        "auxiliary/nullable.py",
        "com10",
        "..data",
        "a b.txt",
        "ein Gr\u00fc\u00df.md",
        "\u65e5\u672c\u8a9e/\u30c6\u30b9\u30c8.py",
        "time:12:30.log",
        "x" * 255,
    ],
)
def test_ordinary_paths_pass_unchanged(path: str) -> None:
    """A path that means one file is returned as it is."""
    assert check_path(path) == path


@given(st.lists(PLAIN_NAME, min_size=1, max_size=6))
def test_plain_names_pass(names: list[str]) -> None:
    """Any depth of plain names passes."""
    assert check_path("/".join(names)) == "/".join(names)


@given(st.text(max_size=40))
def test_what_passes_stays_below(path: str) -> None:
    """Whatever passes is relative, without dots, empty parts, controls or .git."""
    try:
        names = check_path(path).split("/")
    except WorkspaceSecurityError:
        return
    assert all(name not in {"", ".", "..", ".git"} for name in names)
    assert not any(unicodedata.category(character) == "Cc" for character in path)


@given(st.data())
def test_git_dir_with_ignorable_characters_inside(data: st.DataObject) -> None:
    """Ignorable characters anywhere in .git, in any case, do not hide it."""
    spelled = "".join(
        data.draw(st.sampled_from([letter, letter.upper()]))
        + data.draw(st.sampled_from(["", "\u200b", "\u200e", "\u00ad", "\U000e0041"]))
        for letter in ".git"
    )
    with pytest.raises(WorkspaceSecurityError):
        check_path(f"a/{spelled}/config")


def test_the_message_names_the_path_and_the_reason() -> None:
    """The refusal shows the path escaped and says what is wrong with it."""
    with pytest.raises(WorkspaceSecurityError, match=r"'\.\./\.\./etc/passwd': leads out"):
        check_path("../../etc/passwd")


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/ci.yml",
        ".GitHub/Workflows/deep/er.yml",
        ".github/workflows",
        ".git\u200chub/workflows/ci.yml",
        "github~1/workfl~1/ci.yml",
        ".gitmodules",
        ".GITMODULES",
        "gitmod~1",
        "GI7EBA~1",
        ".gitattributes",
        "src/.GitAttributes",
        "gi7d29~1",
        "CODEOWNERS",
        "codeowners",
        ".github/CODEOWNERS",
        "Docs/CodeOwners",
        "CODEOWNERS.",
    ],
)
def test_C09_files_that_steer_the_forge(path: str) -> None:
    """Workflows, submodules, attributes and code owners are protected in any spelling."""
    assert is_protected(path)


@pytest.mark.parametrize(
    "path", ["workflows/ci.yml", ".github/README.md", "src/CODEOWNERS", "docs/owners.md", "a.py"]
)
def test_other_files_are_not_protected(path: str) -> None:
    """Neighbours of protected files need no rule of their own."""
    assert not is_protected(path)


@pytest.mark.parametrize(
    "path",
    [
        "plans",
        "plans/x/plan.yaml",
        "PLANS/policy.yaml",
        "plan\u200bs/x",
        "plans./x",
        "PLANS::$DATA",
    ],
)
def test_plans_are_authority_in_any_spelling(path: str) -> None:
    """Whatever some file system takes for the plans folder is authority."""
    assert is_authority(path)


@pytest.mark.parametrize("path", ["planso/x", "src/plans/x", "my-plans.md", ""])
def test_other_folders_are_not_authority(path: str) -> None:
    """Only the plans folder at the root counts."""
    assert not is_authority(path)
