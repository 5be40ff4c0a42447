"""Each way of tampering with a history has its finding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from model_script import write_script
from tampering import copy, findings, finished, forging
from team import EDIT, READ, Team

BRANCH = "planlock/fac/1"
RUN = "plans/fac/runs/1"
STEP = f"{RUN}/002-edit.yaml"
END = f"{RUN}/003-end.yaml"
ASK = "- {id: ask, step_type: analyze, description: Think, input: {instruction: Say it}}\n"


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return finished(tmp_path_factory.mktemp("ready"))


@pytest.fixture
def done(ready: Team, tmp_path: Path) -> Team:
    return copy(ready, tmp_path)


def keep(_: str, __: dict[str, Any]) -> None:
    """Change nothing."""


def test_tampered_record_on_the_tip(done: Team) -> None:
    """A closing record changed by amending the last commit is found by its signatures."""
    with forging(done) as forger:
        forger.amend(BRANCH, {END: forger.read(BRANCH, END).replace(b'"0.00"', b'"9.00"')})
    found = findings(done)
    assert {"unsigned_commit", "unsigned_run", "cost_differs", "tag_mismatch"} <= set(found)
    assert "two" not in found["record_changed"]
    assert END in found["record_changed"]


def test_record_changed_by_a_later_commit(done: Team) -> None:
    """A record that another commit changes in place is found, with that commit."""
    with forging(done) as forger:
        data = forger.read(BRANCH, STEP).replace(b"attempt: 1", b"attempt: 2")
        commit = forger.append(BRANCH, {STEP: data}, key=forger.runner_key)
    found = findings(done)
    assert commit[:12] in found["record_changed"]
    assert "adds 0 records" in found["foreign_commit"]
    assert "003-end.yaml: `previous` is not the digest" in found["chain_broken"]


def test_record_deleted_by_a_later_commit(done: Team) -> None:
    """A deleted record is found in the commit that deleted it."""
    with forging(done) as forger:
        commit = forger.append(BRANCH, {STEP: None}, key=forger.runner_key)
    found = findings(done)
    assert found["record_deleted"] == f"{STEP}: deleted by commit {commit[:12]}"
    assert "chain_broken" in found


def test_record_that_differs_on_the_trusted_branch(done: Team) -> None:
    """A squash merge that brings another record than the run's branch has is found."""
    with forging(done) as forger:
        data = forger.read(BRANCH, STEP).replace(b"bob@", b"cleo@")
        forger.append("main", {STEP: data})
    assert STEP in findings(done)["record_changed"]


def test_extra_file_in_a_commit(done: Team) -> None:
    """A file that the record does not tell of is found, though the runner's key signed it."""
    with forging(done) as forger:
        forger.rechain("fac/1", keep, key=forger.runner_key, files={"utils.py": b"evil\n"})
    found = findings(done)
    assert "tells another content or mode of utils.py" in found["changes_differ"]
    assert "utils.py is" in found["changes_differ"]


def test_extra_path_in_a_commit(done: Team) -> None:
    """A path outside the record's changes is found."""
    with forging(done) as forger:
        forger.amend(BRANCH, {"evil.py": b"evil\n"}, key=forger.runner_key)
    assert (
        "changes evil.py, of which 003-end.yaml tells nothing" in findings(done)["changes_differ"]
    )


def test_other_plans_file_in_a_commit(done: Team) -> None:
    """A run that touches another plan's folder is found."""
    with forging(done) as forger:
        forger.amend(BRANCH, {"plans/other/plan.yaml": b"x"}, key=forger.runner_key)
    assert "plans/other/plan.yaml" in findings(done)["foreign_commit"]


def test_foreign_commit_on_a_run(done: Team) -> None:
    """A commit without a record does not belong on a run's branch."""
    with forging(done) as forger:
        forger.append(BRANCH, {"utils.py": b"evil\n"}, key=done.key("bob"))
    found = findings(done)
    assert "adds 0 records and changes utils.py" in found["foreign_commit"]
    assert "signed by bob@example.com" in found["wrong_signer"]


def test_changed_trailers(done: Team) -> None:
    """Trailers that tell another story than the record are found."""
    with forging(done) as forger:
        old = forger.store.commit(forger.tip(BRANCH))
        told = type(old)(**{**vars(old), "message": old.message.replace("Run: 1", "Run: 7")})
        new = forger.write(old.parents, old.tree, like=told, key=forger.runner_key)
        forger.point(f"refs/heads/{BRANCH}", new)
    assert "('Run', '7')" in findings(done)["trailer_mismatch"]


