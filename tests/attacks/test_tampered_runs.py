"""Each way of tampering with a recorded run, and the finding by which the audit tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from forging import ULID, checked_out, commit_on, draft, record_files, signing
from tampering import Edit, Forger, copy, findings, finished, forging
from team import EDIT, READ, Team

from runner.core.documents import dump
from runner.core.run import digest_bytes
from runner.core.values import parse_time, time_text

BRANCH: Final = "planlock/fac/1"
RUN: Final = "plans/fac/runs/1"
PLAN: Final = "plans/fac/plan.yaml"
LONG_AGO: Final = "2001-01-01T00:00:00Z"
Tamper = Callable[[Forger], None]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Team:
    """Bob and cleo approved; the run has a record of each step and its end."""
    team = finished(tmp_path_factory.mktemp("ready"))
    team.approve("cleo", "fac")
    return team


@pytest.fixture
def done(ready: Team, tmp_path: Path) -> Team:
    return copy(ready, tmp_path)


def keep(_: str, __: dict[str, Any]) -> None:
    """Change nothing."""


def at_once(forger: Forger) -> Edit:
    """Let every record tell the time of the last one, so that no order of them is against time."""
    end = forger.value(BRANCH, f"{RUN}/003-end.yaml")["ended_at"]

    def set_times(name: str, value: dict[str, Any]) -> None:
        if name != "run.yaml":
            value["started_at"] = value["ended_at"] = end

    return set_times


def votes(forger: Forger) -> dict[str, str]:
    """Who approved → path of the record on the plan's branch."""
    paths = forger.paths("plan/fac", "plans/fac/approvals")
    records = [path for path in paths if path.endswith(".yaml")]
    return {forger.value("plan/fac", path)["approver"].partition("@")[0]: path for path in records}


def record_rewritten(forger: Forger) -> None:
    """The output of the first step told otherwise, in a chain that the runner's key signed."""
    first = forger.tip("planlock-run/fac/1")

    def tell(name: str, value: dict[str, Any]) -> None:
        if name == "001-read.yaml":
            value["output"]["text"] = "nothing to see\n"

    forger.rechain("fac/1", tell, key=forger.runner_key)
    forger.point("refs/tags/planlock-run/fac/1", first)


def records_exchanged(forger: Forger) -> None:
    """Each step's record put in the other's place by a later commit."""
    read, edit = (f"{RUN}/{name}.yaml" for name in ("001-read", "002-edit"))
    files = {read: forger.read(BRANCH, edit), edit: forger.read(BRANCH, read)}
    forger.append(BRANCH, files, key=forger.runner_key)


def call_made_up(forger: Forger) -> None:
    """A model's answer beside the record of a step that asked none."""
    files = {f"{RUN}/calls/002-1.yaml": b"version: 1\n", f"{RUN}/002-edit.yaml": b""}
    forger.rechain("fac/1", keep, key=forger.runner_key, files=files)


def other_plan(forger: Forger) -> bytes:
    return forger.read("plan/fac", PLAN).replace(b"n < 2", b"n < 3")


def plan_exchanged(forger: Forger) -> None:
    """Another plan in the place of the approved one, in the history of its branch."""
    first = forger.tip("plan/fac~2")
    like = forger.store.commit(first)
    new = forger.commit(like.parents, {PLAN: other_plan(forger)}, like=like)
    forger.point("refs/heads/plan/fac", new)
    forger.team.git("update-ref", "-d", "refs/planlock/seen/plan/fac")


def plan_changed_with_a_step(forger: Forger) -> None:
    """Another plan that comes to the run in the commit of a step."""
    files = {PLAN: other_plan(forger), f"{RUN}/002-edit.yaml": b""}
    forger.rechain("fac/1", keep, key=forger.runner_key, files=files)


def signatures_swapped(forger: Forger) -> None:
    """Bob's signature beside cleo's record, and hers beside his."""
    bob, cleo = (votes(forger)[who] for who in ("bob", "cleo"))
    files = {f"{bob}.sig": f"{cleo}.sig", f"{cleo}.sig": f"{bob}.sig"}
    swapped = {path: forger.read("plan/fac", other) for path, other in files.items()}
    forger.append("plan/fac", swapped, key=forger.team.key("ada"))


def record_replaced(forger: Forger) -> None:
    """Cleo's record and signature in the place of bob's."""
    bob, cleo = (votes(forger)[who] for who in ("bob", "cleo"))
    files = {f"{bob}{end}": forger.read("plan/fac", f"{cleo}{end}") for end in ("", ".sig")}
    forger.append("plan/fac", files, key=forger.team.key("ada"))


