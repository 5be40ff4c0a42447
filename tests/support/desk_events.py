"""What GitHub tells workflows of events, as far as ours look at it."""

from __future__ import annotations

from typing import Any

from desk import Desk
from model_script import PLANNING, code, drafting, intents, write_script
from team import FACTORIAL


def pull_request(team: Desk, number: int, action: str = "synchronize") -> dict[str, Any]:
    return {"action": action, "number": number, "pull_request": team.pull(number)}


def review(team: Desk, number: int) -> dict[str, Any]:
    return {"action": "submitted", "pull_request": team.pull(number)}


def after_ping(branch: str) -> dict[str, Any]:
    run = {"head_branch": branch, "event": "pull_request_review", "conclusion": "success"}
    return {"action": "completed", "workflow_run": run}


def comment(team: Desk, number: int, body: str, by: str = "carol") -> dict[str, Any]:
    """Somebody comments; the event tells of it."""
    found = team.forge.comment(number, by=by, body=body)
    issue = {"number": number, "pull_request": {"url": "x"}}
    return {"action": "created", "issue": issue, "comment": {"id": found, "body": body}}


def queued(team: Desk, steps: str) -> str:
    """The commit that a merge queue makes of a plan's branch, pushed as the forge does."""
    team.team.plan("job", steps)
    text = (team.team.root / "plans/job/plan.yaml").read_text()
    folder = team.machine("queue")
    (folder / "plans/job").mkdir()
    (folder / "plans/job/plan.yaml").write_text(text)
    team.team.git("add", "plans", cwd=folder)
    team.team.git("commit", "-q", "-m", "Merge", cwd=folder)
    commit = team.team.git("rev-parse", "HEAD", cwd=folder)
    there = "refs/heads/gh-readonly-queue/main/pr-1"
    team.team.git("push", "-q", "origin", f"{commit}:{there}", cwd=folder)
    return commit


def merge_group(commit: str) -> dict[str, Any]:
    return {"action": "checks_requested", "merge_group": {"head_sha": commit}}


def labeled(number: int) -> dict[str, Any]:
    return {"action": "labeled", "label": {"name": "planlock"}, "issue": {"number": number}}


def plans_factorial(team: Desk) -> dict[str, str]:
    """Settings of a model that plans a function and writes it."""
    task = "Add factorial(n)"
    steps = intents(("edit", "utils.py", task), ("command", "python3 -m unittest", "Test"))
    answers = ((PLANNING, steps), (drafting("utils.py"), code(FACTORIAL)))
    return write_script(team.team.base / "model.yaml", *answers)