def test_swapped_approval(done: Team) -> None:
    """A record that names an approval which did not count is found."""

    def swap(_: str, value: dict[str, Any]) -> None:
        if "gate" in value:
            value["gate"]["approvals"] = [f"sha256:{'0' * 64}"]

    with forging(done) as forger:
        forger.rechain("fac/1", swap, key=forger.runner_key)
    found = findings(done)
    assert "approval 000000000000 is nowhere in this repository" in found["not_allowed"]


def test_swapped_approver(done: Team) -> None:
    """A record that names another approver than its approvals do is found."""

    def swap(_: str, value: dict[str, Any]) -> None:
        if "gate" in value:
            value["gate"]["approvers"] = ["cleo@example.com"]

    with forging(done) as forger:
        forger.rechain("fac/1", swap, key=forger.runner_key)
    found = findings(done)
    assert "['cleo@example.com'], whose approvals do not count" in found["not_allowed"]
    assert "trailer_mismatch" in found


def test_step_without_a_decision(done: Team) -> None:
    """A step that names no decision of the gate is found."""

    def drop(_: str, value: dict[str, Any]) -> None:
        value.pop("gate", None)

    with forging(done) as forger:
        forger.rechain("fac/1", drop, key=forger.runner_key)
    assert "names no decision" in findings(done)["not_allowed"]


def test_step_that_nobody_approved(team: Team) -> None:
    """A runner that executes without asking the gate is found out."""
    team.policy("edit_file: 1", "edit_file: 0")
    team.propose("fac", EDIT)
    assert team.cli("ada", "run", "fac").code == 0
    team.policy("edit_file: 0", "edit_file: 1")
    strict = team.git("rev-parse", "main")

    def claim(_: str, value: dict[str, Any]) -> None:
        if "gate" in value:
            value["gate"]["authority"] = strict

    with forging(team) as forger:
        forger.rechain("fac/1", claim, key=forger.runner_key)
    assert "1 of 1 approval missing" in findings(team)["not_allowed"]


def test_skip_that_nobody_asked_for(done: Team) -> None:
    """A skip needs a standing reject."""

    def skip(name: str, value: dict[str, Any]) -> None:
        if name == "001-read.yaml":
            value |= {"kind": "skip", "status": "skipped"}

    with forging(done) as forger:
        forger.rechain("fac/1", skip, key=forger.runner_key)
    assert "was skipped, but nobody rejected it" in findings(done)["not_allowed"]


def test_steps_out_of_order(done: Team) -> None:
    """A step after a failed one, and an attempt that was not next, are found."""

    def fail(name: str, value: dict[str, Any]) -> None:
        if name == "001-read.yaml":
            value |= {"status": "failed", "attempt": 3}

    with forging(done) as forger:
        forger.rechain("fac/1", fail, key=forger.runner_key)
    found = findings(done)["order"]
    assert "attempt 3 of read; attempt 1 was next" in found
    assert "step edit came while read was next" in found
    assert "ends as completed with steps left" in found


def test_back_dated_record(done: Team) -> None:
    """A record that starts before the last one ended is found."""

    def date(name: str, value: dict[str, Any]) -> None:
        if name == "002-edit.yaml":
            value["started_at"] = value["ended_at"] = "2020-01-01T00:00:00Z"

    with forging(done) as forger:
        forger.rechain("fac/1", date, key=forger.runner_key)
    found = findings(done)
    assert "2020-01-01T00:00:00Z is recorded after" in found["order"]
    assert "records go back in time" in found["chain_broken"]
    assert "came after the step" in found["approved_after"]


def test_changed_plan_on_the_run_branch(done: Team) -> None:
    """A run whose plan was exchanged has other digests than its records say."""
    with forging(done) as forger:
        plan = forger.read(BRANCH, "plans/fac/plan.yaml").replace(b"Look", b"Leap")
        start = forger.value(BRANCH, f"{RUN}/run.yaml")["plan_tip"]
        like = forger.store.commit(start)
        tip = forger.commit([start], {"plans/fac/plan.yaml": plan}, like=like)

        def onto(name: str, value: dict[str, Any]) -> None:
            if name == "run.yaml":
                value["plan_tip"] = tip

        forger.rechain("fac/1", onto, key=forger.runner_key, onto=tip)
    found = findings(done)
    assert "step edit is not the one" in found["digest_differs"]
    assert "run.yaml" in found["digest_differs"]
    assert "plan_rewritten" in found


