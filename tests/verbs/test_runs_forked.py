"""Runs that forked from others are read with what was done before they did."""

from __future__ import annotations

import pytest
from team import Team, surroundings

from runner.core.documents import dump, parse
from runner.core.errors import GitError
from runner.core.run import RUN_FILE, RunFile, run_folder
from runner.git.objects import FILE, Edits, Entry, NewCommit, ObjectStore, Signature
from runner.project import Project, real_world
from runner.verbs import runs

STEPS = "".join(
    f"- {{id: {name}, step_type: read_file, description: Look, input: {{path: utils.py}}}}\n"
    for name in ("one", "two", "three")
)
BY = Signature(name="Ada", email="ada@example.com", when=1_700_000_000)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Team:
    """A plan whose first run has done two of three steps."""
    team = Team.governed(tmp_path_factory.mktemp("team"), "bob")
    team.propose("job", STEPS)
    team.cli("ada", "run", "job", "--until", "two")
    return team


def header(store: ObjectStore, tree: str, run: int, fork: dict[str, object]) -> Entry:
    """Write the header of another run of the plan, as a fork."""
    data = store.file(tree, f"{run_folder('job', 1)}/{RUN_FILE}")
    value = {**parse(data or b"", file=RUN_FILE).value, "run": run, "fork": fork}
    return Entry(mode=FILE, oid=store.write("blob", dump(value)))


def loaded(team: Team, *forks: tuple[int, int, str], run: int) -> RunFile:
    """Read a run of a commit that has the first run and forks (run, of which, before which step)."""
    with surroundings(team.root, team.environment("ada")), Project(real_world()) as project:
        store = project.store
        tip = runs.find(project, "job")[2]
        tree = store.commit(tip).tree
        edits: Edits = {
            f"{run_folder('job', number)}/{RUN_FILE}": header(
                store, tree, number, {"run": origin, "step": step, "commit": tip}
            )
            for number, origin, step in forks
        }
        made = NewCommit(tree=store.edit_tree(tree, edits), parents=(tip,), by=BY, message="x\n")
        return runs.load_run(store, store.write("commit", made.unsigned()), "job", run)


def test_a_fork_is_read_with_the_run_that_it_left(team: Team) -> None:
    """Its steps are those that the other run had done, its records are its own."""
    fork = loaded(team, (2, 1, "two"), run=2)
    assert fork.records == ()
    assert (fork.status("one"), fork.status("two")) == ("completed", "pending")
    assert fork.origin == loaded(team, run=1)


def test_a_fork_of_a_fork_is_read_with_both(team: Team) -> None:
    """Each run finds the one that it left in the same tree."""
    fork = loaded(team, (2, 1, "three"), (3, 2, "three"), run=3)
    assert [fork.status(name) for name in ("one", "two", "three")] == [
        "completed",
        "completed",
        "pending",
    ]


@pytest.mark.parametrize(
    "forks,message",
    [
        ([(2, 2, "two")], "no fork of an earlier run"),
        ([(2, 3, "two"), (3, 2, "two")], "no fork of an earlier run"),
        ([(3, 2, "two")], "no folder plans/job/runs/2"),
    ],
)
def test_a_fork_of_what_is_not_there_is_not_read(
    team: Team, forks: list[tuple[int, int, str]], message: str
) -> None:
    """A run that forked from itself, in a circle or from a run that its tree lacks is refused."""
    with pytest.raises(GitError, match=message):
        loaded(team, *forks, run=forks[-1][0])


def test_many_forks_one_of_another_are_read(team: Team) -> None:
    """However long the chain, no step of it is walked twice."""
    forks = [(number, number - 1, "three") for number in range(2, 400)]
    assert loaded(team, *forks, run=399).status("two") == "completed"
