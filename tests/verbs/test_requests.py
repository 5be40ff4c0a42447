"""Pause, cancel, resume and skip: asked from elsewhere, obeyed, told, and judged by the audit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from real_runs import approved, expire_lease, started, until
from team import EDIT, READ, Team, command

from runner.core import documents

LAST = READ.replace("id: read", "id: last")
SLOW = command("echo started; sleep 60; echo x > count", more="writes: [count]\n")


@pytest.fixture
def begun(team: Team) -> Iterator[Team]:
    """A run of three steps that stopped after the first."""
    approved(team, READ + EDIT + LAST)
    assert team.cli("ada", "run", "job", "--until", "read").code == 0
    yield team
    assert team.cli("ada", "audit").code == 0, team.cli("ada", "audit").out
    assert team.cli("ada", "ledger", "check").code == 0


def test_a_paused_run_waits_for_resume(begun: Team) -> None:
    """`run` names who paused it and why, and `resume` goes on to the end."""
    done = begun.cli("bob", "pause", "job", "--reason", "wait for cleo")
    assert done.out == "run job/1 is paused; planlock resume job/1 goes on\n"
    refused = begun.cli("ada", "run", "job")
    assert refused.code == 4
    assert "paused by bob <bob@example.com> at " in refused.err
    assert "wait for cleo" in refused.err
    assert "planlock resume job/1" in refused.err
    assert begun.cli("ada", "status", "job", "--json").json["run_status"] == "paused"
    assert begun.cli("ada", "resume", "job").code == 0


def test_a_later_pause_holds_again(begun: Team) -> None:
    """Requests follow one another: the last one counts."""
    assert begun.cli("bob", "pause", "job").code == 0
    assert begun.cli("ada", "resume", "job", "--until", "edit").code == 0
    assert begun.cli("bob", "pause", "job/1").code == 0
    assert begun.cli("ada", "run", "job").code == 4
    assert begun.cli("ada", "resume", "job/1").code == 0
    chain = begun.git("log", "--format=%s", "refs/planlock/control/job/1")
    assert chain.splitlines() == [
        f"planlock: {each}" for each in ("resume", "pause", "resume", "pause")
    ]


def test_cancel_ends_a_run_that_nobody_holds(begun: Team) -> None:
    """The signed closing record says who asked and why; nothing more can be asked."""
    done = begun.cli("bob", "cancel", "job", "--reason", "not needed")
    assert (done.code, done.out) == (0, "run job/1 is cancelled\n")
    text = begun.show_file("planlock/job/1", "plans/job/runs/1/002-end.yaml")
    record = documents.parse(f"{text}\n".encode(), file="x").value
    assert record["status"] == "cancelled"
    assert record["asked_by"] == "bob <bob@example.com>"
    assert record["error"]["message"] == "not needed"
    assert begun.refs("refs/tags/planlock-run") == ["refs/tags/planlock-run/job/1"]
    for args in (["resume", "job"], ["pause", "job"], ["cancel", "job"]):
        again = begun.cli("ada", *args)
        assert again.code == 4, again.text
        assert "run job/1 is over: cancelled" in again.err
    assert "run job/2 completed" in begun.cli("ada", "run", "job", "--new").out


@pytest.mark.usefixtures("confined")
def test_cancel_ends_a_running_command(team: Team) -> None:
    """From another terminal: the command is ended and recorded, then the run."""
    approved(team, SLOW)
    with started(team, "run", "job", "--json") as process:
        until(process, "output")
        done = team.cli("bob", "cancel", "job")
        assert (done.code, done.out) == (0, "run job/1 is cancelled\n")
        assert process.wait(60) == 5
    story = team.cli("ada", "log", "job/1", "--json").json
    assert [each["status"] for each in story["entries"]] == ["interrupted", "cancelled"]
    assert story["entries"][0]["error"].startswith("cancelled: ")
    assert team.cli("ada", "audit").code == 0


@pytest.mark.usefixtures("confined")
def test_pause_lets_a_running_command_end(team: Team) -> None:
    """The step is recorded as completed, and the runner stops before the next one."""
    approved(team, command("echo started; sleep 2; echo done") + LAST)
    with started(team, "run", "job", "--json") as process:
        until(process, "output")
        assert "is still busy with a step" in team.cli("bob", "pause", "job", "--wait", "0").out
        assert process.wait(60) == 4
    story = team.cli("ada", "log", "job/1", "--json").json
    assert [each["status"] for each in story["entries"]] == ["completed"]
    assert team.cli("ada", "resume", "job").code == 0


def test_a_skipped_step_needs_approvals_that_name_it(begun: Team) -> None:
    """`--skip` leaves a step out, and what comes after it waits for somebody who knows of that."""
    done = begun.cli("ada", "resume", "job", "--skip")
    assert done.code == 4, done.text
    record = begun.show_file("planlock/job/1", "plans/job/runs/1/002-edit.yaml")
    assert "kind: skip" in record
    assert 'asked_by: "ada <ada@example.com>"' in record
    begun.approve("bob", "job")
    assert begun.cli("ada", "resume", "job").code == 0
    assert begun.cli("ada", "resume", "job", "--skip").code == 4  # over


def test_a_run_that_somebody_holds_cannot_be_resumed(begun: Team) -> None:
    """Who holds it is named, until the lease has expired."""
    old = begun.git("log", "-1", "--format=%B", "refs/planlock/leases/job/1")
    future = old.replace("Holder: nobody", "Holder: elsewhere/0/1/1")
    lines = [
        "Expires-At: 2999-01-01T00:00:00Z" if line.startswith("Expires-At") else line
        for line in future.splitlines()
    ]
    ref = "refs/planlock/leases/job/1"
    text = "\n".join(lines)
    link = begun.git("commit-tree", f"{ref}^{{tree}}", "-p", ref, "-F", "-", stdin=text)
    begun.git("update-ref", ref, link)
    held = begun.cli("ada", "resume", "job")
    assert held.code == 4
    assert "run job/1 is held by elsewhere/0/1/1 since" in held.err
    assert "is not over yet" in begun.cli("bob", "cancel", "job", "--wait", "0").out
    expire_lease(begun)
    ended = begun.cli("ada", "resume", "job")
    assert ended.code == 4  # somebody asked for its end meanwhile
    assert "planlock cancel job/1" in ended.err
    assert begun.cli("ada", "cancel", "job").code == 0


def test_retry_and_skip_exclude_each_other(begun: Team) -> None:
    """Nothing is asked of the run where the wish is not clear."""
    assert begun.cli("ada", "resume", "job", "--retry", "--skip").code == 2
    assert begun.cli("ada", "resume", "nothing").code == 3