def relying_on(digest: str, who: str) -> Edit:
    """Let the edit tell that this approval was the one that it relied on."""

    def tell(name: str, value: dict[str, Any]) -> None:
        if name == "002-edit.yaml":
            value["gate"] |= {"approvals": [digest], "approvers": [f"{who}@example.com"]}

    return tell


def approval_taken_for_another(forger: Forger) -> None:
    """Cleo's approval, which came after the run, told in the place of bob's."""
    digest = digest_bytes(forger.read("plan/fac", votes(forger)["cleo"]))
    forger.rechain("fac/1", relying_on(digest, "cleo"), key=forger.runner_key)


def approval_back_dated(forger: Forger) -> None:
    """A new approval that claims, as its commit does, to be older than the run."""
    team = forger.team
    early = parse_time(forger.value(BRANCH, f"{RUN}/run.yaml")["started_at"]) - timedelta(hours=1)
    value = draft(team, "fac", "cleo", made_at=time_text(early))
    like = forger.store.commit(forger.tip("plan/fac"))
    old = type(like)(**{**vars(like), "author": f"c <c@c> {int(early.timestamp())} +0000"})
    files = record_files("fac", value, team.key("cleo"))
    forger.point("refs/heads/plan/fac", forger.commit([like.oid], files, like=old))
    told = relying_on(digest_bytes(dump(value)), "cleo")
    forger.rechain("fac/1", told, key=forger.runner_key)


def approval_deleted(forger: Forger) -> None:
    """Bob's record and signature deleted by a commit."""
    bob = votes(forger)["bob"]
    forger.append("plan/fac", {bob: None, f"{bob}.sig": None}, key=forger.team.key("ada"))


def approval_deleted_in_a_merge(forger: Forger) -> None:
    """The same in a merge with main, which never had them."""
    bob = votes(forger)["bob"]
    files = {bob: None, f"{bob}.sig": None}
    forger.append("plan/fac", files, key=forger.team.key("ada"), merge="main")


def signature_deleted(forger: Forger) -> None:
    """Bob's signature alone deleted by a commit."""
    forger.append("plan/fac", {f"{votes(forger)['bob']}.sig": None})


def approval_deleted_on_the_run(forger: Forger) -> None:
    """Bob's record left out of the run's branch with the first step."""
    files = {votes(forger)["bob"]: None, f"{RUN}/001-read.yaml": b""}
    forger.rechain("fac/1", keep, key=forger.runner_key, files=files)


def approval_smuggled_in(forger: Forger) -> None:
    """An approval that no branch of people ever had, added with a step."""
    made = record_files("fac", draft(forger.team, "fac", "cleo"), forger.team.key("cleo"))
    files = {**made, f"{RUN}/002-edit.yaml": b""}
    forger.rechain("fac/1", keep, key=forger.runner_key, files=files)


def steps_reordered(forger: Forger) -> None:
    """The second step before the first one."""
    forger.rechain("fac/1", at_once(forger), key=forger.runner_key, order=(2, 1, 3))


def step_left_out(forger: Forger) -> None:
    """The first step gone without a trace in chain, numbers and times."""
    forger.rechain("fac/1", at_once(forger), key=forger.runner_key, order=(2, 3))


def step_repeated(forger: Forger) -> None:
    """The first step told twice."""
    forger.rechain("fac/1", at_once(forger), key=forger.runner_key, order=(1, 1, 2, 3))


def end_told_early(forger: Forger) -> None:
    """The closing record before the last step."""
    forger.rechain("fac/1", at_once(forger), key=forger.runner_key, order=(1, 3, 2))


def run_cut_off(forger: Forger) -> None:
    """Branch and tag moved back behind the closing record."""
    back = forger.tip(f"{BRANCH}~1")
    for ref in (f"refs/heads/{BRANCH}", "refs/tags/planlock-run/fac/1"):
        forger.point(ref, back)


def commit_dated_back(forger: Forger) -> None:
    """The run's last commit made again by ada, with the dates of long ago."""
    with checked_out(forger.team, BRANCH) as folder:
        dates = {"GIT_AUTHOR_DATE": LONG_AGO, "GIT_COMMITTER_DATE": LONG_AGO}
        amend = ["commit", "--amend", "--no-edit", "-q", "--reset-author"]
        forger.team.git(*signing(forger.team.key("ada")), *amend, cwd=folder, env=dates)


