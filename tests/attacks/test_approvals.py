"""Attacks on approvals: real repositories, real keys, the real command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from forging import (
    answer,
    approvals_of,
    codes,
    commit_on,
    draft,
    forge,
    record_files,
    run_codes,
    sign,
)
from team import EDIT, READ, UTILS, Team, make_key

from runner.core.documents import dump
from runner.core.values import time_text

STEP = "- {{id: {0}, step_type: edit_file, description: D, input: {{path: {0}, new_content: x}}}}\n"


def ago(**span: float) -> str:
    return time_text(datetime.now(UTC) - timedelta(**span))


def test_A01_an_edit_after_approval_is_stale_from_that_step_on(team: Team) -> None:
    """Who edits the second step voids its approval and keeps that of the first."""
    team.propose("job", STEP.format("one") + STEP.format("two"))
    team.approve("bob", "job")
    text = team.show_file("plan/job", "plans/job/plan.yaml") + "\n"
    team.write({"plans/job/plan.yaml": text.replace("path: two", "path: three")})
    assert team.cli("ada", "propose", "job").code == 0

    done = team.cli("ada", "run", "job", "--json")
    assert done.code == 4
    assert answer(done)["stopped_at"] == "two"
    assert answer(done)["steps"] == {"one": "completed", "two": "awaiting_approval"}
    assert codes(done) == ["approvals_missing", "approval_stale"]


def test_A11_two_keys_of_one_person_are_one_approval(team: Team) -> None:
    """Where two people are asked for, bob's second key does not make him two."""
    second = make_key(team.base / "keys" / "bob2")
    add = ["people", "add", "bob@example.com", "--key", f"{second}.pub"]
    assert team.cli("ada", *add).code == 0
    team.git("commit", "-qam", "A second key")
    team.policy("rules: []", 'rules: [{name: two, match: {path: "**"}, approvals: 2}]')
    team.propose("job", EDIT)
    team.approve("bob", "job")
    value = draft(team, "job", "bob")
    commit_on(team, "plan/job", record_files("job", value, second))
    done = team.cli("ada", "run", "job", "--json")
    assert codes(done) == ["approvals_missing"]
    assert "1 of 2 approvals missing" in done.out
    team.approve("cleo", "job")
    assert team.cli("ada", "run", "job").code == 0


def test_A11_who_prompted_the_model_may_not_approve(team: Team) -> None:
    """The planner's prompter is excluded like the author."""
    planner = "{model: m, request: %s, tokens: {input: 1, output: 1}, prompter: bob@example.com}"
    extra = f"planner: {planner % ('sha256:' + '0' * 64)}\n"
    team.propose("job", EDIT, extra=extra)
    assert team.cli("bob", "approve", "job").code == 4
    forge(team, "job", draft(team, "job", "bob"), key="bob")
    assert run_codes(team, "job") == ["approvals_missing", "self_approval"]


def test_A18_the_key_decides_who_made_a_commit(team: Team) -> None:
    """Cleo's signed plan commit with bob as author excludes cleo, not bob; a mailmap is ignored."""
    team.commit({".mailmap": "Bob <bob@example.com> <cleo@example.com>\n"}, "Rename")
    team.propose("job", EDIT)
    text = team.show_file("plan/job", "plans/job/plan.yaml").replace("Add factorial()", "Add it")
    files: dict[str, bytes | None] = {"plans/job/plan.yaml": f"{text}\n".encode()}
    team.git("config", "user.name", "bob")
    commit_on(team, "plan/job", files, who="cleo", signed=True)
    forge(team, "job", draft(team, "job", "cleo"), key="cleo")
    assert run_codes(team, "job") == ["approvals_missing", "self_approval"]
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job").code == 0


def test_A19_a_record_copied_to_another_plan_does_not_count(team: Team) -> None:
    """Bob's signed approval of one plan, copied beside another, is no approval of it."""
    for name in ("first", "second"):
        team.propose(name, EDIT)
    team.approve("bob", "first")
    copied: dict[str, bytes | None] = {
        path.replace("first", "second"): data for path, data in approvals_of(team, "first").items()
    }
    commit_on(team, "plan/second", copied)
    assert "approvals_missing" in run_codes(team, "second")


