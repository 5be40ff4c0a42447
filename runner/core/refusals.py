"""Why a step may not run whatever anybody approves: rules that deny, a plan that is not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.core import hosts
from runner.core.errors import Reason
from runner.core.plan import Plan, RunCommandInput, Step, commands
from runner.core.policy import Policy


def denied(texts: Sequence[str]) -> tuple[Reason, ...]:
    """What rules deny."""
    return tuple(
        Reason(code="policy_denied", message=text, fix="change the step, or the policy by review")
        for text in texts
    )


def unsigned(commits: Sequence[str]) -> Iterator[Reason]:
    """Commits of the plan that nobody of the policy signed."""
    for commit in commits:
        yield Reason(
            code="plan_unsigned",
            message=f"plan commit {commit[:12]} is not signed by a person of the policy",
            fix="with a listed key and another `id`: planlock propose",
        )


def of_plan(policy: Policy, plan: Plan) -> Iterator[Reason]:
    """What keeps every step of a plan from running."""
    if plan.base is None or plan.author is None:
        yield Reason(
            code="not_proposed",
            message="the plan names no base and author",
            fix=f"planlock propose {plan.id}",
        )
    if len(plan.steps) > policy.limits.steps:
        yield Reason(
            code="limit_exceeded",
            message=f"{len(plan.steps)} steps; the policy allows {policy.limits.steps}",
            fix="split the plan",
        )


def of_step(policy: Policy, step: Step) -> Iterator[Reason]:
    """What a step asks for and the policy never gives it, whoever approves."""
    yield from of_network(policy, step)
    yield from of_secrets(policy, step)


def of_secrets(policy: Policy, step: Step) -> Iterator[Reason]:
    """Secrets that the policy does not list, or that the step sets itself."""
    for given in commands(step):
        yield from _of_secrets(policy, given)


def _of_secrets(policy: Policy, given: RunCommandInput) -> Iterator[Reason]:
    for name in given.secrets:
        if name not in policy.sandbox.secrets:
            yield Reason(
                code="secret_not_allowed",
                message=f"the policy's sandbox.secrets does not list {name}",
                fix="drop the secret, or change the policy by review",
            )
        if name in given.env:
            yield Reason(
                code="secret_overridden",
                message=f"the step sets {name} in `env` and asks for it in `secrets`",
                fix="drop one of the two",
            )


def of_network(policy: Policy, step: Step) -> Iterator[Reason]:
    """Hosts that the policy does not list."""
    asked = dict.fromkeys(host for given in commands(step) for host in given.network)
    if not asked:
        return
    listed = set(map(hosts.spelled_out, policy.sandbox.network))
    for host in asked:
        if hosts.spelled_out(host) not in listed:
            yield Reason(
                code="network_not_allowed",
                message=f"the policy's sandbox.network does not list {host}",
                fix="drop the host, or change the policy by review",
            )
