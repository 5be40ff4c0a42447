"""Branches that are checked out somewhere: moved with their work tree, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from team import EDIT, READ, Team

from runner.core.errors import BranchBusy
from runner.git import checkouts
from runner.git.objects import FILE, Entry, ObjectStore


def test_checked_out_plan_branch_goes_along(team: Team) -> None:
    """Where the plan branch is checked out, an approval arrives in its clean work tree too."""
    team.propose("job", READ + EDIT)
    (team.root / "plans/job/plan.yaml").unlink()
    team.git("switch", "-q", "plan/job")
    team.approve("bob", "job")
    assert team.git("status", "--porcelain") == ""
    assert len(list((team.root / "plans/job/approvals").iterdir())) == 2


def test_checked_out_plan_branch_with_changes(team: Team) -> None:
    """A branch that somebody is changing is not moved under their hands."""
    team.propose("job", READ)
    (team.root / "plans/job/plan.yaml").unlink()
    team.git("switch", "-q", "plan/job")
    plan = team.root / "plans/job/plan.yaml"
    plan.write_text(plan.read_text().replace("Look", "Look closely"))
    assert team.cli("ada", "propose", "job").code == 0
    assert team.git("status", "--porcelain") == ""
    plan.write_text(plan.read_text().replace("Look closely", "Look away"))
    clone = team.root.parent / "beside"
    team.git("worktree", "add", "-q", str(clone), "main")
    shutil.copytree(team.root / "plans/job", clone / "plans/job")
    (clone / "plans/job/plan.yaml").write_text(plan.read_text().replace("away", "elsewhere"))
    before = team.git("for-each-ref", "refs/heads")
    result = team.cli("ada", "propose", "job", cwd=clone)
    assert (result.code, "refused[branch_busy]" in result.err) == (4, True), result.text
    assert "hint: commit or remove them there" in result.err
    assert team.git("for-each-ref", "refs/heads") == before
    assert "Look away" in plan.read_text()


def test_linked_and_vanished_work_trees(team: Team, tmp_path: Path) -> None:
    """A linked work tree is a place to work; one whose folder is gone is no hindrance."""
    team.propose("job", READ + EDIT)
    linked, gone = tmp_path / "linked", tmp_path / "gone"
    team.git("worktree", "add", "-q", str(linked))
    team.git("worktree", "add", "-q", str(gone), "plan/job")
    shutil.rmtree(gone)
    assert team.cli("bob", "approve", "job", cwd=linked).code == 0
    assert team.cli("ada", "run", "job", cwd=linked).code == 0


def test_list_of_work_trees(team: Team, tmp_path: Path) -> None:
    """Every work tree is listed with its branch; a detached one has none, a vanished one is out."""
    linked, detached, gone = (tmp_path / name for name in ("a b", "detached", "gone"))
    team.git("worktree", "add", "-q", "-b", "other", str(linked))
    team.git("worktree", "add", "-q", "--detach", str(detached))
    team.git("worktree", "add", "-q", "-b", "gone", str(gone))
    shutil.rmtree(gone)
    found = {each.folder: each.branch for each in checkouts.list_all(team.root / ".git")}
    assert found == {
        team.root: "refs/heads/main",
        linked: "refs/heads/other",
        detached: None,
    }


def test_bare_repository_has_no_work_tree(team: Team, tmp_path: Path) -> None:
    """A bare repository's HEAD is no checkout."""
    bare = tmp_path / "bare.git"
    team.git("clone", "-q", "--bare", str(team.root), str(bare))
    assert checkouts.of_branch(bare, "refs/heads/main") is None


@pytest.mark.parametrize("local", [None, "old\n", "mine\n"])
def test_only_clean_files_are_moved(team: Team, local: str | None) -> None:
    """A path may be absent or as the branch had it; anything else is somebody's work."""
    place = checkouts.Checkout(folder=team.root, branch="refs/heads/main")
    if local is not None:
        team.write({"note": local})
    with ObjectStore(team.root / ".git", team.root / ".git/objects") as store:
        had = {"note": Entry(mode=FILE, oid=store.write("blob", b"old\n"))}
        if local == "mine\n":
            with pytest.raises(BranchBusy, match="note has changes"):
                checkouts.check_clean(place, store, had)
            return
        checkouts.check_clean(place, store, had)
        new = Entry(mode=FILE, oid=store.write("blob", b"new\n"))
        checkouts.advance(place, store, {"note": new, "deep/er": new, "utils.py": None})
    assert (team.root / "note").read_text() == "new\n"
    assert not (team.root / "utils.py").exists()
    assert team.git("diff", "--name-only") == ""
    assert team.git("diff", "--cached", "--name-only").split() == ["deep/er", "note", "utils.py"]
