"""Look for inputs that break a property: `python -m tests.fuzz TARGET [--runs N]`, or `… TARGET FILE`.

The fuzzer follows the branches that an input takes. The number of inputs bounds it, and a seed
makes runs much alike. Without a target all take their turn, slow ones with fewer inputs.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.targets import SUBJECTS, load

_ENDED = re.compile(rb"#(\d+)\s+DONE\s+cov: (\d+) ft: (\d+) corp: (\d+)")
_NAMES = ", ".join(SUBJECTS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 where every property held."""
    given = _parser().parse_args(arguments)
    if given.file is not None:
        return replay(given.target, given.file)
    if given.target is not None:
        return fuzz(given.target, runs=given.runs, seed=given.seed)
    return max([fuzz(name, runs=_share(name, given.runs), seed=given.seed) for name in SUBJECTS])


def _share(name: str, runs: int) -> int:
    return -(-runs // SUBJECTS[name].one_in)


def replay(name: str, file: Path) -> int:
    """Give one stored input to a target; what it breaks is raised."""
    load(name).check(file.read_bytes())
    sys.stdout.write(f"{name}: {file} breaks nothing\n")
    return 0


def fuzz(name: str, *, runs: int, seed: int) -> int:
    """Fuzz one target in a process of its own; an input that breaks it stays in a folder."""
    folder = Path(tempfile.mkdtemp(prefix=f"planlock-fuzz-{name}-"))
    argv = [sys.executable, "-m", "tests.fuzz.coverage_guided", name, str(folder)]
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [*argv, f"-runs={runs}", f"-seed={seed}"],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
    )
    ended = _ENDED.search(done.stdout)
    if done.returncode == 0 and ended is not None:
        line = "{:<16}{:>8} inputs{:>6} edges{:>6} features{:>5} kept\n"
        sys.stdout.write(line.format(name, *map(int, ended.groups())))
        sys.stdout.flush()
        shutil.rmtree(folder)
        return 0
    sys.stderr.write(done.stdout[-8_000:].decode(errors="backslashreplace"))
    for file in sorted(folder.glob("broken-*")):
        sys.stderr.write(f"{name}: {file}\nreplay: python -m tests.fuzz {name} {file}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", choices=list(SUBJECTS), metavar="TARGET", help=_NAMES)
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="an input to replay")
    parser.add_argument("--runs", type=int, default=20_000, help="inputs to try for each target")
    parser.add_argument("--seed", type=int, default=1, help="where chance begins")
    return parser


if __name__ == "__main__":
    sys.exit(main())