def test_A19_a_record_edited_for_another_plan_loses_its_signature(team: Team) -> None:
    """The plan's name is inside the signed bytes."""
    for name in ("first", "second"):
        team.propose(name, EDIT)
    value = draft(team, "first", "bob")
    files = record_files("second", draft(team, "second", "bob"), None)
    signature = sign(team.key("bob"), dump(value))
    (path,) = files
    commit_on(team, "plan/second", {**files, f"{path}.sig": signature})
    assert run_codes(team, "second") == ["approvals_missing", "bad_signature"]


@pytest.mark.parametrize(
    "change,expected",
    [
        ({"repository": "1f8e6c1e-7d0b-4f5e-9a53-0f3c2b7a9d11"}, "wrong_context"),
        ({"plan": "other"}, "wrong_context"),
        ({"execution": "sha256:" + "0" * 64}, "execution_changed"),
        ({"steps": {"edit": "sha256:" + "0" * 64}}, "approval_stale"),
        ({"skipped": ["read"]}, "skips_differ"),
        ({"made_at": ago(hours=-1)}, "made_in_future"),
        ({"expires_at": ago(minutes=1)}, "approval_expired"),
        ({"made_at": ago(days=8)}, "approval_expired"),
    ],
)
def test_A19_A21_a_genuine_signature_over_another_context(
    team: Team, change: dict[str, Any], expected: str
) -> None:
    """A record that bob did sign counts only for the repository, plan, content and time it names."""
    team.propose("job", EDIT)
    forge(team, "job", draft(team, "job", "bob", **change), key="bob")
    assert run_codes(team, "job") == ["approvals_missing", expected]


def test_A20_one_run_is_one_run(team: Team) -> None:
    """An approval for one run lets its run end, and no second begin."""
    team.propose("job", STEP.format("one") + STEP.format("two"))
    team.approve("bob", "job", "--max-runs", "1")
    assert team.cli("ada", "run", "job", "--until", "one").code == 0
    assert team.cli("ada", "run", "job").code == 0
    assert run_codes(team, "job", "--new") == ["approvals_missing", "approval_consumed"]
    assert team.refs("refs/heads/planlock/") == ["refs/heads/planlock/job/1"]


def test_A20_A32_the_money_of_an_approval_holds_over_runs(team: Team) -> None:
    """A dearer answer than the approval allows is not asked for; spent money stays spent.

    Each run has a store of its own: an answer that is stored already would cost nothing.
    """
    script = "version: 1\nanswers:\n  - {match: Why, answer: So, tokens: {input: 1, output: 1}, cost_usd: '%s'}\n"
    path = team.base / "script.yaml"

    def stored(name: str) -> dict[str, str]:
        store = str(team.base / name)
        return {"PLANLOCK_MODEL_SCRIPT": str(path), "PLANLOCK_MODEL_STORE": store}

    team.policy("analyze: 0", "analyze: 1")
    team.propose(
        "job", "- {id: ask, step_type: analyze, description: A, input: {instruction: Why}}\n"
    )
    team.approve("bob", "job", "--max-usd", "0.30")
    path.write_text(script % "0.40")
    assert run_codes(team, "job", env=stored("1")) == ["budget_exceeded"]
    path.write_text(script % "0.20")
    assert team.cli("ada", "run", "job", env=stored("1")).code == 0
    assert run_codes(team, "job", "--new", env=stored("2")) == ["budget_exceeded"]
    path.write_text(script % "0.10")
    assert team.cli("ada", "run", "job", env=stored("2")).code == 0
    assert run_codes(team, "job", "--new", env=stored("3")) == [
        "approvals_missing",
        "approval_consumed",
    ]


def test_A21_a_key_that_expired_since_does_not_count(team: Team) -> None:
    """The time of use decides: an approval made while the key was valid ends with the key."""
    team.propose("job", EDIT)
    team.approve("bob", "job")
    path = team.root / "plans/allowed_signers"
    options = 'bob@example.com valid-before="20200101Z",'
    team.commit(
        {"plans/allowed_signers": path.read_text().replace("bob@example.com ", options)}, "Expire"
    )
    assert run_codes(team, "job") == ["approvals_missing", "key_not_valid"]
    late = draft(team, "job", "bob", made_at="2019-12-31T00:00:00Z", id="0" * 26)
    forge(team, "job", late, key="bob")
    assert set(run_codes(team, "job")) == {"approvals_missing", "key_not_valid"}


