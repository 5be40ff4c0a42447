"""Attacks on what is already in git: the audit finds them, and the gate is not moved by them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tampering import Forger, copy, findings, finished, forging
from team import EDIT, READ, Team, command

from runner.core import documents
from runner.core.plan import step_digests
from runner.core.run import digest_bytes
from runner.core.values import parse_time, time_text

BRANCH = "planlock/fac/1"
RUN = "plans/fac/runs/1"
Edit = Callable[[str, dict[str, Any]], None]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return finished(tmp_path_factory.mktemp("ready"))


@pytest.fixture
def done(ready: Team, tmp_path: Path) -> Team:
    return copy(ready, tmp_path)


def approval(team: Team) -> str:
    return team.git("ls-tree", "-r", "--name-only", "plan/fac", "plans/fac/approvals").split()[0]


def keep(_: str, __: dict[str, Any]) -> None:
    """Change nothing."""


def moved(days: int) -> Edit:
    """Tell the same story at another time."""

    def move(_: str, value: dict[str, Any]) -> None:
        for name in ("started_at", "ended_at"):
            if name in value:
                value[name] = time_text(parse_time(value[name]) + timedelta(days=days))

    return move


def on_tip(forger: Forger, tip: str) -> Edit:
    """Tell that the run was made from another state of the plan branch, digests included."""
    path = "plans/fac/plan.yaml"
    value = documents.parse(forger.read(tip, path), file=path).value
    digests = step_digests(value)

    def claim(name: str, record: dict[str, Any]) -> None:
        if name == "run.yaml":
            record |= {"plan_tip": tip, "plan_digest": digests[-1]}
        if "gate" in record:
            record["gate"]["plan_tip"] = tip
            record["step"]["digest"] = digests[record["step"]["number"] - 1]
        if record.get("kind") == "end":
            record["plan_digest"] = digests[-1]

    return claim


def test_A01_step_changed_after_its_approval(done: Team) -> None:
    """A run of a plan that was changed after the approval is found, with the stale approval."""
    plan = done.root / "plans/fac/plan.yaml"
    plan.write_text(plan.read_text().replace("n < 2", "n < 3"))
    assert done.cli("ada", "propose", "fac").code == 0
    with forging(done) as forger:
        tip = forger.tip("plan/fac")
        new = forger.read(BRANCH, "utils.py").replace(b"n < 2", b"n < 3")
        claim = on_tip(forger, tip)

        def forge(name: str, value: dict[str, Any]) -> None:
            claim(name, value)
            for change in value.get("changes", ()):
                change["after"] = digest_bytes(new)

        forger.rechain("fac/1", forge, key=forger.runner_key, onto=tip, files={"utils.py": new})
    found = findings(done)
    assert "bob@example.com approved other content of this step" in found["not_allowed"]
    assert set(found) == {"not_allowed"}


def test_A18_key_decides_who_signed(done: Team) -> None:
    """A commit that bears the runner's name and bob's signature is bob's, whatever .mailmap says."""
    done.commit({".mailmap": "planlock runner <runner@planlock> <bob@example.com>\n"}, "Rename")
    with forging(done) as forger:
        forger.amend(BRANCH, {}, key=done.key("bob"))
    found = findings(done)
    assert "not by runner@planlock: signed by bob@example.com" in found["wrong_signer"]


def test_A18_author_is_a_name_only(done: Team) -> None:
    """A run whose commits bear another author's name, signed by the runner, is the runner's."""
    with forging(done) as forger:
        old = forger.store.commit(forger.tip(BRANCH))
        line = "Bob <bob@example.com> 1 +0000"
        named = type(old)(**{**vars(old), "author": line})
        new = forger.write(old.parents, old.tree, like=named, key=forger.runner_key)
        forger.point(f"refs/heads/{BRANCH}", new)
        forger.point("refs/tags/planlock-run/fac/1", new)
        forger.forget("fac/1")
    assert findings(done) == {}