OWN: Final = "beside its record"
FINDINGS: Final[Mapping[Tamper, Mapping[str, str]]] = {
    record_rewritten: {"record_changed": "001-read.yaml: 2 versions", "tag_mismatch": "refs/tags"},
    records_exchanged: {
        "record_changed": "002-edit.yaml: 2 versions",
        "chain_broken": "001-read.yaml: `previous`",
        "foreign_commit": "adds 0 records",
    },
    call_made_up: {"foreign_commit": f"changes {RUN}/calls/002-1.yaml {OWN}"},
    plan_exchanged: {"plan_rewritten": "which it started from"},
    plan_changed_with_a_step: {
        "foreign_commit": f"changes {PLAN} {OWN}",
        "digest_differs": "003-end.yaml: its plan digest",
        "trailer_mismatch": "Plan-Digest",
    },
    signatures_swapped: {"approval_unsigned": "signature: ", "approval_changed": "2 versions"},
    record_replaced: {
        "approval_misplaced": "its id is",
        "approval_changed": "2 versions",
        "approval_unsigned": "signature: ",
    },
    approval_taken_for_another: {
        "approved_after": "cleo@example.com's approval",
        "not_allowed": "['cleo@example.com'], whose approvals do not count",
        "trailer_mismatch": "Approved-by",
    },
    approval_back_dated: {
        "approved_after": f"cleo@example.com's approval {ULID} came after the step",
        "not_allowed": "['cleo@example.com'], whose approvals do not count",
        "trailer_mismatch": "Approved-by",
    },
    approval_deleted: {"approval_deleted": "deleted by commit"},
    approval_deleted_in_a_merge: {"approval_deleted": "deleted by merge commit"},
    signature_deleted: {"approval_deleted": ".yaml.sig: deleted by commit"},
    approval_deleted_on_the_run: {"approval_deleted": "deleted by commit"},
    approval_smuggled_in: {"foreign_commit": "which no other branch has with this content"},
    steps_reordered: {"order": "step edit came while read was next"},
    step_left_out: {
        "order": "step edit came while read was next",
        "record_deleted": "step read attempt 1 started",
    },
    step_repeated: {"order": "step read came while edit was next"},
    end_told_early: {"order": "it comes after the closing record"},
    run_cut_off: {"run_rewritten": "which was seen there"},
    commit_dated_back: {"wrong_signer": "signed by ada@example.com", "tag_mismatch": "refs/tags"},
}


def test_the_run_is_sound(done: Team) -> None:
    """Before anybody tampers with it the audit finds nothing."""
    assert findings(done) == {}


@pytest.mark.parametrize("tamper", FINDINGS, ids=lambda each: str(each.__name__))
def test_tampering_is_found(done: Team, tamper: Tamper) -> None:
    """Each tampering is told under its codes and no others, with what was done where."""
    with forging(done) as forger:
        tamper(forger)
    found = findings(done)
    assert set(found) == set(FINDINGS[tamper])
    for code, words in FINDINGS[tamper].items():
        assert words in found[code], code


def test_A03_dates_of_a_runs_commit_prove_nothing(done: Team) -> None:
    """A commit that the runner signed is the runner's, whatever its dates; records tell the time."""
    with forging(done) as forger:
        old = forger.store.commit(forger.tip(BRANCH))
        dated = type(old)(**{**vars(old), "author": "runner <runner@planlock> 1 +0000"})
        new = forger.write(old.parents, old.tree, like=dated, key=forger.runner_key)
        for ref in (f"refs/heads/{BRANCH}", "refs/tags/planlock-run/fac/1"):
            forger.point(ref, new)
        forger.forget("fac/1")
    assert done.git("log", "-1", "--format=%as %cs", BRANCH) == "1970-01-01 1970-01-01"
    assert findings(done) == {}


def test_A31_run_on_the_approval_of_who_made_the_plan(team: Team) -> None:
    """A plan in cleo's name is ada's who signed it: a run that rests on ada's approval is found."""
    team.propose("fac", READ + EDIT)
    text = team.show_file("plan/fac", PLAN).replace("author: ada@", "author: cleo@")
    commit_on(team, "plan/fac", {PLAN: f"{text}\n".encode()}, signed=True)
    value = draft(team, "fac", "ada")
    commit_on(team, "plan/fac", record_files("fac", value, team.key("ada")))
    team.approve("bob", "fac")
    assert team.cli("ada", "run", "fac").code == 0
    assert findings(team) == {}
    with forging(team) as forger:
        told = relying_on(digest_bytes(dump(value)), "ada")
        forger.rechain("fac/1", told, key=forger.runner_key)
    assert f"ada@example.com's approval {ULID} does not count" in findings(team)["not_allowed"]
