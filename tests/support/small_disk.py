"""Run inside `unshare -Urm`: a repository on a small disk of its own, which is full for a while.

Arguments: the folder of the repository, a folder to mount on, KiB to leave free. Prints one JSON
object with what each command gave.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

SIZE_KIB = 16384
RUN = "import sys; from runner.cli.main import main; main(sys.argv[1:])"


def planlock(folder: Path, *args: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *args], cwd=folder, capture_output=True, text=True, check=False
    )
    return {"code": done.returncode, "out": done.stdout, "err": done.stderr}


def fill(folder: Path, free_kib: int) -> Path:
    """Take all room but so much."""
    filler = folder / "filler"
    left = os.statvfs(folder).f_bavail * os.statvfs(folder).f_bsize // 1024
    with filler.open("wb") as file:
        for _ in range(max(left - free_kib, 0) // 4):
            file.write(bytes(4096))
    return filler


def main(source: str, place: str, free_kib: str) -> None:
    options = f"size={SIZE_KIB}k,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
    project = Path(place) / "project"
    shutil.copytree(source, project, symlinks=True)
    told: dict[str, object] = {}
    if free_kib == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        told["failed"] = planlock(project, "run", "job")
        told["status"] = planlock(project, "status", "job")
        subprocess.run(["mount", "-o", "remount,rw", place], check=True)
    else:
        filler = fill(Path(place), int(free_kib))
        told["failed"] = planlock(project, "run", "job")
        filler.unlink()
    known = subprocess.run(
        ["git", "rev-parse", "-q", "--verify", "planlock/job/1"],
        cwd=project,
        check=False,
        capture_output=True,
    )
    told["resumed"] = planlock(project, "resume" if known.returncode == 0 else "run", "job")
    told["audit"] = planlock(project, "audit")
    told["ledger"] = planlock(project, "ledger", "check")
    fsck = subprocess.run(
        ["git", "fsck", "--strict"], cwd=project, check=False, capture_output=True
    )
    told["fsck"] = {"code": fsck.returncode, "err": fsck.stderr.decode()}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
