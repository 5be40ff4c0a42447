"""What the path checker lets pass, git and the file system take as one place below the root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.core.errors import WorkspaceSecurityError
from runner.core.paths import check_path, is_protected
from tests.fuzz.pieces import text_of
from tests.fuzz.target_paths import TOKENS

ODD = st.lists(st.sampled_from(TOKENS) | st.binary(max_size=3), max_size=6).map(b"".join)
MANY = st.lists(ODD.map(text_of), min_size=1, max_size=40)
ODDLY = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strict")
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


@ODDLY
@given(MANY)
def test_git_for_every_system_takes_what_passes(repository: Path, paths: list[str]) -> None:
    """Git's own checks for Windows and macOS refuse no path that we let pass, nor as a link."""
    accepted = [path for path in paths if passes(path)]
    assert taken_by_git(repository, "100644", accepted)
    assert taken_by_git(repository, "120000", [it for it in accepted if not is_protected(it)])


@pytest.mark.parametrize("path", [".GIT/x", "a/git~1/x", ".gi\u200ct/x"])
def test_git_refuses_what_we_refuse(repository: Path, path: str) -> None:
    """Those checks are on: a path that does not pass is refused by git too."""
    assert not passes(path)
    assert not taken_by_git(repository, "100644", [path])


@pytest.mark.parametrize("path", [".gitmodules", "gi7eba~1", "GI7EB~10"])
def test_git_refuses_links_that_steer_it(repository: Path, path: str) -> None:
    """What git does not take as a link is protected."""
    assert is_protected(path)
    assert not taken_by_git(repository, "120000", [path])


@ODDLY
@given(MANY)
def test_what_passes_is_created_below_the_root_and_nowhere_else(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str]
) -> None:
    """A file of that name, made without any further care, stands below the folder."""
    outside = tmp_path_factory.mktemp("outside")
    root = outside / "a" / "b" / "root"
    root.mkdir(parents=True)
    for path in filter(passes, paths):
        target = os.path.join(root, path)  # noqa: PTH118  # as it stands, not made normal
        with suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
            os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120  # likewise
            Path(target).write_text("")
            assert os.path.realpath(target).startswith(f"{root}/")
    assert [each.name for each in outside.iterdir()] == ["a"]
    assert [each.name for each in (outside / "a").iterdir()] == ["b"]
    assert [each.name for each in (outside / "a" / "b").iterdir()] == ["root"]


def passes(path: str) -> bool:
    try:
        return check_path(path) == path
    except WorkspaceSecurityError:
        return False


def taken_by_git(repository: Path, mode: str, paths: Sequence[str]) -> bool:
    """Whether git takes them all into its index, each in a folder of its own."""
    blob = "0" * 39 + "1"
    entries = [f"{mode} {blob}\t{number}/{path}" for number, path in enumerate(paths)]
    options = ("-c", "core.protectNTFS=true", "-c", "core.protectHFS=true")
    (repository / ".git" / "index").unlink(missing_ok=True)
    done = subprocess.run(
        ["git", *options, "update-index", "-z", "--index-info"],
        cwd=repository,
        input="".join(f"{entry}\0" for entry in entries).encode(),
        capture_output=True,
        check=False,
    )
    return done.returncode == 0 and not done.stderr
