"""A run that is merged is taken back by a new branch, ready for a pull request."""

from __future__ import annotations

from pathlib import Path

import pytest
from forging import codes
from team import EDIT, UTILS, Team, command
from undo_steps import undone

MAKE = command("echo made > made.txt", name="make", more="writes: [made.txt]\n")
BRANCH = "rollback/job-1"
OTHER = {"other.txt": "kept\n"}


def merged(team: Team, steps: str, how: str) -> None:
    """Run a plan, and merge its branch into main as a forge would."""
    team.propose("job", steps)
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job").code == 0
    team.git("clean", "-q", "-fd", "plans")
    if how == "merge":
        team.git("merge", "-q", "--no-ff", "-m", "Merge", "planlock/job/1")
    elif how == "squash":
        team.git("merge", "-q", "--squash", "planlock/job/1")
        team.git("commit", "-q", "-m", "Squash")
    else:
        team.git("checkout", "-q", "planlock/job/1", "--", "utils.py", "made.txt")
        team.git("commit", "-q", "-m", "Its files alone")
    team.commit(OTHER, "Go on")


def changed(team: Team, old: str, new: str) -> list[str]:
    return team.git("diff", "--name-status", old, new).split("\n")


@pytest.mark.usefixtures("confined")
@pytest.mark.parametrize("how", ["merge", "squash", "files"])
def test_a_merged_run_gets_a_branch_that_takes_it_back(team: Team, how: str) -> None:
    """It has one signed commit on the trusted branch, which changes the run's files and no other."""
    merged(team, EDIT + MAKE, how)
    shown = team.cli("ada", "rollback", "job", "--dry-run")
    assert f"branch {BRANCH} takes the changes back" in shown.out
    done = team.cli("ada", "rollback", "job", "--yes", "--json")
    assert done.code == 0, done.text
    assert (done.json["status"], done.json["proposed"]) == ("rolled_back", BRANCH)
    assert team.git("rev-parse", f"{BRANCH}~1") == team.git("rev-parse", "main")
    assert changed(team, "main", BRANCH) == ["D\tmade.txt", "M\tutils.py"]
    assert f"{team.show_file(BRANCH, 'utils.py')}\n" == UTILS
    assert "SSH SIGNATURE" in team.git("cat-file", "commit", BRANCH)
    assert "made.txt" not in team.git("ls-tree", "--name-only", "planlock/job/1")
    team.git("fsck", "--strict")
    audited = team.cli("ada", "audit")
    assert audited.code == 0, audited.text


@pytest.mark.usefixtures("confined")
def test_only_the_steps_from_the_named_one_on_are_taken_back(team: Team) -> None:
    """What the run did before stays merged."""
    merged(team, EDIT + MAKE, "merge")
    assert team.cli("ada", "rollback", "job", "--to", "make", "--yes").code == 0
    assert changed(team, "main", BRANCH) == ["D\tmade.txt"]


@pytest.mark.usefixtures("confined")
def test_a_run_that_is_not_merged_gets_no_branch(team: Team) -> None:
    """Its own branch is all there is to take back."""
    team.propose("job", EDIT)
    team.approve("bob", "job")
    team.cli("ada", "run", "job")
    team.commit(OTHER, "Go on")
    assert team.cli("ada", "rollback", "job", "--yes", "--json").json["proposed"] == ""
    assert team.refs("refs/heads/rollback") == []


@pytest.mark.usefixtures("confined")
@pytest.mark.parametrize("how", ["merge", "squash"])
def test_paths_that_changed_since_are_told_and_refused(team: Team, how: str) -> None:
    """Nothing is done: no undo command runs, and no record is written."""
    team.policy("require: confined", "require: none")
    outside = team.base / "outside"
    merged(team, EDIT + undone("true", f"touch {outside}", name="one"), how)
    team.commit({"utils.py": "def add(a, b):\n    return b + a\n"}, "Another change")
    assert "CHANGED SINCE" in team.cli("ada", "rollback", "job", "--dry-run").out
    tip = team.git("rev-parse", "planlock/job/1")
    refused = team.cli("ada", "rollback", "job", "--yes", "--json")
    assert (refused.code, codes(refused)) == (4, ["rollback_conflict"])
    assert "utils.py has changed" in refused.out
    assert team.git("rev-parse", "planlock/job/1") == tip
    assert not outside.exists()


@pytest.mark.usefixtures("confined")
def test_what_is_as_before_already_needs_no_branch(team: Team) -> None:
    """Somebody reverted the merge by hand."""
    merged(team, EDIT, "merge")
    team.commit({"utils.py": UTILS}, "Revert by hand")
    done = team.cli("ada", "rollback", "job", "--yes", "--json")
    assert (done.code, done.json["proposed"]) == (0, "")
    assert team.refs("refs/heads/rollback") == []


@pytest.mark.usefixtures("confined")
@pytest.mark.parametrize("how", ["merge", "squash"])
def test_branches_that_are_deleted_after_the_merge_come_back(team: Team, how: str) -> None:
    """A forge deletes them: the run's tag keeps its commits, and its undo is still approved."""
    team.policy("require: confined", "require: none")
    outside: Path = team.base / "outside"
    merged(team, EDIT + undone("true", f"touch {outside}", name="one"), how)
    team.git("branch", "-q", "-D", "planlock/job/1", "plan/job")
    done = team.cli("ada", "rollback", "job", "--yes", "--json")
    assert done.code == 0, done.text
    assert outside.exists()
    assert done.json["proposed"] == BRANCH
    assert team.git("rev-parse", "planlock/job/1~2") == team.git("rev-parse", "planlock-run/job/1")
    audited = team.cli("ada", "audit")
    assert audited.code == 0, audited.text


@pytest.mark.usefixtures("confined")
def test_a_branch_of_that_name_with_other_content_is_left_alone(team: Team) -> None:
    """It is somebody else's; the hint is to rename it, and the rollback can be asked for again."""
    merged(team, EDIT, "merge")
    team.git("branch", BRANCH, "main~1")
    refused = team.cli("ada", "rollback", "job", "--yes")
    assert refused.code == 4
    assert f"there is another branch {BRANCH}" in refused.err
    assert team.git("rev-parse", BRANCH) == team.git("rev-parse", "main~1")
    team.git("branch", "-q", "-m", BRANCH, "mine")
    assert team.cli("ada", "rollback", "job", "--yes").code == 0


@pytest.mark.usefixtures("confined")
def test_a_branch_that_a_killed_rollback_left_is_used(team: Team) -> None:
    """The branch is made before the record; the next call finds it."""
    merged(team, EDIT, "merge")
    assert team.cli("ada", "rollback", "job", "--yes").code == 0
    tip = team.git("rev-parse", BRANCH)
    for ref in ("refs/heads/planlock/job/1", "refs/planlock/seen/run/job/1"):
        team.git("update-ref", ref, "planlock-run/job/1")
    again = team.cli("ada", "rollback", "job", "--yes")
    assert again.code == 0, again.text
    assert team.git("rev-parse", BRANCH) == tip
