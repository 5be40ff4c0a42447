"""What an audit finds on plan branches, among approvals, in refs and in broken objects."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pytest
from tampering import copy, findings, finished, forging
from team import READ, Team, command

from runner.core.approval import NAMESPACE
from runner.git import command as git
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


def loose(team: Team, name: str) -> Path:
    """Take all packs apart; where the object lies that a name stands for."""
    objects = team.root / ".git/objects"
    for pack in objects.glob("pack/*.pack"):
        pack.with_suffix(".idx").unlink()
        data = pack.rename(team.base / pack.name).read_bytes()
        git.run(["unpack-objects", "-q"], git_dir=team.root / ".git", stdin=data)
    oid = team.git("rev-parse", name)
    return objects / oid[:2] / oid[2:]


def test_missing_object_is_a_finding(done: Team) -> None:
    """A lost object makes what needs it unreadable, and the rest is audited."""
    loose(done, f"{BRANCH}:{STEP}").unlink()
    assert "not in this repository" in findings(done)["unreadable"]


def test_missing_tree_is_a_finding(done: Team) -> None:
    """A lost folder of a run's commit is told with the commit."""
    commit = done.git("rev-parse", BRANCH)
    loose(done, f"{BRANCH}:{RUN}").unlink()
    assert commit[:12] in findings(done)["unreadable"]


def test_missing_commit_is_a_finding(done: Team) -> None:
    """A ref whose history is torn is told by its name, and others are audited."""
    done.propose("other", READ)
    loose(done, f"{BRANCH}~1").unlink()
    found = findings(done)
    assert f"refs/heads/{BRANCH}" in found["unreadable"]
    assert "run_missing" in found


def test_malformed_commit_is_a_finding(done: Team) -> None:
    """A ref that names something else than a commit is told."""
    blob = done.git("rev-parse", f"{BRANCH}:{STEP}")
    (done.root / ".git/refs/heads/planlock/fac/9").write_text(f"{blob}\n")
    assert "refs/heads/planlock/fac/9" in findings(done)["unreadable"]


def test_A27_rewritten_object_is_a_finding(done: Team) -> None:
    """A record whose object was rewritten in place is not believed."""
    blob = rewrite(done, f"{BRANCH}:{STEP}", b"version: 1", b"version: 2")
    assert f"its content is not what {blob} names" in findings(done)["unreadable"]


def rewrite(team: Team, name: str, old: bytes, new: bytes) -> str:
    """Put other content in the place of an object, whose id is given back."""
    place = loose(team, name)
    data = zlib.decompress(place.read_bytes())
    assert old in data
    place.chmod(0o644)
    place.write_bytes(zlib.compress(data.replace(old, new)))
    return place.parent.name + place.name


def test_A27_rewritten_history_is_a_finding(done: Team) -> None:
    """Commits and folders of old history are checked too, not only those that are read again."""
    done.commit({"plans/notes/a.txt": "a\n"}, "Write notes")
    done.git("rm", "-q", "-r", "plans/notes")
    done.git("commit", "-q", "-m", "Drop notes")
    done.commit({"x": "x\n"}, "Go on")
    changed = [
        rewrite(done, "main~1", b"Drop", b"Keep"),
        rewrite(done, "main~2:plans/notes", b"a.txt", b"b.txt"),
        rewrite(done, "plan/fac:plans/fac", b"plan.yaml", b"PLAN.yaml"),
    ]
    found = findings(done)["unreadable"]
    assert [f"its content is not what {oid} names" in found for oid in changed] == [True] * 3


@pytest.mark.parametrize("number", ["1000000", "999999999", f"1{'0' * 23}"])
def test_refs_of_runs_that_cannot_be(done: Team, number: str) -> None:
    """A number beyond all runs costs no time, and is told where a branch or tag has it."""
    done.git("update-ref", f"refs/planlock/leases/fac/{number}", "main")
    assert findings(done) == {}
    done.git("update-ref", f"refs/heads/planlock/fac/{number}", BRANCH)
    found = findings(done)
    assert set(found) == {"unreadable"}
    assert f"refs/heads/planlock/fac/{number}: run numbers go" in found["unreadable"]
    assert done.cli("ada", "run", "fac", "--new").code == 0
    assert done.git("rev-parse", "planlock/fac/2")


def test_gap_is_told_once(done: Team) -> None:
    """However many runs are missing below a number, that is one finding."""
    done.git("update-ref", "refs/planlock/leases/fac/999999", "main")
    found = findings(done)["run_missing"].splitlines()
    assert found == [
        "fac/2 to fac/999998: no branch and no tag, but there is run 999999",
        "fac/999999: no branch and no tag, but plans/fac/runs/999999/run.yaml was committed",
    ]
    done_run = done.cli("ada", "run", "fac", "--new")
    assert (done_run.code, "[repository_unsuitable]" in done_run.err) == (5, True), done_run.text


def test_lease_of_no_number(done: Team) -> None:
    """A lease whose name only looks like a number is passed over."""
    done.git("update-ref", "refs/planlock/leases/fac/\N{SUPERSCRIPT TWO}", "main")
    result = done.cli("ada", "run", "fac", "--new")
    assert result.code == 0, result.text


def test_record_of_no_number(done: Team) -> None:
    """A record named with a digit that is no number is wrong, and no bug."""
    with forging(done) as forger:
        name = f"{RUN}/\N{SUPERSCRIPT TWO}-x.yaml"
        forger.append(BRANCH, {name: forger.read(BRANCH, STEP)}, key=forger.runner_key)
    for verb in ("audit", "log", "status"):
        result = done.cli("ada", verb, *(["fac"] if verb != "audit" else []))
        assert result.code in {0, 1, 4, 5}, result.text
    assert "foreign_commit" in findings(done)


def test_links_audit_clean(tmp_path: Path) -> None:
    """A command that was allowed to make, change and remove links is no fault."""
    team = Team.governed(tmp_path, "bob")
    more = 'writes: ["**"]\n'
    steps = command("ln -s utils.py link", name="make", more=more)
    steps += command("ln -sf nowhere link", name="turn", more=more)
    steps += command("rm link", name="drop", more=more)
    team.propose("links", steps)
    team.approve("bob", "links")
    result = team.cli("ada", "run", "links")
    assert result.code == 0, result.text
    assert findings(team) == {}
