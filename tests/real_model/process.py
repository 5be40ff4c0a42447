"""The command line as a process of its own, which can be stopped when its time is up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from team import Result, Team

ROOT: Final = Path(__file__).resolve().parents[2]
OVERTIME: Final = 124
# -P: the governed project's own modules must not take the place of others.
ARGV: Final = (sys.executable, "-P", "-c", "from runner.cli.main import main; main()")


def planlock(
    team: Team, who: str, *args: str, timeout_s: float, env: Mapping[str, str] | None = None
) -> Result:
    """Run a command; one that does not end in time is killed with all that it started."""
    process = subprocess.Popen(
        [*ARGV, *args],
        cwd=team.root,
        env=team.environment(who, {"PYTHONPATH": str(ROOT), **(env or {})}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _kill(process)
        return Result(OVERTIME, "", f"planlock {args[0]} was not done after {timeout_s:g} s")
    except BaseException:
        _kill(process)
        raise
    return Result(process.returncode, _text(out), _text(err))


def _kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