def test_A19_approval_copied_to_another_plan(done: Team) -> None:
    """An approval in the folder of a plan that it was not given for is found, and not counted."""
    done.propose("other", EDIT)
    path = approval(done)
    with forging(done) as forger:
        files = {
            each.replace("/fac/", "/other/"): forger.read("plan/fac", each)
            for each in (path, f"{path}.sig")
        }
        forger.append("plan/other", files)
    assert done.cli("ada", "run", "other").code == 4
    assert "it was given for plan fac" in findings(done)["approval_misplaced"]


def test_A20_approval_used_for_more_runs(team: Team) -> None:
    """A second run on an approval that was good for one is found."""
    team.propose("fac", EDIT)
    team.approve("bob", "fac", "--max-runs", "1")
    assert team.cli("ada", "run", "fac").code == 0
    assert team.cli("ada", "run", "fac", "--new").code == 4
    team.policy("edit_file: 1", "edit_file: 0")
    assert team.cli("ada", "run", "fac", "--new").code == 0
    team.policy("edit_file: 0", "edit_file: 1")
    strict = team.git("rev-parse", "main")

    def claim(_: str, value: dict[str, Any]) -> None:
        if "gate" in value:
            value["gate"]["authority"] = strict

    with forging(team) as forger:
        forger.rechain("fac/2", claim, key=forger.runner_key)
    found = findings(team)["not_allowed"]
    assert "bob@example.com's approval was good for 1 run(s) and is used up" in found


def test_A21_expired_approval_was_used(done: Team) -> None:
    """A run that used an approval after its end is found."""
    with forging(done) as forger:
        forger.rechain("fac/1", moved(30), key=forger.runner_key)
    assert "bob@example.com's approval expired" in findings(done)["not_allowed"]


def test_A21_back_dated_run(done: Team) -> None:
    """A run that claims to be older than the approval that it used is found."""
    with forging(done) as forger:
        forger.rechain("fac/1", moved(-1), key=forger.runner_key)
    assert "came after the step" in findings(done)["approved_after"]


def test_A21_back_dated_approval(done: Team) -> None:
    """An approval that came to the plan branch after the run does not help, whatever its date."""
    first = done.git("rev-parse", "plan/fac~1")
    with forging(done) as forger:
        forger.rechain("fac/1", on_tip(forger, first), key=forger.runner_key, onto=first)
    found = findings(done)
    assert "came after the step" in found["approved_after"]
    assert "1 of 1 approval missing" in found["not_allowed"]


def test_A21_expired_runner_key(done: Team) -> None:
    """A run that was signed after the end of its key's time is found."""
    path = done.root / "plans/allowed_signers"
    text = path.read_text().replace("runner@planlock ", 'runner@planlock valid-before="20200101Z",')
    done.commit({"plans/allowed_signers": text}, "Retire the runner's key")
    assert "valid until 2020-01-01T00:00:00Z" in findings(done)["wrong_signer"]


def test_A22_record_deleted_in_a_merge(done: Team) -> None:
    """A record that is missing from a merge's tree is found, with the merge."""
    with forging(done) as forger:
        files = {f"{RUN}/002-edit.yaml": None}
        merge = forger.append(BRANCH, files, key=forger.runner_key, merge="main")
    found = findings(done)
    assert f"002-edit.yaml: deleted by merge commit {merge[:12]}" in found["record_deleted"]
    assert "a merge; the runner makes none" in found["foreign_commit"]


def test_A22_approval_deleted_in_a_merge(team: Team) -> None:
    """An approval that a merge dropped still counts for the gate, and the audit finds it."""
    team.propose("fac", EDIT)
    team.approve("bob", "fac")
    path = approval(team)
    with forging(team) as forger:
        like = forger.store.commit(forger.tip("plan/fac"))
        side = forger.commit([like.parents[0]], {}, like=like)
        files = {path: None, f"{path}.sig": None}
        merge = forger.commit([like.oid, side], files, like=like, key=team.key("ada"))
        forger.point("refs/heads/plan/fac", merge)
    assert team.cli("ada", "run", "fac").code == 0
    assert f"{path}: deleted by merge commit" in findings(team)["approval_deleted"]


