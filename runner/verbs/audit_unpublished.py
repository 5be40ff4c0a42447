"""Steps that were done here and that the home never got, since another machine went on."""

from __future__ import annotations

import re

from runner.core.run import run_branch
from runner.git import graph, home_ahead, leases, refs
from runner.verbs.audit_past import Past
from runner.verbs.runs import NUMBER

NAME = re.compile(
    rf"^{home_ahead.UNPUBLISHED}/planlock/leases/(?P<plan>[a-z0-9-]+)/(?P<run>{NUMBER})/"
)


def check(past: Past) -> None:
    """Tell of each run what was started here after the home had heard of it last."""
    found = refs.under(past.project.git_dir, f"{home_ahead.UNPUBLISHED}/")
    for ref, tip in found.items():
        if match := NAME.match(ref):
            with past.found.reading(ref):
                _check_run(past, match["plan"], int(match["run"]), tip)


def _check_run(past: Past, plan: str, run: int, tip: str) -> None:
    steps = ", ".join(_started(past, past.leases.get((plan, run)), tip))
    if not steps:
        return
    branches = home_ahead.set_aside(past.project.git_dir, run_branch(plan, run))
    look = " ".join(["git log --stat", *(branches or [tip]), f"^{run_branch(plan, run)}"])
    message = f"{steps}: done here, unknown to the home, and perhaps done again elsewhere"
    past.found.add("unpublished", f"{plan}/{run}", message, fix=f"see what they did: {look}")


def _started(past: Past, published: str | None, tip: str) -> list[str]:
    """The steps that only the lease here says were about to start, oldest first."""
    tips = [tip, f"^{published}"] if published else [tip]
    links = graph.commits(past.project.git_dir, tips)
    named = (leases.read(past.store, oid).step for oid, _ in links)
    return list(dict.fromkeys(each for each in named if each))
