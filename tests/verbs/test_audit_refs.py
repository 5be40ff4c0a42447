"""What an audit finds on plan branches, among approvals, in refs and in broken objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tampering import copy, findings, finished, forging
from team import READ, Team

from runner.core.approval import NAMESPACE
from runner.git.signing import FileSigner

BRANCH = "planlock/fac/1"
RUN = "plans/fac/runs/1"
STEP = f"{RUN}/002-edit.yaml"
END = f"{RUN}/003-end.yaml"


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return finished(tmp_path_factory.mktemp("ready"))


@pytest.fixture
def done(ready: Team, tmp_path: Path) -> Team:
    return copy(ready, tmp_path)


def test_strays_beside_a_plan(done: Team) -> None:
    """A file that was pushed beside the plan is found on the plan branch."""
    with forging(done) as forger:
        forger.append("plan/fac", {"conftest.py": b"evil\n"}, key=done.key("cleo"))
    assert "conftest.py" in findings(done)["plan_strays"]


def test_plan_branch_without_a_plan(done: Team) -> None:
    """A plan branch that holds no readable plan is told, and the rest is audited."""
    with forging(done) as forger:
        forger.append("plan/fac", {"plans/fac/plan.yaml": b"steps: ["})
        forger.point("refs/heads/plan/empty", forger.tip("main"))
    found = findings(done)
    assert "plans/fac/plan.yaml:1:" in found["unreadable"]
    assert "it holds no plans/empty/plan.yaml" in found["unreadable"]


def approval(team: Team) -> str:
    return team.git("ls-tree", "-r", "--name-only", "plan/fac", "plans/fac/approvals").split()[0]


def test_unreadable_approval(done: Team) -> None:
    """A file among the approvals that is no record is told."""
    with forging(done) as forger:
        forger.append("plan/fac", {"plans/fac/approvals/note.yaml": b"ok: yes\n"})
    assert "note.yaml" in findings(done)["approval_unreadable"]


def test_changed_approval(done: Team) -> None:
    """An approval changed in place no longer has its signature, and has two versions."""
    path = approval(done)
    with forging(done) as forger:
        data = forger.read("plan/fac", path).replace(b"bob@", b"cleo@")
        forger.append("plan/fac", {path: data})
    found = findings(done)
    assert path in found["approval_changed"]
    assert path in found["approval_unsigned"]


def test_unsigned_approval(done: Team) -> None:
    """An approval without a signature beside it is told."""
    path = "plans/fac/approvals/01JDA7Q4Z0M5W8K2N3P6R9T1V4.yaml"
    with forging(done) as forger:
        forger.append("plan/fac", {path: forger.read("plan/fac", approval(done))})
    found = findings(done)
    assert found["approval_unsigned"] == f"{path}: no signature beside it"
    assert "its id is" in found["approval_misplaced"]


def test_forged_approval(done: Team) -> None:
    """An approval that names bob and is signed by cleo is told, with whose key it was."""
    path = approval(done)
    with forging(done) as forger:
        data = forger.read("plan/fac", path)
        for key in (done.key("cleo"), done.key("mallory")):
            armored = FileSigner(key).sign(data, namespace=NAMESPACE)
            forger.append("plan/fac", {f"{path}.sig": armored})
    found = findings(done)
    assert "it names bob@example.com, but key" in found["approval_forged"]
    assert "of cleo@example.com signed it" in found["approval_forged"]
    assert "of nobody listed signed it" in found["approval_forged"]


def test_deleted_approval(done: Team) -> None:
    """An approval that a commit deleted is told once, though merges repeat it."""
    path = approval(done)
    with forging(done) as forger:
        commit = forger.append("plan/fac", {path: None})
        forger.append("main", {"x": b""}, merge="plan/fac")
    found = findings(done)["approval_deleted"].splitlines()
    assert found[0] == f"{path}: deleted by commit {commit[:12]}"
    assert len(found) == 2
    assert found[1].startswith(f"{path}.sig: deleted by merge commit")


def test_run_without_branch_and_tag(done: Team) -> None:
    """A run that its lease or a later run implies is missed."""
    done.git("branch", "-D", BRANCH)
    done.git("tag", "-d", "planlock-run/fac/1")
    assert "there is run 1" not in findings(done)["run_missing"]
    done.git("update-ref", "-d", "refs/planlock/leases/fac/1")
    assert findings(done) == {}


def test_gap_in_run_numbers(done: Team) -> None:
    """A run below the highest number is missed."""
    assert done.cli("ada", "run", "fac", "--new").code == 0
    done.git("branch", "-D", BRANCH)
    done.git("tag", "-d", "planlock-run/fac/1")
    done.git("update-ref", "-d", "refs/planlock/leases/fac/1")
    assert findings(done)["run_missing"] == "fac/1: no branch and no tag, but there is run 2"


def test_branch_behind_its_tag(done: Team) -> None:
    """A run's branch that was reset to an earlier commit is found by its tag."""
    done.git("update-ref", f"refs/heads/{BRANCH}", f"{BRANCH}~1")
    assert set(findings(done)) == {"tag_mismatch"}


def test_header_of_another_run(done: Team) -> None:
    """A branch that shows another run's header is told."""
    done.git("update-ref", "refs/heads/planlock/fac/2", BRANCH)
    assert "plans/fac/runs/2/run.yaml" in findings(done)["unreadable"]


def test_header_with_other_facts(done: Team) -> None:
    """A header must be about this repository and this plan's base."""

    def move(name: str, value: dict[str, Any]) -> None:
        if name == "run.yaml":
            value["repository"] = "0f8e6c1e-7d0b-4f5e-9a53-0f3c2b7a9d11"

    with forging(done) as forger:
        forger.rechain("fac/1", move, key=forger.runner_key)
    assert "repository is 0f8e6c1e" in findings(done)["header_differs"]


def test_broken_record_is_a_finding(done: Team) -> None:
    """A record that is no YAML makes the run unreadable, not the audit."""
    with forging(done) as forger:
        forger.amend(BRANCH, {END: b"steps: ["}, key=forger.runner_key)
    assert END in findings(done)["unreadable"]


def test_missing_object_is_a_finding(done: Team) -> None:
    """A lost object makes what needs it unreadable, and the rest is audited."""
    blob = done.git("rev-parse", f"{BRANCH}:{STEP}")
    (done.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    assert "not in this repository" in findings(done)["unreadable"]


def test_missing_tree_is_a_finding(done: Team) -> None:
    """A lost folder of a run's commit is told with the commit."""
    commit = done.git("rev-parse", BRANCH)
    tree = done.git("rev-parse", f"{BRANCH}:{RUN}")
    (done.root / ".git/objects" / tree[:2] / tree[2:]).unlink()
    assert commit[:12] in findings(done)["unreadable"]


def test_missing_commit_is_a_finding(done: Team) -> None:
    """A ref whose history is torn is told by its name, and others are audited."""
    done.propose("other", READ)
    commit = done.git("rev-parse", f"{BRANCH}~1")
    (done.root / ".git/objects" / commit[:2] / commit[2:]).unlink()
    found = findings(done)
    assert f"refs/heads/{BRANCH}" in found["unreadable"]
    assert "run_missing" in found


def test_malformed_commit_is_a_finding(done: Team) -> None:
    """A ref that names something else than a commit is told."""
    blob = done.git("rev-parse", f"{BRANCH}:{STEP}")
    (done.root / ".git/refs/heads/planlock/fac/9").write_text(f"{blob}\n")
    assert "refs/heads/planlock/fac/9" in findings(done)["unreadable"]
