"""What an audit finds in headers, closing records and claims that a runner's own key signed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tampering import Edit, copy, findings, finished, forging
from team import Team, command

from runner.core.documents import dump
from runner.core.run import digest_bytes

BRANCH = "planlock/fac/1"
RUN = "plans/fac/runs/1"
END = f"{RUN}/003-end.yaml"


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return finished(tmp_path_factory.mktemp("ready"))


@pytest.fixture
def done(ready: Team, tmp_path: Path) -> Team:
    return copy(ready, tmp_path)


def keep(_: str, __: dict[str, Any]) -> None:
    """Change nothing."""


def setting(file: str, **values: Any) -> Edit:
    """Put values into one file of a run."""

    def put(name: str, value: dict[str, Any]) -> None:
        if name == file:
            value.update(values)

    return put


def claiming(**values: Any) -> Edit:
    """Put values into every gate decision of a run."""

    def put(_: str, value: dict[str, Any]) -> None:
        if "gate" in value:
            value["gate"].update(values)

    return put


def rechained(team: Team, edit: Edit, **files: bytes) -> dict[str, str]:
    """Rewrite the run with its runner's own key, and audit."""
    with forging(team) as forger:
        forger.rechain("fac/1", edit, key=forger.runner_key, files=files)
    return findings(team)


def test_rewriting_changes_nothing_by_itself(done: Team) -> None:
    """A run that its runner signed again with the same content is a sound run."""
    assert rechained(done, keep) == {}


def test_header_that_names_another_run(done: Team) -> None:
    """A header with another run's number is told."""
    assert "its header is of fac/7" in rechained(done, setting("run.yaml", run=7))["header_differs"]


def test_header_that_names_another_start(done: Team) -> None:
    """A run must start from the plan commit that its header names."""
    with forging(done) as forger:
        elsewhere = forger.commit(
            [forger.tip("plan/fac")], {}, like=forger.store.commit(forger.tip("plan/fac"))
        )
    found = rechained(done, setting("run.yaml", plan_tip=elsewhere))
    assert f"does not start from {elsewhere[:12]}" in found["foreign_commit"]


def test_first_commit_with_more_than_the_header(done: Team) -> None:
    """The commit that starts a run adds nothing else."""
    found = rechained(done, keep, **{f"{RUN}/run.yaml": b"", "x.txt": b"x"})
    assert "x.txt, not just plans/fac/runs/1/run.yaml" in found["foreign_commit"]


def test_read_step_that_changed_a_file(done: Team) -> None:
    """A step that only reads may not change anything, though its record tells it."""
    change = {"path": "x.txt", "before": None, "after": digest_bytes(b"x"), "mode": "100644"}
    edit = setting("001-read.yaml", changes=[{**change, "size": 1}])
    found = rechained(done, edit, **{f"{RUN}/001-read.yaml": b"", "x.txt": b"x"})
    assert "x.txt: a read_file step changes nothing" in found["unapproved_change"]
    assert "changes_differ" not in found


def test_edit_of_another_path(done: Team) -> None:
    """An edit step may not change another file than its own."""
    change = {"path": "x.txt", "before": None, "after": digest_bytes(b"x"), "mode": "100644"}

    def add(_: str, value: dict[str, Any]) -> None:
        if value.get("changes"):
            value["changes"].append({**change, "size": 1})

    with forging(done) as forger:
        utils = forger.read(BRANCH, "utils.py")
    found = rechained(done, add, **{"utils.py": utils, "x.txt": b"x"})
    assert "x.txt: the step edits utils.py" in found["unapproved_change"]


def test_edit_that_was_not_against_its_file(done: Team) -> None:
    """An edit whose pin does not match the file before it is found."""
    with forging(done) as forger:
        like = forger.store.commit(forger.tip("plan/fac"))
        tip = forger.commit([like.oid], {"utils.py": b"other\n"}, like=like)
        edit = setting("run.yaml", plan_tip=tip)
        forger.rechain("fac/1", edit, key=forger.runner_key, onto=tip)
    found = findings(done)
    assert "was not the file that the edit was written against" in found["changes_differ"]


def test_closing_record_of_another_plan(done: Team) -> None:
    """The closing record names the digest of the plan that ran."""
    found = rechained(done, setting("003-end.yaml", plan_digest=f"sha256:{'0' * 64}"))
    assert "003-end.yaml" in found["digest_differs"]


def test_record_after_the_end(done: Team) -> None:
    """Nothing comes after the closing record, and no number is left out."""
    with forging(done) as forger:
        value = forger.value(BRANCH, END)
        value["previous"] = digest_bytes(forger.read(BRANCH, END))
        forger.append(BRANCH, {f"{RUN}/009-end.yaml": dump(value)}, key=forger.runner_key)
    found = findings(done)
    assert "it comes after the closing record" in found["order"]
    assert "adds 009-end.yaml where 4 is next" in found["foreign_commit"]
    assert "009-end.yaml: no signature beside it" in found["unsigned_run"]


def test_status_that_no_step_can_have(done: Team) -> None:
    """A status outside the table of transitions is found."""
    found = rechained(done, setting("001-read.yaml", status="rolled_back"))
    assert "cannot go from pending to rolled_back" in found["order"]


def test_authority_from_before_the_policy(done: Team) -> None:
    """A commit without policy and keys allows nothing."""
    root = done.git("rev-list", "--max-parents=0", "main")
    found = rechained(done, claiming(authority=root))
    assert "no such file there" in found["authority_untrusted"]


def test_plan_commit_that_is_nowhere(done: Team) -> None:
    """A plan commit that the plan branch does not have is found while there is one."""
    found = rechained(done, claiming(plan_tip="1" * 40))
    assert "plan commit 111111111111 is gone" in found["plan_rewritten"]


def test_step_that_names_no_decision_is_not_allowed(done: Team) -> None:
    """A record without what the gate decided on cannot be re-decided."""

    def forget(name: str, value: dict[str, Any]) -> None:
        if name == "001-read.yaml":
            del value["gate"]

    found = rechained(done, forget)
    assert "names no decision of the gate" in found["not_allowed"]


@pytest.mark.usefixtures("confined")
def test_interrupted_command_audits_clean(tmp_path: Path) -> None:
    """A command whose runner was killed is recorded with what its intent relied on."""
    team = Team.governed(tmp_path, "bob")
    team.propose("job", command("sleep 30"))
    team.approve("bob", "job")
    runner = subprocess.Popen(
        [sys.executable, "-c", "from runner.cli.main import main; main(['run', 'job'])"],
        cwd=team.root,
        env=team.environment("ada"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with runner:
        assert runner.stderr is not None
        while b"Run it" not in runner.stderr.readline():
            pass
        runner.kill()
    assert team.cli("ada", "run", "job").code == 5
    assert "interrupted" in team.cli("ada", "log", "job").out
    audit = team.cli("ada", "audit")
    assert audit.code == 0, audit.out
    there = tmp_path / "clone"
    team.git("clone", "-q", f"file://{team.root}", str(there))
    assert team.cli("ada", "audit", cwd=there).code == 0


def test_policy_signed_by_a_stranger_is_noted(done: Team) -> None:
    """A change of the policy that a key signed which nobody had listed is noted as such."""
    with forging(done) as forger:
        text = forger.read("main", "plans/policy.yaml").replace(b"7d", b"9d")
        forger.append("main", {"plans/policy.yaml": text}, key=done.key("mallory"))
    notes = done.cli("ada", "audit", "--json").json["notes"]
    assert (
        "approved by nobody that the keys before it know: signed, not counted: key SHA256:"
        in (notes[0])
    )