def test_A23_a_signature_of_another_namespace_does_not_count(team: Team) -> None:
    """What bob signed for git is no approval, though the key and the bytes are right."""
    team.propose("job", EDIT)
    forge(team, "job", draft(team, "job", "bob"), key="bob", namespace="git")
    assert run_codes(team, "job") == ["approvals_missing", "bad_signature"]


@pytest.mark.parametrize("how", ["missing", "garbage", "trailing", "stranger"])
def test_A23_signatures_that_are_none(team: Team, how: str) -> None:
    """A record without a sound signature by its approver is told, and counts for nothing."""
    team.propose("job", EDIT)
    files = record_files("job", draft(team, "job", "bob"), team.key("bob"))
    path, signature = sorted(files)
    good = files[signature] or b""
    stranger = make_key(team.base / "keys" / "mallory")
    bad = {
        "missing": {},
        "garbage": {signature: b"nonsense\n"},
        "trailing": {signature: good + b"more\n"},
        "stranger": {signature: sign(stranger, files[path] or b"")},
    }
    commit_on(team, "plan/job", {path: files[path], **bad[how]})
    assert run_codes(team, "job") == ["approvals_missing", "bad_signature"]


def test_A36_loosening_the_sandbox_voids_approvals(team: Team) -> None:
    """An approval was given for one sandbox and plugin list, and ends with them."""
    team.propose("job", EDIT)
    team.approve("bob", "job")
    team.policy("plugins: []", "plugins: [evil]")
    assert run_codes(team, "job") == ["approvals_missing", "execution_changed"]
    team.policy("plugins: [evil]", "plugins: []")
    assert team.cli("ada", "run", "job").code == 0


def test_A37_a_step_behind_a_rejected_one_needs_an_approval_that_names_the_skip(team: Team) -> None:
    """An approval given on the assumption that an earlier step runs ends when it is rejected."""
    team.propose("job", STEP.format("one") + STEP.format("two"))
    team.approve("bob", "job")
    assert team.cli("cleo", "reject", "job", "--step", "one").code == 0
    assert run_codes(team, "job") == ["approvals_missing", "skips_differ"]

    again = team.approve("bob", "job")
    assert again.json["skipped"] == ["one"]
    assert list(again.json["steps"]) == ["two"]
    done = team.cli("ada", "run", "job", "--json")
    assert answer(done)["steps"] == {"one": "skipped", "two": "completed"}
    tree = team.git("ls-tree", "--name-only", "planlock/job/1").split()
    assert "two" in tree
    assert "one" not in tree


def test_A37_free_steps_behind_a_skip_wait_too(team: Team) -> None:
    """Even a read waits for a person once a step before it was skipped."""
    team.propose("job", STEP.format("one") + READ)
    assert team.cli("cleo", "reject", "job", "--step", "one").code == 0
    done = team.cli("ada", "run", "job", "--json")
    assert answer(done)["stopped_at"] == "read"
    assert "after a skipped step" in done.out
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job").code == 0


