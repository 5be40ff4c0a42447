"""Which system calls a command makes, counted by strace."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.benchmarks.scene import SOURCE, Team

INSTALLED = shutil.which("strace") is not None
CODE = "from runner.cli.main import main; main()"
_CALLS = "execve,fsync,fdatasync,sync_file_range,open,openat,creat,link,linkat,mkdir,mkdirat"
_SYNC = re.compile(r"\b(?:fsync|fdatasync)\(")
_START = re.compile(r"\bexecve(?:\(| resumed>).*\) += 0")
_CREATE = re.compile(r'\bopen(?:at)?\(.*?"([^"]*)", [^)]*O_CREAT[^)]*\) += [0-9]')


def counted(team: Team, folder: Path, *args: str) -> Counter[str]:
    """Count what `planlock ARGS` starts, syncs and creates, in a process of its own."""
    log = folder / "strace.log"
    argv = ["strace", "-f", "-qq", "-y", "-o", str(log), "-e", f"trace={_CALLS}"]
    argv += [sys.executable, "-c", CODE, *args]
    environment = {**team.environment("ada"), "PYTHONPATH": str(SOURCE)}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        argv, cwd=team.root, env=environment, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return _count(log.read_text(errors="replace"))


def _count(text: str) -> Counter[str]:
    created = _CREATE.findall(text)
    return Counter(
        {
            "processes": len(_START.findall(text)),
            "fsyncs": len(_SYNC.findall(text)),
            "files created": len(created),
            "indexes written": sum(name.endswith(("/index", "/index.lock")) for name in created),
        }
    )
