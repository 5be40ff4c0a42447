"""What making a run's workspace costs, against a work tree of git: `python -m tests.benchmarks.workspaces`.

Times on one machine say little about another; the ratios do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from runner.git.worktree import WorkTree
from tests.benchmarks import scene
from tests.benchmarks.lines import Line, compared, seconds, show
from tests.benchmarks.scene import Team


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


def measure(folder: Path, *, files: Sequence[int] = (10, 1000, 50_000)) -> Iterator[Line]:
    for number in files:
        place, words = folder / str(number), f"{number} files: "
        place.mkdir()
        team = scene.repository(place / "team", files=number)
        floors = of_git(team, place, words)
        yield from floors
        yield from of_ours(team, place, words, floors)


def main() -> None:
    show(measure)


if __name__ == "__main__":
    main()
