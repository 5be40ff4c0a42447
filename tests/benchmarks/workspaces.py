"""What making a run's workspace costs, against a work tree of git: `python -m tests.benchmarks.workspaces`.

Times on one machine say little about another; the ratios do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from runner.git.shared_checkouts import SharedCheckouts
from runner.git.worktree import WorkTree
from runner.sandbox.commands import find_backend
from tests.benchmarks import scene
from tests.benchmarks.lines import Line, compared, seconds, show
from tests.benchmarks.scene import Team

LAYERED = ">= 100 times faster where there are many files"


def of_git(team: Team, folder: Path, place: str) -> tuple[Line, Line]:
    """Make and remove a work tree of git's."""
    target = str(folder / "linked")
    made = seconds(lambda: team.git("worktree", "add", "--detach", "-q", target, "main"))
    gone = seconds(lambda: team.git("worktree", "remove", "--force", target))
    return (
        Line(what=f"{place}git worktree add", seconds=made),
        Line(what=f"{place}git worktree remove", seconds=gone),
    )


def of_ours(team: Team, folder: Path, place: str, floors: tuple[Line, Line]) -> Iterator[Line]:
    """Make and remove the workspace of a run, the first one of a tree and the next."""
    with scene.opened(team) as project:
        commit = team.git("rev-parse", "main")
        tree = project.store.commit(commit).tree
        for which, aim in (("first", ""), ("next", ">= 100 times faster with overlays")):
            workspace = WorkTree(folder / "workspace", project.store)
            made = seconds(partial(workspace.fill, tree, commit))
            yield compared(f"{place}make the {which} workspace", made, floors[0], aim=aim)
            gone = seconds(workspace.remove)
            yield compared(f"{place}remove the {which} workspace", gone, floors[1])


def for_commands(team: Team, folder: Path, place: str, floors: tuple[Line, Line]) -> Iterator[Line]:
    """Have every file ready for a command: the first time, and when a checkout is there."""
    backend = find_backend("confined")
    ways: dict[str, tuple[Callable[[Path], bool], str]] = {
        "over a shared checkout": (backend.can_layer, LAYERED),
        "with files of its own": (lambda _: False, "<= 1"),
    }
    with scene.opened(team) as project:
        commit = team.git("rev-parse", "main")
        tree = project.store.commit(commit).tree
        for way, (can_layer, aim) in ways.items():
            for which in ("first", "next"):
                checkouts = SharedCheckouts(folder / "checkouts", project.store)
                workspace = WorkTree(folder / "workspace", project.store, checkouts)
                workspace.fill(tree, commit)
                made = seconds(partial(workspace.complete, can_layer))
                what = f"{place}have all files for a command, {way}, {which} time"
                yield compared(what, made, floors[0], aim=aim if which == "next" else "")
                gone = seconds(workspace.remove)
                yield compared(f"{place}remove it, {way}, {which} time", gone, floors[1])


def measure(folder: Path, *, files: Sequence[int] = (10, 1000, 50_000)) -> Iterator[Line]:
    for number in files:
        place, words = folder / str(number), f"{number} files: "
        place.mkdir()
        team = scene.repository(place / "team", files=number)
        floors = of_git(team, place, words)
        yield from floors
        yield from of_ours(team, place, words, floors)
        yield from for_commands(team, place, words, floors)


def main() -> None:
    show(measure)


if __name__ == "__main__":
    main()