def test_unsigned_plan_that_ran(done: Team) -> None:
    """Where plans must be signed, a run of an unsigned one is found."""
    with forging(done) as forger:
        start = forger.value(BRANCH, f"{RUN}/run.yaml")["plan_tip"]
        plan = forger.read(start, "plans/fac/plan.yaml") + b"# unsigned\n"
        tip = forger.append("plan/fac", {"plans/fac/plan.yaml": plan})

        def onto(name: str, value: dict[str, Any]) -> None:
            if name == "run.yaml":
                value["plan_tip"] = tip
            if "gate" in value:
                value["gate"]["plan_tip"] = tip

        forger.rechain("fac/1", onto, key=forger.runner_key, onto=tip)
    assert set(findings(done)) == {"plan_unsigned"}


def test_untrusted_authority(done: Team) -> None:
    """A policy that the trusted branch never had cannot allow anything."""
    with forging(done) as forger:
        loose = forger.read("main", "plans/policy.yaml").replace(b"edit_file: 1", b"edit_file: 0")
        like = forger.store.commit(forger.tip("main"))
        side = forger.commit([like.oid], {"plans/policy.yaml": loose}, like=like)

        def claim(_: str, value: dict[str, Any]) -> None:
            if "gate" in value:
                value["gate"]["authority"] = side

        forger.rechain("fac/1", claim, key=forger.runner_key)
        assert side[:12] in findings(done)["authority_untrusted"]
        # merged later with a tree that never took the policy over, it still counts for nothing
        merge = forger.write([like.oid, side], like.tree, like=like)
        forger.point("refs/heads/main", merge)
    assert side[:12] in findings(done)["authority_untrusted"]


def test_authority_that_goes_backwards(done: Team) -> None:
    """A run may not go back to an older policy."""
    old = done.git("rev-parse", "main")
    done.commit({"x.txt": "x"}, "Later")
    new = done.git("rev-parse", "main")

    def claim(name: str, value: dict[str, Any]) -> None:
        if "gate" in value:
            value["gate"]["authority"] = new if name == "001-read.yaml" else old

    with forging(done) as forger:
        forger.rechain("fac/1", claim, key=forger.runner_key)
    assert set(findings(done)) == {"authority_backwards"}


def test_plan_tip_that_goes_backwards(done: Team) -> None:
    """A run may not go back to an older state of the plan branch, where a reject was not yet."""
    old = done.git("rev-parse", "plan/fac")
    done.approve("cleo", "fac")
    new = done.git("rev-parse", "plan/fac")

    def claim(name: str, value: dict[str, Any]) -> None:
        if "gate" in value:
            value["gate"]["plan_tip"] = new if name == "001-read.yaml" else old

    with forging(done) as forger:
        forger.rechain("fac/1", claim, key=forger.runner_key)
    assert "plan_backwards" in findings(done)


def test_calls_and_totals(team: Team) -> None:
    """A call file that tells other costs, a missing one and a wrong total are found."""
    team.propose("ask", READ + ASK + ASK.replace("id: ask", "id: again"))
    env = write_script(team.base / "model.yaml", ("Say it", "It is it."))
    assert team.cli("ada", "run", "ask", env=env).code == 0
    calls = "plans/ask/runs/1/calls"
    with forging(team) as forger:

        def claim(name: str, value: dict[str, Any]) -> None:
            if name == "003-again.yaml":
                value["calls"][0]["input_tokens"] = 1_000_000
            if name == "002-ask.yaml":
                value["calls"][0]["file"] = "calls/009-1.yaml"

        forger.rechain("ask/1", claim, key=forger.runner_key)
    found = findings(team)
    assert f"{calls}/003-1.yaml tells another call" in found["cost_differs"]
    assert "its total is" in found["cost_differs"]
    assert f"there is no {calls}/009-1.yaml" in found["call_missing"]
    assert "calls/002-1.yaml beside its record" in found["foreign_commit"]


def test_spending_over_the_bound(team: Team) -> None:
    """A step that spent more than its plan allowed is found."""
    team.propose("ask", ASK, extra='budget: {usd: "0.50"}\n')
    env = write_script(team.base / "model.yaml", ("Say it", "It is it."))
    assert team.cli("ada", "run", "ask", env=env).code == 0

    def claim(_: str, value: dict[str, Any]) -> None:
        if value.get("calls"):
            value["calls"][0]["cost_usd"] = "7.00"

    with forging(team) as forger:
        forger.rechain("ask/1", claim, key=forger.runner_key)
    assert "7.00 USD spent; 0.50 were left" in findings(team)["over_budget"]
