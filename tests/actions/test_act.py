"""The workflows as act runs them; it knows no `permissions`, `environment` or `concurrency`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from actions_act import Act
from desk_events import (
    after_ping,
    comment,
    labeled,
    merge_group,
    plans_factorial,
    pull_request,
    queued,
    review,
)
from team import EDIT, READ, command

from runner.core import reviews


def test_a_plan_is_checked_approved_and_executed(act: Act) -> None:
    """From the opened pull request to the results, woken by nothing but the workflows' events."""
    team = act.desk
    number = team.propose()
    opened = pull_request(team, number, "opened")
    checked = act.run("pull_request_target", "planlock-check", opened)
    assert checked.code == 0, checked.text
    line = f"approve {team.digest()}"
    assert line in team.comment_of_plan(number)
    assert team.check(number)["conclusion"] == "neutral"
    team.forge.review(number, by="bob", body=line)
    pinged = act.run("pull_request_review", "planlock-ping", review(team, number))
    assert pinged.code == 0, pinged.text
    done = act.run("workflow_run", "planlock-execute", after_ping("plan/job"))
    assert done.code == 0, done.text
    assert team.ran() == ["read", "edit", "check"]
    (results,) = team.pulls("planlock/job/1")
    assert results["title"] == "Run job/1: completed, 3 of 3 steps"
    assert results["html_url"] in team.comment_of_plan(number)
    assert team.check(number)["conclusion"] == "success"
    assert team.audit().code == 0, team.audit().text
    assert "OPENSSH PRIVATE KEY" not in done.text


def test_a_stale_approval_is_refused(act: Act) -> None:
    """The job ends well, for to wait is no failure; the comment says what is missing."""
    team = act.desk
    number = team.propose()
    team.approve(number)
    team.team.propose("job", READ + EDIT + command("echo other"))
    team.push("plan/job")
    done = act.run("workflow_run", "planlock-execute", after_ping("plan/job"))
    assert done.code == 0, done.text
    assert team.ran() == []
    assert "1 of 1 approval missing" in team.comment_of_plan(number)
    assert any("does not count" in each for each in team.answers(number))


def test_a_fork_is_checked_and_not_executed(act: Act) -> None:
    """It is answered by the default branch's workflow, and no run begins."""
    team = act.desk
    team.team.propose("job", READ + EDIT)
    commit = team.team.git("rev-parse", "plan/job")
    team.team.git("push", "-q", "origin", f"{commit}:refs/keep/fork")
    number = team.forge.open("plan/job", by="carol", fork="carol/shop", head=commit)
    opened = pull_request(team, number, "opened")
    checked = act.run("pull_request_target", "planlock-check", opened)
    assert checked.code == 0, checked.text
    assert "from a fork" in team.check(number)["output"]["title"]
    team.forge.review(number, by="bob", body=reviews.line("sha256:" + "0" * 64))
    done = act.run("workflow_run", "planlock-execute", after_ping("plan/job"))
    assert done.code == 0, done.text
    assert team.refs() == []


def test_an_issue_with_the_label_becomes_a_plan(act: Act) -> None:
    """The model's plan is a pull request, checked already; another label starts no job."""
    team = act.desk
    issue = team.forge.issue(by="carol", title="Add factorial(n) to utils.py")
    team.forge.label(issue, "planlock", by="ada")
    other = {**labeled(issue), "label": {"name": "bug"}}
    assert act.run("issues", "planlock-plan", other, **plans_factorial(team)).code == 0
    assert team.pulls(f"plan/issue-{issue}") == []
    done = act.run("issues", "planlock-plan", labeled(issue), **plans_factorial(team))
    assert done.code == 0, done.text
    (pull,) = team.pulls(f"plan/issue-{issue}")
    assert f"approve {team.digest(f'issue-{issue}')}" in "".join(team.comments(pull["number"]))
    assert team.check(pull["number"])["conclusion"] == "neutral"


def test_by_hand(act: Act) -> None:
    """The dispatched workflow names the plan."""
    team = act.desk
    team.approve(team.propose())
    payload = {"inputs": {"plan": "job"}}
    done = act.run("workflow_dispatch", "planlock-execute", payload)
    assert done.code == 0, done.text
    assert team.ran() == ["read", "edit", "check"]


def test_a_merge_queue_is_answered(act: Act) -> None:
    """Its commit gets the check that is waited for."""
    commit = queued(act.desk, READ)
    done = act.run("merge_group", "planlock-check", merge_group(commit))
    assert done.code == 0, done.text
    assert act.desk.check_of(commit)["conclusion"] == "success"


def test_a_killed_executor_is_resumed(act: Act) -> None:
    """The whole runner is gone; another goes on from what the home has."""
    team = act.desk
    number = team.propose(steps=READ + EDIT + command("sleep 611") + command("true", name="last"))
    team.approve(number)
    process = act.start("workflow_run", "planlock-execute", after_ping("plan/job"))
    _until(lambda: team.ran() == ["read", "edit"] and _sleepers() != [])
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    for pid in _executors(team.team.base):
        os.kill(pid, signal.SIGKILL)
    _until(lambda: _sleepers() == [])
    told = act.run("workflow_run", "planlock-execute", after_ping("plan/job"))
    assert told.code != 0, told.text
    assert "interrupted" in team.comment_of_plan(number)
    skip = comment(team, number, "/planlock run --skip")
    assert act.run("issue_comment", "planlock-execute", skip).code == 0
    line = f"approve {team.digest()} skipping check"
    assert line in team.comment_of_plan(number)
    team.forge.review(number, by="bob", body=line)
    done = act.run("workflow_run", "planlock-execute", after_ping("plan/job"))
    assert done.code == 0, done.text
    assert team.ran() == ["read", "edit", "last"]
    assert team.audit().code == 0, team.audit().text


def test_other_comments_wake_nothing(act: Act) -> None:
    """The job is skipped, without a runner having looked at anything."""
    team = act.desk
    number = team.propose()
    team.approve(number)
    done = act.run("issue_comment", "planlock-execute", comment(team, number, "nice /planlock run"))
    assert done.code == 0, done.text
    assert team.refs() == []


def _until(condition: Callable[[], bool]) -> None:
    for _ in range(900):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to that")


def _sleepers() -> list[int]:
    return _with_words(b"sleep\x00611")


def _executors(base: Path) -> list[int]:
    """Those of this test, by the folder that they work in."""
    found = _with_words(b"github\x00execute")
    return [pid for pid in found if Path(f"/proc/{pid}/cwd").resolve().is_relative_to(base)]


def _with_words(words: bytes) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
