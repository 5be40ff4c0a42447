"""What must stay as it was, what an answer must say, and planlock in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from team import Result, Team

MAIN = "import sys; from runner.cli.main import main; main(sys.argv[1:])"


def state(team: Team) -> dict[str, bytes]:
    """All that must stay: refs but for notes of what was seen, index, files beside `.git`."""
    every = team.git("for-each-ref", "--format=%(objectname) %(refname)").splitlines()
    known = [line for line in every if "refs/planlock/seen/" not in line]
    found = {"refs": "\n".join([*known, team.git("ls-files", "--stage")]).encode()}
    for path in sorted(team.root.rglob("*")):
        inner = path.relative_to(team.root)
        if inner.parts[0] != ".git" and path.is_file():
            found[str(inner)] = path.read_bytes() if os.access(path, os.R_OK) else b"?"
    return found


@contextmanager
def unchanged(team: Team) -> Iterator[None]:
    before = state(team)
    yield
    assert state(team) == before
    team.git("fsck", "--strict")


def refused(result: Result, *, exit_code: int, code: str, hint: str) -> None:
    """The answer names its code, and a hint with these words."""
    assert result.code == exit_code, result.text
    assert f"[{code}]" in result.err, result.text
    assert hint in result.err.partition("hint: ")[2], result.text


def without_rights(team: Team, *args: str, who: str = "ada") -> Result:
    """Call planlock where permission bits bind, as they do not for root."""
    argv = [sys.executable, "-c", MAIN, *args]
    if os.geteuid() == 0:
        argv = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--", *argv]
    return started(team, argv, who=who)


def started(team: Team, argv: list[str], *, who: str = "ada") -> Result:
    environment = {**team.environment(who), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        argv, cwd=team.root, env=environment, capture_output=True, text=True, check=False
    )
    return Result(done.returncode, done.stdout, done.stderr)
