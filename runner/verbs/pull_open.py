"""Open the pull request of a plan, where people approve it."""

from __future__ import annotations

from runner.core.errors import NotFound
from runner.core.forge import PullRequest
from runner.core.inert import markdown, markdown_block
from runner.core.reviews import HEADS
from runner.core.run import plan_branch
from runner.core.text import visible
from runner.github.client import GitHub
from runner.project import Project
from runner.verbs import evidence, pull_request

LONGEST_TITLE = 120


def open_pull(project: Project, forge: GitHub, plan: str, *, why: str = "") -> PullRequest:
    """Open it, or find the one that is open; the plan's branch has to be in the home."""
    project.home.fetch(plan)
    found = evidence.find_plan(project, plan)
    try:
        return pull_request.find(project, forge, plan)
    except NotFound:
        pass
    goal = " ".join(visible(found.file.plan.goal).split())
    title = f"Plan {plan}: {goal}"
    body = [f"Asks for approval of plan {markdown(plan)}.", markdown_block(goal, "text"), why]
    return forge.open_pull_request(
        branch=plan_branch(plan).removeprefix(HEADS),
        base=project.home.trusted_ref.removeprefix(HEADS),
        title=title if len(title) <= LONGEST_TITLE else f"{title[:LONGEST_TITLE]}…",
        body="\n\n".join(each for each in body if each),
    )