class TestA38:
    """A later decision stands, whatever is put back, deleted or dated otherwise."""

    def test_A38_an_approval_put_back_after_a_withdraw_stays_withdrawn(self, team: Team) -> None:
        """Adding the old record and its signature again, under another name too, changes nothing."""
        team.propose("job", EDIT)
        team.approve("bob", "job")
        old = approvals_of(team, "job")
        assert team.cli("bob", "withdraw", "job").code == 0
        assert run_codes(team, "job") == ["approvals_missing", "withdrawn"]
        other = "0" * 26
        copies: dict[str, bytes | None] = {
            f"plans/job/approvals/{other}.yaml{'.sig' if path.endswith('.sig') else ''}": data
            for path, data in old.items()
        }
        commit_on(team, "plan/job", copies)
        assert set(run_codes(team, "job")) == {"approvals_missing", "withdrawn"}

    @pytest.mark.parametrize("verb", ["withdraw", "reject"])
    def test_A38_deleting_the_record_from_the_tip_does_not_undo_it(
        self, team: Team, verb: str
    ) -> None:
        """The gate reads every record ever added, not only those at the tip."""
        team.propose("job", EDIT)
        team.approve("bob", "job")
        before = set(approvals_of(team, "job"))
        assert team.cli("bob", verb, "job").code == 0
        gone: dict[str, bytes | None] = dict.fromkeys(set(approvals_of(team, "job")) - before)
        commit_on(team, "plan/job", gone)
        done = team.cli("ada", "status", "job", "--json")
        state = "waiting" if verb == "withdraw" else "rejected"
        assert done.json["steps"][0]["status"] == state

    def test_A38_moving_the_branch_back_is_refused(self, team: Team) -> None:
        """Cutting the withdraw off the branch is noticed: it moved other than forward."""
        team.propose("job", EDIT)
        before = team.approve("bob", "job").json["commit"]
        assert team.cli("bob", "withdraw", "job").code == 0
        assert team.cli("ada", "status", "job").code == 0
        team.git("update-ref", "refs/heads/plan/job", before)
        assert run_codes(team, "job") == ["authority_refused"]

    def test_A38_forged_ids_and_dates_do_not_reorder(self, team: Team) -> None:
        """A genuine approval that claims to be newer than the withdraw is still held by it."""
        team.propose("job", EDIT)
        team.approve("bob", "job")
        assert team.cli("bob", "withdraw", "job").code == 0
        forge(team, "job", draft(team, "job", "bob", id="7" + "Z" * 25), key="bob")
        assert set(run_codes(team, "job")) == {"approvals_missing", "withdrawn"}

    def test_A22_a_reject_dropped_inside_a_merge_still_stands(self, team: Team) -> None:
        """A merge whose tree leaves the record out hides nothing from the gate."""
        team.propose("job", EDIT)
        before = team.approve("bob", "job").json["commit"]
        assert team.cli("cleo", "reject", "job").code == 0
        tip = team.git("rev-parse", "plan/job")
        tree = team.git("rev-parse", f"{before}^{{tree}}")
        merge = team.git("commit-tree", "-p", before, "-p", tip, "-m", "Merge", tree)
        team.git("update-ref", "refs/heads/plan/job", merge, tip)
        assert len(approvals_of(team, "job")) == 2
        assert team.cli("ada", "status", "job", "--json").json["steps"][0]["status"] == "rejected"


class TestA41:
    def test_A41_the_runners_key_cannot_approve(self, team: Team) -> None:
        """A machine key is listed for other namespaces, whoever the record names."""
        team.propose("job", EDIT)
        runner = team.root / ".git/planlock/runner_key"
        own = draft(team, "job", "bob", approver="runner@planlock")
        commit_on(team, "plan/job", record_files("job", own, runner))
        assert run_codes(team, "job") == ["approvals_missing", "key_not_valid"]
        named = draft(team, "job", "bob", id="0" * 26)
        commit_on(team, "plan/job", record_files("job", named, runner))
        assert run_codes(team, "job") == ["approvals_missing", "bad_signature", "key_not_valid"]

    @pytest.mark.parametrize(
        "claim", [{"assurance": "hardware"}, {"via": "fido", "token": {"a": "b"}}]
    )
    def test_A41_a_record_cannot_claim_a_better_assurance(
        self, team: Team, claim: dict[str, Any]
    ) -> None:
        """What a record says of its own worth is not believed: the key tells it."""
        rule = '{name: hard, match: {path: "**"}, approvals: 1, assurance: hardware}'
        team.policy("rules: []", f"rules: [{rule}]")
        team.propose("job", EDIT)
        forge(team, "job", draft(team, "job", "bob", **claim), key="bob")
        assert run_codes(team, "job") == ["approvals_missing", "approval_unfit"]


def test_C10_a_file_that_changed_since_approval_is_not_written(team: Team) -> None:
    """A pin of other content is refused when the plan is proposed, and nothing is committed."""
    text = EDIT.replace("    new_content", "    replaces: sha256:" + "0" * 64 + "\n    new_content")
    team.plan("job", text)
    done = team.cli("ada", "propose", "job", "--json")
    assert done.code == 1
    assert answer(done)["error"]["problems"][0]["code"] == "edit_misfit"
    assert team.refs("refs/heads/plan/") == []
    assert (team.root / "utils.py").read_text() == UTILS
