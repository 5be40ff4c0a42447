"""Who can push to a plan's branch tries to hide a decision, to lift one, or to spend one twice."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from forging import answer, codes, commit_on, draft, forge, run_codes, sign
from team import EDIT, Team

from runner.core.run import digest_bytes

LAST = "plans/fac/approvals/7ZZZZZZZZZZZZZZZZZZZZZZZZZ.yaml"
SIGNERS = "plans/allowed_signers"


def decided(team: Team, decision: str) -> tuple[str, bytes]:
    """Find the record of a decision on the plan's branch: path and content."""
    names = team.git("ls-tree", "-r", "--name-only", "plan/fac", "plans/fac/approvals").split()
    for name in names:
        data = subprocess.run(
            ["git", "show", f"plan/fac:{name}"], cwd=team.root, capture_output=True, check=True
        ).stdout
        if f"decision: {decision}".encode() in data:
            return name, data
    raise LookupError(decision)


def object_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@pytest.fixture
def rejected(team: Team) -> Team:
    """Cleo approved, bob rejects."""
    team.propose("fac", EDIT)
    team.approve("cleo", "fac")
    assert team.cli("bob", "reject", "fac").code == 0
    return team


def list_key(team: Team, name: str, options: str) -> None:
    """Give bob another key with options of its own, on the trusted branch."""
    kind, key = Path(f"{team.key(name)}.pub").read_text().split()[:2]
    text = (team.root / SIGNERS).read_text()
    team.commit({SIGNERS: f"{text}bob@example.com {options} {kind} {key}\n"}, "Another key")


def check_still_rejected(team: Team) -> None:
    """A run leaves the step out."""
    done = team.cli("ada", "run", "fac", "--json")
    assert done.code == 0, done.text
    assert answer(done)["steps"] == {"edit": "skipped"}


class TestA38:
    def test_A38_a_copy_without_signature_hides_no_reject(self, rejected: Team) -> None:
        """The same record under a later name, unsigned, does not take the place of the signed one."""
        commit_on(rejected, "plan/fac", {LAST: decided(rejected, "reject")[1]})
        check_still_rejected(rejected)

    def test_A38_a_copy_without_signature_hides_no_withdrawal(self, team: Team) -> None:
        """An approval stays withdrawn when the withdrawal lies about unsigned as well."""
        team.propose("fac", EDIT)
        team.approve("bob", "fac")
        assert team.cli("bob", "withdraw", "fac").code == 0
        commit_on(team, "plan/fac", {LAST: decided(team, "withdraw")[1]})
        assert "approvals_missing" in run_codes(team, "fac")

    def test_A38_somebody_elses_signature_hides_no_reject(self, rejected: Team) -> None:
        """A valid signature of another listed person over it does not make it theirs."""
        path, data = decided(rejected, "reject")
        key = rejected.base / "keys" / "ada-ecdsa"
        argv = ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(key)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
        options = ("people", "add", "ada@example.com", "--key", f"{key}.pub")
        assert rejected.cli("ada", *options).code == 0
        rejected.git("commit", "-qam", "Another key of ada")
        own = rejected.git("rev-parse", f"plan/fac:{path}.sig")
        # such signatures are random, so one can be made that git sorts before the real one
        tries = (sign(key, data) for _ in range(200))
        ground = next(each for each in tries if object_id(each) < own)
        commit_on(rejected, "plan/fac", {f"{path}.sig": ground})
        check_still_rejected(rejected)

    def test_A38_garbage_for_a_signature_hides_no_reject_of_an_old_key(
        self, rejected: Team
    ) -> None:
        """Where bob's key has ended since, other bytes beside the record do not free the step."""
        path, _ = decided(rejected, "reject")
        text = (rejected.root / SIGNERS).read_text()
        ended = text.replace("bob@example.com ", 'bob@example.com valid-before="20200101Z",')
        rejected.commit({SIGNERS: ended}, "End bob's key")
        own = rejected.git("rev-parse", f"plan/fac:{path}.sig")
        garbage = next(b"x%d" % n for n in range(10_000) if object_id(b"x%d" % n) < own)
        commit_on(rejected, "plan/fac", {f"{path}.sig": garbage})
        check_still_rejected(rejected)


