"""Attacks on what is private among the files that every command is shown."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ordinary_user import NOBODY, as_nobody, folder_of_nobody
from sandbox_run import Run, bound, require_landlock

from runner.core.errors import SandboxUnavailable
from runner.sandbox.bubblewrap import Bubblewrap
from runner.sandbox.commands import Backend, Room
from runner.sandbox.landlock import Landlock
from runner.sandbox.landlock_rules import READ, Rule, open_parts
from runner.sandbox.mounts_private import covers, few, outermost, private_below


@pytest.fixture(params=["/opt", "/usr/local/src"])
def programs(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder among the machine's programs, open to everybody."""
    if os.geteuid() != 0:
        pytest.skip("only root can put a file among the machine's programs")
    with tempfile.TemporaryDirectory(dir=request.param) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def fresh(confined: Backend) -> Backend:
    """One that has not looked at the machine's programs yet."""
    assert confined.name
    return Bubblewrap()


def put(path: Path, content: str, *, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    return path


def test_D03_private_files_at_any_depth(fresh: Backend, room: Room, programs: Path) -> None:
    """What others may not read is hidden however deep it lies; what is beside it is there."""
    deep = programs / "a/b/c/d/e"
    put(deep / "credentials", "PRIVATE", mode=0o600)
    put(deep / "closed/file", "PRIVATE").parent.chmod(0o700)
    put(deep / "program", "open")
    outcome = bound(fresh, room)(f"cat {deep}/credentials {deep}/closed/file {deep}/program")
    assert b"PRIVATE" not in outcome.output
    assert outcome.output.endswith(b"open")


def test_D03_more_private_files_than_mounts(fresh: Backend, room: Room, programs: Path) -> None:
    """So many that the folder which holds them is hidden as a whole; others are still there."""
    for number in range(1200):
        put(programs / f"a/keys/{number}", "PRIVATE", mode=0o600)
    put(programs / "a/program", "open")
    outcome = bound(fresh, room)(f"cat {programs}/a/keys/1199; cat {programs}/a/program")
    assert b"PRIVATE" not in outcome.output
    assert outcome.output.endswith(b"open")


def test_D03_a_tool_with_very_many_private_files(
    fresh: Backend, room: Room, programs: Path
) -> None:
    """A named tool is not shown whole because there are too many files in it to hide."""
    for number in range(1200):
        put(programs / f"tool/{number}", "PRIVATE", mode=0o600)
    inside = replace(room, tools=(programs / "tool",))
    with pytest.raises(SandboxUnavailable, match="private files to hide"):
        bound(fresh, inside)(f"cat {programs}/tool/1199")


def test_D03_what_becomes_private(fresh: Backend, room: Room, programs: Path) -> None:
    """Near the top, files are hidden that were closed or put there between two commands."""
    file = put(programs / "credentials", "PRIVATE")
    run = bound(fresh, room)
    assert run(f"cat {file}").output == b"PRIVATE"
    file.chmod(0o600)
    assert run(f"cat {file}").output != b"PRIVATE"


def test_what_is_gone_before_it_is_hidden(
    confined: Backend, room: Room, programs: Path, tmp_path: Path
) -> None:
    """A private file may vanish with its folder between the look and the mount."""
    file = put(programs / "tool/credentials", "PRIVATE", mode=0o600)
    assert confined.name
    removing = put(
        tmp_path / "bwrap", f'#!/bin/sh\nrm -rf {file.parent}\nexec bwrap "$@"\n', mode=0o755
    )
    backend = Bubblewrap(str(removing))
    put(file, "PRIVATE", mode=0o600)
    assert bound(backend, room)("echo ran").output == b"ran\n"
    assert not file.exists()


def test_D03_git_folders_among_programs(
    fresh: Backend, open_run: Run, room: Room, programs: Path
) -> None:
    """Of a repository's own folder there only the objects are shown, and nothing can be put in."""
    git = programs / "main" / ".git"
    put(git / "config", "PRIVATE")
    put(git / "objects/pack", "an object\n")
    look = f"cat {git}/config {git}/objects/pack; touch {git}/x {git}/objects/x"
    inside = replace(room, closed=(git,), git_objects=(git / "objects",))
    outcome = bound(fresh, inside)(look)
    assert b"PRIVATE" not in outcome.output
    assert b"an object\n" in outcome.output
    assert outcome.output.count(b"Read-only file system") == 2
    assert b"PRIVATE" in open_run(f"cat {git}/config").output


def test_D03_a_checkout_in_a_private_folder(fresh: Backend, room: Room, programs: Path) -> None:
    """A workspace and a tool whose places lie in a folder that is hidden can be used there."""
    place = programs / "ada" / "project"
    put(place / ".git/config", "PRIVATE")
    put(place / ".venv/bin/tool", "#!/bin/sh\necho from the tool\n", mode=0o755)
    put(programs / "ada/notes", "PRIVATE")
    (programs / "ada").chmod(0o700)
    inside = replace(room, mount_at=place, closed=(place / ".git",), tools=(place / ".venv",))
    run = bound(fresh, inside)
    assert run("tool && touch made").output == b"from the tool\n"
    assert (room.workspace / "made").exists()
    outcome = run(f"cat {programs}/ada/notes; touch {programs}/ada/x")
    assert b"No such file" in outcome.output
    assert b"Read-only file system" in outcome.output


def test_a_tool_of_a_checkout_among_programs(fresh: Backend, room: Room, programs: Path) -> None:
    """The workspace lies over the checkout, and the checkout's virtual environment over that."""
    put(programs / ".venv/bin/tool", "#!/bin/sh\necho from the tool\n", mode=0o755)
    inside = replace(room, mount_at=programs, tools=(programs / ".venv",))
    assert bound(fresh, inside)("tool").output == b"from the tool\n"


def test_D03_git_folders_do_not_return_as_a_tool(
    fresh: Backend, room: Room, programs: Path
) -> None:
    """What is covered is shown again for a tool, but not where it belongs to a repository."""
    put(programs / ".git/bin/token", "PRIVATE")
    inside = replace(room, closed=(programs / ".git",), tools=(programs / ".git/bin",))
    with pytest.raises(SandboxUnavailable, match="git repository's own files"):
        bound(fresh, inside)("true")


def test_what_cannot_be_looked_at_counts_as_private(tmp_path: Path) -> None:
    """The nearest folders are looked at first, and those beyond the bound are hidden whole."""
    for name in ("near", "a/b/far", "a/b/farther"):
        put(tmp_path / name, "")
    for folder in (tmp_path, tmp_path / "a", tmp_path / "a/b"):
        folder.chmod(0o755)
    assert private_below(tmp_path) == []
    assert private_below(tmp_path, most=4) == [str(tmp_path / "a/b")]
    assert private_below(tmp_path, most=3) == [str(tmp_path / "a/b")]
    assert private_below(tmp_path, most=1) == [str(tmp_path)]


def test_the_deepest_are_covered_together() -> None:
    """No more covers than are allowed: folders stand for the deepest that they hold."""
    paths = ["/opt/a/b/1", "/opt/a/b/2", "/opt/c"]
    assert few(paths, around=[], most=3) == paths
    assert few(paths, around=[], most=2) == ["/opt/a/b", "/opt/c"]
    assert few([f"/opt/a/{each}/x" for each in range(9)], around=[], most=2) == ["/opt/a"]


@pytest.mark.parametrize(
    "paths, tool", [(["/opt/1", "/opt/2"], "/usr/bin"), (["/opt/a/1", "/opt/a/2"], "/opt/a/tool")]
)
def test_D03_what_must_be_seen_is_not_covered(paths: list[str], tool: str) -> None:
    """Where only a folder that holds tools could stand for too many, nothing runs."""
    with pytest.raises(SandboxUnavailable, match="more than 1 private files"):
        few(paths, around=[Path(tool)], most=1)


def test_what_vanishes_needs_no_cover(tmp_path: Path) -> None:
    """Neither a folder nor a file that is gone since the look stops a command."""
    assert private_below(tmp_path / "gone") == []
    assert covers([str(tmp_path / "gone")], []) == ([], [])


def test_a_cover_lies_in_no_other() -> None:
    """Nothing can be mounted into what is covered already; a name alone does not make a part."""
    assert outermost(["/a/b", "/a-b", "/a", "/a/b/c"]) == ["/a", "/a-b"]


def test_D03_own_files_opened_for_later(programs: Path) -> None:
    """An ordinary user's own are not granted once a command has opened them, but for a tool."""
    require_landlock()
    own = put(programs / "own/credentials", "PRIVATE", mode=0o600)
    others = put(programs / "others/program", "open")
    look = f"cat {own} {others}"
    for path in (own, own.parent):
        shutil.chown(path, NOBODY, NOBODY)
    with folder_of_nobody() as place:
        room = Room(workspace=place, mount_at=place)

        def attack() -> None:
            bound(Landlock(), room)(f"chmod 644 {own}")
            assert own.stat().st_mode & 0o777 == 0o644
            output = bound(Landlock(), room)(look).output
            assert b"Permission denied" in output
            assert output.endswith(b"open")
            for tool in (own.parent, programs):
                named = replace(room, tools=(tool,))
                assert bound(Landlock(), named)(look).output == b"PRIVATEopen"

        as_nobody(attack)


def test_D03_what_belongs_to_the_owner_is_not_granted(tmp_path: Path) -> None:
    """The mode of one's own file says nothing: an earlier command may have changed it."""
    file = put(tmp_path / "file", "")
    tmp_path.chmod(0o755)
    assert open_parts(tmp_path, READ) == [Rule(path=tmp_path, access=READ)]
    assert open_parts(tmp_path, READ, owner=file.stat().st_uid) == []
