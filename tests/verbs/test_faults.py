"""Full disks, closed folders and damaged objects: nothing is half-written, all can be repaired."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from surroundings import MAIN, started, unchanged, without_rights
from team import EDIT, READ, Team


@pytest.mark.parametrize("path", ["plans/job/plan.yaml", "plans/job"])
def test_F02_unreadable_plan(team: Team, path: str) -> None:
    """A plan file that may not be read is named, and nothing is committed."""
    plan = team.plan("job", READ)
    target = team.root / path
    target.chmod(0)
    result = without_rights(team, "propose", "job")
    target.chmod(0o755)
    assert result.code in {3, 5}
    assert str(plan) in result.err or "job" in result.err
    assert team.refs("refs/heads/plan") == []


@pytest.mark.parametrize("folder", ["objects", "refs/heads"])
@pytest.mark.parametrize("args", [("approve", "job"), ("run", "job")], ids=lambda args: args[0])
def test_F02_git_folder_may_not_be_written(team: Team, folder: str, args: tuple[str, ...]) -> None:
    """A `.git` that may not be written is an error of the file system, and repairable."""
    team.propose("job", READ)
    target = team.root / ".git" / folder
    closed = [target, *(path for path in target.rglob("*") if path.is_dir())]
    for path in closed:
        path.chmod(0o555)
    with unchanged(team):
        result = without_rights(team, *args, who="bob")
    for path in closed:
        path.chmod(0o755)
    assert (result.code, "[file_access]" in result.err) == (5, True), result.text
    again = team.cli("bob", *args)
    assert again.code == 0, again.text


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of three megabytes."""
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a file system is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("command", ["propose", "approve", "run", "people"])
def test_F02_full_disk(tmp_path: Path, command: str) -> None:
    """On a full disk nothing is half-written, and with room again the same command succeeds."""
    with small_disk(tmp_path / "disk") as disk:
        team = Team.governed(disk, "bob")
        team.key("cleo")
        prepare_to(team, command)
        args = {"people": ["add", "cleo@example.com", "--key", f"{team.key('cleo')}.pub"]}
        words = args.get(command, ["job"])
        filler = disk / "filler"
        with unchanged(team):
            fill(filler)
            result = team.cli("bob", command, *words)
            filler.unlink()
        assert (result.code, "[file_access]" in result.err) == (5, True), result.text
        assert team.cli("bob", command, *words).code == 0


def prepare_to(team: Team, command: str) -> None:
    team.plan("job", READ + EDIT)
    if command in {"approve", "run"}:
        team.propose("job", READ + EDIT)
    if command == "run":
        team.approve("bob", "job")


def fill(path: Path) -> None:
    with path.open("wb") as file:
        for size in (4096, 1):
            try:
                while True:
                    os.write(file.fileno(), b"x" * size)
            except OSError:
                continue


def test_F02_file_size_limit(team: Team) -> None:
    """A write that the kernel cuts short leaves neither ref nor file behind."""
    team.plan("job", READ + EDIT)
    with unchanged(team):
        argv = ["prlimit", "--fsize=64", "--", sys.executable, "-B", "-c", MAIN, "propose", "job"]
        result = started(team, argv)
        assert result.code == 5, result.text
    assert team.cli("ada", "propose", "job").code == 0


def test_damaged_repository(team: Team) -> None:
    """A plan whose object is gone is an error that names the object."""
    tip = team.propose("job", READ + EDIT)
    blob = team.git("rev-parse", f"{tip}:plans/job/plan.yaml")
    (team.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    result = team.cli("ada", "run", "job")
    assert result.code == 5, result.text
    assert blob in result.err
    assert team.refs("refs/heads/planlock") == []