class TestA21:
    @pytest.mark.parametrize("decision", ["withdraw", "reject"])
    @pytest.mark.parametrize(
        "options",
        ['valid-before="20200101Z",namespaces="git,planlock-approval"', 'namespaces="git"'],
    )
    def test_A21_a_key_that_does_not_count_lifts_no_reject(
        self, rejected: Team, options: str, decision: str
    ) -> None:
        """What an ended key, or one for other uses, signs cannot take a reject away."""
        list_key(rejected, "bob-old", options)
        changes: dict[str, Any] = {
            "decision": decision,
            "supersedes": [digest_bytes(decided(rejected, "reject")[1])],
            "id": "01JDA7Q4Z0M5W8K2N3P6R9T1V9",
        }
        if decision == "reject":
            changes["steps"] = {"other": f"sha256:{'0' * 64}"}
        forge(rejected, "fac", draft(rejected, "fac", "bob", **changes), key="bob-old")
        check_still_rejected(rejected)

    def test_A21_an_approval_from_the_end_of_time_stops_nothing(self, team: Team) -> None:
        """A date beyond what can be reckoned with is one objection, and no crash."""
        team.propose("fac", EDIT)
        forge(team, "fac", draft(team, "fac", "bob", made_at="9999-12-31T23:59:59Z"), key="bob")
        assert run_codes(team, "fac") == ["approvals_missing", "made_in_future"]
        team.approve("cleo", "fac")
        assert team.cli("ada", "run", "fac").code == 0


def test_A20_deleting_a_runs_refs_gives_its_approval_back_to_nobody(team: Team) -> None:
    """A run that was seen here has used its approvals, also when branch and tag are gone."""
    team.propose("fac", EDIT)
    team.approve("bob", "fac", "--max-runs", "1")
    assert team.cli("ada", "run", "fac").code == 0
    team.git("branch", "-D", "planlock/fac/1")
    team.git("tag", "-d", "planlock-run/fac/1")
    assert "approval_consumed" in run_codes(team, "fac", "--new")


@pytest.mark.parametrize("path", ["docs/CODEOWNERS", "docs/.gitattributes", "docs/a/.gitmodules"])
def test_C09_a_rule_for_a_folder_frees_no_protected_file_in_it(team: Team, path: str) -> None:
    """`docs/**` says nothing about a file below docs/ that steers the forge or git."""
    rule = '{name: docs are free, match: {path: "docs/**"}, approvals: 0}'
    team.policy("rules: []", f"rules: [{rule}]")
    step = f"- {{id: e, step_type: edit_file, description: d, input: {{path: {path}, new_content: x}}}}\n"
    team.propose("fac", step)
    done = team.cli("ada", "run", "fac", "--json")
    assert (done.code, codes(done)) == (4, ["policy_denied"])


def test_C09_a_rule_that_names_the_file_frees_it(team: Team) -> None:
    """Whoever means the protected file can say so."""
    rule = "{name: owners, match: {path: docs/CODEOWNERS}, approvals: 0}"
    team.policy("rules: []", f"rules: [{rule}]")
    step = "- {id: e, step_type: edit_file, description: d, input: {path: docs/CODEOWNERS, new_content: x}}\n"
    team.propose("fac", step)
    assert team.cli("ada", "run", "fac").code == 0


def test_an_edit_that_a_rule_for_commands_denies_is_in_order(team: Team) -> None:
    """The audit judges an edit as one, as the gate did."""
    rule = "{name: by edits, match: {step_type: run_command, path: utils.py}, deny: edit it}"
    team.policy("rules: []", f"rules: [{rule}]")
    team.propose("fac", EDIT)
    team.approve("bob", "fac")
    assert team.cli("ada", "run", "fac").code == 0
    done = team.cli("ada", "audit")
    assert done.code == 0, done.text
