"""A pull request that carries a plan: read through the forge, weighed against what git has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from runner.core import gate, reviews
from runner.core.errors import GitError, InvalidDocument, NotFound, Refused
from runner.core.forge import Conversation, PullRequest, Rights
from runner.core.gate import Question
from runner.core.policy import Policy
from runner.core.reviews import Asked
from runner.core.run import plan_branch
from runner.core.values import PLAN_ID
from runner.git import history
from runner.github.client import GitHub
from runner.project import Project
from runner.verbs import evidence, witness
from runner.verbs.evidence import Evidence
from runner.verbs.witness import Desk, Seen

HEADS = reviews.HEADS


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads one pull request again and again; `seen` is how it was last."""

    project: Project
    forge: GitHub
    number: int
    seen: list[Seen] = field(default_factory=list)

    def desk(self) -> Desk:
        return Desk(look=self.look)

    def look(self, found: Evidence, question: Question) -> Seen:
        """Read everything anew and weigh it; raises ForgeError where a part cannot be read."""
        talk = self.forge.conversation(self.number)
        weighed = reviews.weigh(talk, _asked(self.project, talk, found, question))
        seen = Seen(
            url=talk.pull_request.url,
            pull_request=self.number,
            weighed=weighed,
            rights=self._with_teams(talk, found.authority.policy),
        )
        self.seen[:] = [seen]
        return seen

    def _with_teams(self, talk: Conversation, policy: Policy) -> Mapping[int, Rights]:
        """What reviewers may do, and of which teams among the code owners they are."""
        teams = policy.owners.teams if policy.owners else ()
        return {
            number: replace(
                each,
                teams=tuple(team for team in teams if self.forge.is_in_team(team, each.account)),
            )
            for number, each in talk.rights.items()
        }

    def consult(self, found: Evidence, question: Question) -> Evidence:
        """Add to the evidence what reviewers say, for whoever only wants to know."""
        seen = self.look(found, question)
        votes = witness.unsigned(found, question, seen)
        return witness.with_makers(witness.with_votes(found, votes), sorted(seen.weighed.makers))


def _asked(project: Project, talk: Conversation, found: Evidence, question: Question) -> Asked:
    plan = found.plan
    commits = {commit for push in talk.pushes for commit in (push.before, push.after) if commit}
    on_trusted = {push.before for push in talk.base_pushes if push.before}
    return Asked(
        plan=question.plan,
        commit=plan.commit,
        trusted=found.authority.commit,
        on_branch=question.plan.digest == plan.file.digest and plan.on_branch,
        trusted_ref=found.authority.ref,
        policy=found.authority.policy_file,
        excluded=gate.excluded(question),
        digests=dict(_digests(project, plan.id, commits)),
        executions=dict(_executions(project, on_trusted)),
    )


def _digests(project: Project, plan: str, commits: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The plan's digest at commits of its branch; of what git does not have, nothing."""
    for commit in commits:
        with suppress(GitError, InvalidDocument):
            if project.history.has(commit):
                found = evidence.plan_at(project.store, commit, plan, on_branch=True)
                yield commit, found.file.digest if found else ""


def _executions(project: Project, commits: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The digest of sandbox and plugins at commits of the trusted branch's history."""
    trusted = project.home.trusted()
    for commit in commits:
        with suppress(GitError, InvalidDocument, NotFound):
            if project.history.has(commit) and history.is_ancestor(
                project.git_dir, commit, trusted
            ):
                yield commit, project.authority_at(commit).policy_file.execution


def find(project: Project, forge: GitHub, plan: str) -> PullRequest:
    """The open pull request of a plan's branch; raises NotFound, or Refused where there are two."""
    branch = plan_branch(plan).removeprefix(HEADS)
    trusted = project.home.trusted_ref.removeprefix(HEADS)
    found = [each for each in forge.pull_requests(branch=branch) if not each.is_from_fork]
    ours = [each for each in found if each.base.branch == trusted]
    if len(ours) > 1:
        numbers = ", ".join(str(each.number) for each in ours)
        message = f"looking for the pull request of plan {plan}: {numbers} are open"
        raise Refused(message, hint="close all but one")
    if not ours:
        message = f"looking for the pull request of plan {plan}: none of {branch} to {trusted}"
        raise NotFound(message, hint=f"planlock github open {plan}")
    return ours[0]


def plan_of(pull: PullRequest) -> str:
    """The id of the plan that a pull request carries by the name of its branch; else empty."""
    start = plan_branch("").removeprefix(HEADS)
    name = pull.head.branch
    plan = name.removeprefix(start)
    is_ours = name.startswith(start) and not pull.is_from_fork
    return plan if is_ours and re.fullmatch(PLAN_ID, plan) else ""
