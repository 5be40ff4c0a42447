"""What recording a step durably costs, against the disk and against git: `python -m tests.benchmarks.steps`.

Times on one machine say little about another; the ratios do.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path

from tests.benchmarks import scene, tracing
from tests.benchmarks.lines import Figure, Line, Note, Printed, compared, each, show
from tests.benchmarks.scene import Team

DURABLE = ("-c", "core.fsync=all", "-c", "core.fsyncMethod=fsync")
PACK = 3
AIMS = {"processes": "0", "fsyncs": "1", "files created": "few", "indexes written": "0"}


def appending(folder: Path, size: int) -> float:
    """Append so many bytes to one file, and wait until the disk has them."""
    with (folder / "appended").open("ab", buffering=0) as file:

        def act() -> None:
            file.write(b"x" * size)
            os.fdatasync(file.fileno())

        return each(act, 50)


def writing(folder: Path, size: int, *, files: int) -> Callable[[], object]:
    """Write so many bytes to new files, with an fsync each and one of the folder."""
    target = folder / f"written-{files}"
    target.mkdir()
    names = count()

    def act() -> None:
        for _ in range(files):
            with (target / str(next(names))).open("xb", buffering=0) as file:
                file.write(b"x" * (size // files))
                os.fsync(file.fileno())
        descriptor = os.open(target, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    return act


def committing(team: Team, *options: str) -> Callable[[], object]:
    """Change a file, `git add` it and `git commit`, unsigned."""
    environment = team.environment("ada")
    path = scene.file_name(0)

    def git(*args: str) -> None:
        argv = ["git", *options, *args]
        subprocess.run(argv, cwd=team.root, env=environment, check=True, capture_output=True)

    def act() -> None:
        (team.root / path).write_text(f"Changed at {time.time_ns()}.\n")
        git("add", "--", path)
        git("commit", "-q", "-m", "Change a file")

    return act


def sizes(team: Team) -> dict[str, int]:
    """Map every object of the repository to the bytes that it takes on the disk."""
    form = "--batch-check=%(objectname) %(objectsize:disk)"
    listed = team.git("cat-file", "--batch-all-objects", "--unordered", form)
    return {name: int(size) for name, size in map(str.split, listed.splitlines())}


def of_repository(folder: Path, *, files: int, steps: int, times: int) -> Iterator[Printed]:
    """Compare the recording of steps with the floors, and with git."""
    team = scene.repository(folder / "team", files=files)
    scene.approved(team, "job", scene.edits(steps))
    before = sizes(team)
    timing = scene.run(team, "job")
    made = [size for name, size in sizes(team).items() if name not in before]
    size, objects, place = sum(made) // steps, len(made) // steps, f"{files} files: "
    append = appending(folder, size)
    floor = Line(what=f"{place}append {size} bytes, fdatasync", seconds=append)
    yield floor
    for number, what in ((PACK, "a pack, its index, a ref"), (objects, "loose objects")):
        taken = each(writing(folder, size, files=number), 20)
        whole = Line(what=f"{place}write {number} files, fsync each ({what})", seconds=taken)
        yield whole
        yield compared(f"{place}record a step", timing.record, whole)
    yield compared(f"{place}record a step", timing.record, floor, aim="<= 2")
    yield compared(f"{place}a whole edit_file step, gate and all", timing.step, floor)
    for name, options in (("git add + commit", ()), ("durable git add + commit", DURABLE)):
        taken = each(committing(team, *options), times)
        yield Line(
            what=f"{place}{name}",
            seconds=taken,
            against="record a step",
            ratio=taken / timing.record,
            aim=">= 40" if files >= 50_000 and options else "",
        )
    yield from calls(team, folder, place)


def calls(team: Team, folder: Path, place: str) -> Iterator[Printed]:
    """Count system calls per step: those of ten steps less those of one, in runs gone on with."""
    if not tracing.INSTALLED:
        yield Note(text=f"{place}system calls are not counted: apt-get install strace")
        return
    scene.approved(team, "traced", scene.edits(12))
    traced = partial(tracing.counted, team, folder, "run", "traced", "--until")
    traced("s0")
    one, ten = traced("s1"), traced("s11")
    for what, aim in AIMS.items():
        value = (ten[what] - one[what]) / 9
        yield Figure(what=f"{place}{what}", value=value, unit="a step", aim=aim)


def measure(
    folder: Path, *, files: Sequence[int] = (10, 1000, 50_000), steps: int = 30, times: int = 5
) -> Iterator[Printed]:
    for number in files:
        place = folder / str(number)
        place.mkdir()
        yield from of_repository(place, files=number, steps=min(steps, number), times=times)


def main() -> None:
    show(measure)


if __name__ == "__main__":
    main()
