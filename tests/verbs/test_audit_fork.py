"""A fork that does not start with what the other run had done has its finding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tampering import Files, Forger, copy, findings, forging
from team import EDIT, READ, Team

from runner.core.documents import dump
from runner.core.run import NAMESPACE
from runner.git.signing import FileSigner

BRANCH = "planlock/job/2"
HEADER = "plans/job/runs/2/run.yaml"
STEPS = READ + EDIT + READ.replace("id: read", "id: again")


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Team:
    """Run 2 forked from run 1 before its second step."""
    team = Team.governed(tmp_path_factory.mktemp("ready"), "bob")
    team.propose("job", STEPS)
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job").code == 0
    assert team.cli("ada", "run", "job", "--from", "1:edit").code == 0
    assert findings(team) == {}
    return team


@pytest.fixture
def forked(ready: Team, tmp_path: Path) -> Team:
    return copy(ready, tmp_path)


def start_anew(
    forger: Forger,
    edit: Callable[[dict[str, Any]], object],
    *,
    files: Files | None = None,
    parents: Callable[[list[str]], list[str]] = list,
) -> None:
    """Put another first commit, signed by the runner, in the place of the whole fork."""
    line = forger.team.git("rev-list", "--first-parent", BRANCH, "^plan/job").split()
    first, value = forger.store.commit(line[-1]), forger.value(line[-1], HEADER)
    edit(value)
    data, signer = dump(value), FileSigner(forger.runner_key)
    more = {HEADER: data, f"{HEADER}.sig": signer.sign(data, namespace=NAMESPACE), **(files or {})}
    entries = {path: forger.entry(each) for path, each in more.items()}
    above = parents(list(first.parents))
    tree = forger.store.edit_tree(first.tree, entries)
    commit = forger.write(above, tree, like=first, key=forger.runner_key)
    forger.point(f"refs/heads/{BRANCH}", commit)
    forger.point("refs/tags/planlock-run/job/2", commit)
    forger.forget("job/2")


def keep(_: dict[str, Any]) -> None:
    """Change nothing."""


def test_another_file_in_a_fork(forked: Team) -> None:
    """A file that the other run did not have is found, though the runner's key signed it."""
    with forging(forked) as forger:
        start_anew(forger, keep, files={"utils.py": b"evil\n"})
    assert "changes plans/job/runs/2/run.yaml" in findings(forked)["foreign_commit"]
    assert "utils.py" in findings(forked)["foreign_commit"]


def test_a_record_that_a_fork_leaves_out(forked: Team) -> None:
    """A record of the other run that its branch lacks is found."""
    with forging(forked) as forger:
        start_anew(forger, keep, files={"plans/job/runs/1/001-read.yaml": None})
    found = findings(forked)
    assert "001-read.yaml" in found["foreign_commit"]
    assert "step read was not done" in found["fork_differs"]


def test_a_fork_of_a_commit_that_is_no_run(forked: Team) -> None:
    """The commit must be of the run that the header names."""
    with forging(forked) as forger:
        tip = forger.tip("main")
        start_anew(
            forger,
            lambda value: value["fork"].update(commit=tip),
            parents=lambda old: [old[0], tip],
        )
    assert "is not of run job/1" in findings(forked)["fork_differs"]


def test_a_fork_that_skips_a_step(forked: Team) -> None:
    """A step that the other run had not done cannot count as done."""
    with forging(forked) as forger:
        start_anew(forger, lambda value: value["fork"].update(step="again"))
    assert "step edit was not done" in findings(forked)["fork_differs"]


def test_a_fork_from_after_its_step(forked: Team) -> None:
    """What the other run did of the step itself may not be there."""
    with forging(forked) as forger:
        start_anew(forger, lambda value: value["fork"].update(step="read"))
    assert "step read had been tried before it was left" in findings(forked)["fork_differs"]


def test_a_fork_of_a_step_that_is_none(forked: Team) -> None:
    """The step must be one of the plan."""
    with forging(forked) as forger:
        start_anew(forger, lambda value: value["fork"].update(step="nothing"))
    assert "the plan has no step nothing" in findings(forked)["fork_differs"]


def test_a_fork_with_one_parent(forked: Team) -> None:
    """The first commit must follow the other run as well, so that nobody can drop that."""
    with forging(forked) as forger:
        start_anew(forger, keep, parents=lambda old: old[:1])
    assert "does not follow" in findings(forked)["fork_differs"]


def test_a_merge_that_is_no_fork(forked: Team) -> None:
    """A run whose header names no fork may not begin with what another one did."""
    with forging(forked) as forger:
        start_anew(forger, lambda value: value.pop("fork"))
    assert "a merge; the runner makes none" in findings(forked)["foreign_commit"]