def test_A25_records_rewritten(done: Team) -> None:
    """A run rewritten by the runner's own key is found where its old records were seen."""

    def other(name: str, value: dict[str, Any]) -> None:
        if name == "001-read.yaml":
            value["output"]["text"] = "nothing to see\n"

    with forging(done) as forger:
        tag = forger.tip("planlock-run/fac/1")
        forger.rechain("fac/1", other, key=forger.runner_key)
        forger.point("refs/tags/planlock-run/fac/1", tag)
    found = findings(done)
    assert "refs/tags/planlock-run/fac/1" in found["tag_mismatch"]
    assert f"{RUN}/001-read.yaml: 2 versions" in found["record_changed"]


def test_A25_open_run_pushed_back(team: Team) -> None:
    """A run whose last records were cut off is found by what its lease says."""
    team.propose("fac", READ + EDIT + READ.replace("id: read", "id: again"))
    team.approve("bob", "fac")
    assert team.cli("ada", "run", "fac", "--until", "edit").code == 0
    team.git("update-ref", f"refs/heads/{BRANCH}", f"{BRANCH}~2")
    assert "step read attempt 1 started" in findings(team)["record_deleted"]


def test_A25_run_force_pushed(done: Team) -> None:
    """A run that was rewritten everywhere is found by what this repository saw of it."""
    seen = done.git("rev-parse", BRANCH)
    with forging(done) as forger:
        forger.rechain("fac/1", moved(1), key=forger.runner_key)
        forger.point("refs/planlock/seen/run/fac/1", seen)
    found = findings(done)
    assert set(found) == {"run_rewritten"}
    assert seen[:12] in found["run_rewritten"]


def test_A27_replace_refs_and_grafts_hide_nothing(done: Team) -> None:
    """A replace ref that shows the sound commit in the place of the tampered one is ignored."""
    with forging(done) as forger:
        sound = forger.tip(BRANCH)
        bad = forger.amend(BRANCH, {"evil.py": b"evil\n"})
        forger.point("refs/tags/planlock-run/fac/1", bad)
        forger.point(f"refs/replace/{bad}", sound)
    (done.root / ".git/info").mkdir(exist_ok=True)
    (done.root / ".git/info/grafts").write_text(f"{bad}\n")
    found = findings(done)
    assert {"unsigned_commit", "changes_differ"} <= set(found)


def test_A27_settings_hide_nothing(done: Team) -> None:
    """Settings that bend what `git log` and `git diff` show do not blind the audit."""
    with forging(done) as forger:
        path = approval(done)
        forger.append("plan/fac", {path: None}, merge="main")
    for name, value in (
        ("log.diffMerges", "off"),
        ("log.showRoot", "false"),
        ("log.showSignature", "true"),
        ("gpg.ssh.program", "/nonexistent/evil"),
        ("diff.ignoreSubmodules", "all"),
        ("core.hooksPath", "/nonexistent/hooks"),
    ):
        done.git("config", name, value)
    env = {"GIT_GRAFT_FILE": "/nonexistent", "GIT_NO_REPLACE_OBJECTS": "", "GIT_PAGER": "evil"}
    report = done.cli("ada", "audit", "--json", env=env).json
    assert "approval_deleted" in {each["code"] for each in report["findings"]}


def test_A27_shallow_clone_is_refused(done: Team) -> None:
    """A clone without its history cannot be audited, and says how to get it."""
    there = done.base / "shallow"
    done.git("clone", "-q", "--depth", "1", f"file://{done.root}", str(there))
    report = done.cli("ada", "audit", cwd=there)
    assert report.code == 4
    assert "git fetch --unshallow" in report.text


