"""`planlock audit` on histories that nobody tampered with."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_script import write_script
from tampering import copy, findings, finished, forging
from team import CHECK, EDIT, READ, Team, command

from runner.verbs import audit

ASK = "- {id: ask, step_type: analyze, description: Think, input: {instruction: Say what it is}}\n"
NOTES = """\
- id: {0}
  step_type: edit_file
  description: Write {0}
  input: {{path: {0}.txt, new_content: "{0}\\n"}}
"""


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return finished(tmp_path_factory.mktemp("ready"))


@pytest.fixture
def done(ready: Team, tmp_path: Path) -> Team:
    return copy(ready, tmp_path)


def clone(team: Team) -> Path:
    there = team.base / "clone"
    team.git("clone", "-q", f"file://{team.root}", str(there))
    return there


def test_clean_run_audits_clean(done: Team) -> None:
    """A run as the runner makes it gives no finding, and exit code 0."""
    report = done.cli("ada", "audit")
    assert report.code == 0, report.text
    assert "clean: 1 run(s), 2 step record(s), 1 approval record(s)" in report.out
    assert "trusted refs/heads/main@" in report.out


def test_json_tells_the_same(done: Team) -> None:
    """The JSON report holds findings, notes and counts."""
    report = done.cli("ada", "audit", "--json").json
    assert report["findings"] == []
    assert (report["runs"], report["steps"], report["approvals"]) == (1, 2, 1)


def test_plain_clone_audits_clean(done: Team) -> None:
    """A clone that nobody initialised is judged by origin's default branch."""
    there = clone(done)
    report = done.cli("cleo", "audit", cwd=there)
    assert report.code == 0, report.text
    assert "1 run(s)" in report.out
    assert "trusted refs/remotes/origin/main@" in report.out


def test_clone_is_audited_offline(done: Team) -> None:
    """The audit of a clone needs nothing of the repository that it came from."""
    there = clone(done)
    done.root.rename(done.base / "gone")
    assert findings(done, cwd=there) == {}


def test_initialised_clone_is_audited_offline(done: Team) -> None:
    """A clone with a remote home is judged by the home's branch as it was last fetched."""
    done.git("clean", "-qfd")
    there = clone(done)
    done.git("config", "planlock.home", f"file://{done.root}", cwd=there)
    done.git("config", "planlock.trustedRef", "refs/heads/main", cwd=there)
    assert done.cli("ada", "audit", cwd=there).code == 0
    assert done.cli("ada", "status", "fac", cwd=there).code == 0
    done.root.rename(done.base / "gone")
    done.git("update-ref", "-d", "refs/remotes/origin/main", cwd=there)
    report = done.cli("ada", "audit", cwd=there)
    assert report.code == 0, report.text
    assert "trusted refs/heads/main@" in report.out


def test_clone_without_any_default_branch(done: Team) -> None:
    """Where nothing tells which branch is trusted, the audit refuses to guess."""
    there = clone(done)
    done.git("symbolic-ref", "-d", "refs/remotes/origin/HEAD", cwd=there)
    report = done.cli("ada", "audit", cwd=there)
    assert report.code == 3
    assert "git remote set-head origin --auto" in report.text


def test_squash_merge_and_deleted_branches_audit_clean(done: Team) -> None:
    """After a squash merge the tag alone keeps the run, here and in a clone."""
    done.git("checkout", "-q", "--", ".")
    done.git("clean", "-qfd")
    done.git("merge", "-q", "--squash", "planlock/fac/1")
    done.git("commit", "-q", "-m", "Add factorial")
    done.git("branch", "-q", "-D", "planlock/fac/1", "plan/fac")
    assert findings(done) == {}
    assert findings(done, cwd=clone(done)) == {}


def test_merge_commit_audits_clean(done: Team) -> None:
    """A run that was merged with a merge commit stays in order."""
    done.git("clean", "-qfd")
    done.git("merge", "-q", "--no-ff", "-m", "Merge", "planlock/fac/1")
    assert findings(done) == {}


def test_approval_in_the_middle_of_a_run(team: Team) -> None:
    """A run that waited for approvals audits clean, with its plan branch and without."""
    team.propose("notes", READ + NOTES.format("one") + NOTES.format("two"))
    assert team.cli("ada", "run", "notes").code == 4
    team.approve("bob", "notes", "--step", "one")
    assert team.cli("ada", "run", "notes").code == 4
    team.approve("bob", "notes")
    assert team.cli("ada", "run", "notes").code == 0
    assert findings(team) == {}
    team.git("branch", "-q", "-D", "plan/notes")
    report = team.cli("ada", "audit", cwd=clone(team))
    assert report.code == 0, report.text
    assert "of a deleted branch; its approvals are copied here" in report.out