@pytest.mark.usefixtures("confined")
def test_A33_command_changed_what_it_did_not_declare(team: Team) -> None:
    """A record that lets a command change an undeclared path is found."""
    team.propose("fac", command("echo hi > out.txt", more="writes: ['*.txt']\n"))
    team.approve("bob", "fac")
    assert team.cli("ada", "run", "fac").code == 0
    evil = b"evil\n"

    def claim(_: str, value: dict[str, Any]) -> None:
        if value.get("changes"):
            more = {"path": "infra/x", "before": None, "after": digest_bytes(evil)}
            value["changes"].append({**more, "mode": "100644", "size": len(evil)})

    with forging(team) as forger:
        files = {"infra/x": evil, "out.txt": b"hi\n"}
        forger.rechain("fac/1", claim, key=forger.runner_key, files=files)
    found = findings(team)
    assert "infra/x: `writes` does not list it" in found["unapproved_change"]
    assert "changes_differ" not in found


def test_A33_path_rule_asks_for_more(done: Team) -> None:
    """A change that the rules of the named policy deny is found."""
    done.policy("rules: []", 'rules: [{name: x, match: {path: "utils.py"}, deny: by hand}]')
    new = done.git("rev-parse", "main")

    def claim(_: str, value: dict[str, Any]) -> None:
        if "gate" in value:
            value["gate"]["authority"] = new

    with forging(done) as forger:
        forger.rechain("fac/1", claim, key=forger.runner_key)
    assert "policy_denied: rule 'x': by hand" in findings(done)["not_allowed"]


def test_A36_sandbox_loosened_after_approval(done: Team) -> None:
    """A run under a looser sandbox than the one that was approved is found."""
    done.policy("network: []", "network: [example.com]")
    new = done.git("rev-parse", "main")

    def claim(_: str, value: dict[str, Any]) -> None:
        if "gate" in value:
            value["gate"]["authority"] = new

    with forging(done) as forger:
        forger.rechain("fac/1", claim, key=forger.runner_key)
    assert "approved under other sandbox or plugin settings" in findings(done)["not_allowed"]


def test_A38_run_after_a_withdraw(done: Team) -> None:
    """A run that used a withdrawn approval is found, though a copy of it was put back."""
    assert done.cli("bob", "withdraw", "fac").code == 0
    path = approval(done)
    with forging(done) as forger:
        files = {each: forger.read("plan/fac", each) for each in (path, f"{path}.sig")}
        forger.append("plan/fac", dict.fromkeys(files))
        tip = forger.append("plan/fac", files)
        forger.rechain("fac/1", on_tip(forger, tip), key=forger.runner_key, onto=tip)
    found = findings(done)
    assert "bob@example.com replaced or withdrew this approval" in found["not_allowed"]
    assert path in found["approval_deleted"]


def test_A38_withdraw_cut_off(done: Team) -> None:
    """A plan branch from which a withdraw was pushed away is found where it was seen."""
    before = done.git("rev-parse", "plan/fac")
    assert done.cli("bob", "withdraw", "fac").code == 0
    assert done.cli("ada", "status", "fac").code == 0
    done.git("update-ref", "refs/heads/plan/fac", before)
    assert "which was seen on it" in findings(done)["plan_rewritten"]


def test_A43_rewritten_chain_without_signatures(done: Team) -> None:
    """A fresh, consistent chain of records without signatures is found."""
    with forging(done) as forger:
        forger.rechain("fac/1", keep, key=None)
    found = findings(done)
    assert "chain_broken" not in found
    assert found["unsigned_commit"].count("no signature") == 4
    assert found["unsigned_run"].count("signature: ") == 2


def test_A43_rewritten_chain_with_another_key(done: Team) -> None:
    """A fresh chain that is signed throughout by a key of the attacker's own is found."""
    with forging(done) as forger:
        forger.rechain("fac/1", keep, key=done.key("mallory"))
    found = findings(done)
    assert "chain_broken" not in found
    assert found["wrong_signer"].count("is not listed in") == 6


def test_A43_rewritten_chain_of_a_persons_key(done: Team) -> None:
    """A person's key does not make them the runner, even where the header names them."""

    def name(_: str, value: dict[str, Any]) -> None:
        if "runner" in value:
            value["runner"] = "bob@example.com"

    with forging(done) as forger:
        forger.rechain("fac/1", name, key=done.key("bob"))
    assert "not in namespace planlock-run" in findings(done)["wrong_signer"]