def test_amended_plan_audits_clean(team: Team) -> None:
    """A run that adopted appended steps audits clean."""
    team.propose("notes", NOTES.format("one") + NOTES.format("two"))
    team.approve("bob", "notes")
    path = team.root / "plans/notes/plan.yaml"
    assert team.cli("ada", "run", "notes", "--until", "one").code == 0
    path.write_text(path.read_text() + "".join(f"  {x}\n" for x in READ.splitlines()))
    assert team.cli("ada", "propose", "notes").code == 0
    done = team.cli("ada", "run", "notes")
    assert done.code == 0, done.text
    assert "kind: amendment" in team.show_file(
        "planlock/notes/1", "plans/notes/runs/1/002-plan.yaml"
    )
    assert findings(team) == {}


def test_rejected_step_is_a_lawful_skip(team: Team) -> None:
    """A skip stands where a person rejected the step, and later steps were approved after it."""
    team.propose("notes", NOTES.format("one") + NOTES.format("two"))
    assert team.cli("bob", "reject", "notes", "--step", "one").code == 0
    assert team.cli("ada", "run", "notes").code == 4
    team.approve("cleo", "notes")
    done = team.cli("ada", "run", "notes")
    assert done.code == 0, done.text
    assert findings(team) == {}


def test_failed_step_and_second_attempt(team: Team) -> None:
    """A failed attempt and its repetition are in order."""
    text = "- id: a\n  step_type: read_file\n  description: Read\n  input: {path: later.txt}\n"
    team.propose("late", text)
    assert team.cli("ada", "run", "late").code == 5
    assert team.cli("ada", "run", "late", "--retry").code == 5
    assert findings(team) == {}


@pytest.mark.usefixtures("confined")
def test_command_with_declared_changes(team: Team) -> None:
    """A command's declared change audits clean."""
    more = "writes: ['*.txt']\n"
    team.propose("fac", EDIT + command("echo hi > out.txt", more=more) + command(CHECK, name="c"))
    team.approve("bob", "fac")
    assert team.cli("ada", "run", "fac").code == 0
    assert findings(team) == {}


def test_model_calls_and_costs_add_up(team: Team) -> None:
    """A run that asked a model audits clean, call files and totals included."""
    team.propose("ask", ASK)
    env = write_script(team.base / "model.yaml", ("Say what it is", "It is it."))
    assert team.cli("ada", "run", "ask", env=env).code == 0
    assert findings(team) == {}


def test_two_runs_of_one_plan(done: Team) -> None:
    """Each run is judged by what had been used before it."""
    assert done.cli("ada", "run", "fac", "--new").code == 0
    assert findings(done) == {}


def test_self_approval_by_policy_is_noted(tmp_path: Path) -> None:
    """Where the policy lets people approve their own plans, the audit says where they did."""
    team = Team.governed(tmp_path, solo=True)
    team.propose("fac", EDIT)
    team.approve("ada", "fac")
    assert team.cli("ada", "run", "fac").code == 0
    report = team.cli("ada", "audit")
    assert report.code == 0, report.text
    assert "self-approval, which the policy allows: ada@example.com is the plan's author" in (
        report.out
    )


def test_unsigned_plans_point_out_the_residual(tmp_path: Path) -> None:
    """Where plans need not be signed, the audit says that their author is only a claim (A31)."""
    team = Team.governed(tmp_path, "bob")
    team.policy("plans_signed: true", "plans_signed: false")
    team.propose("fac", EDIT)
    with forging(team) as forger:
        forger.amend("plan/fac", {})
    team.approve("bob", "fac")
    assert team.cli("ada", "run", "fac").code == 0
    report = team.cli("ada", "audit")
    assert report.code == 0, report.text
    assert "that ada@example.com is the author is a claim" in report.out


def test_ungoverned_clone_is_refused(tmp_path: Path) -> None:
    """A repository without a policy is not governed; nothing is found in it, or not."""
    team = Team.start(tmp_path)
    assert team.cli("ada", "audit").code == 3


def test_every_code_is_explained() -> None:
    """Each finding code has one sentence that says what it means."""
    assert list(audit.CODES) == sorted(audit.CODES)
    assert all(text.endswith(".") for text in audit.CODES.values())


def test_two_audits_say_the_same(done: Team) -> None:
    """Findings come in the same order each time."""
    with forging(done) as forger:
        forger.append("planlock/fac/1", {"a.txt": b"", "b.txt": b""})
        forger.amend("plan/fac", {"x.txt": b""})
    first = done.cli("ada", "audit", "--json")
    assert first.code == 1
    assert first.out == done.cli("ada", "audit", "--json").out
