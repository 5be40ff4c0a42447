"""Plan branches: what they rest on, what lies beside the plan, and that they only grew."""

from __future__ import annotations

from runner.core.run import RunHeader
from runner.verbs import evidence
from runner.verbs.audit_past import Past


def check(past: Past, plan: str) -> None:
    """Check a plan's branch, here and in the home, where it has one."""
    tips = past.plan_tips.get(plan, ())
    for tip in dict.fromkeys(tips):
        with past.found.reading(f"plan/{plan} at {tip[:12]}"):
            _check_tip(past, plan, tip)
    if tips:
        _check_seen(past, plan, tips)


def _check_tip(past: Past, plan: str, tip: str) -> None:
    where = f"plan/{plan} at {tip[:12]}"
    found = past.plan_at(tip, plan, on_branch=True)
    if found is None:
        past.found.add("unreadable", where, f"it holds no {evidence.plan_path(plan)}")
        return
    now = past.project.world.now()
    origin = evidence.provenance_of(past.project, found, past.trusted, now)
    for reason in origin.problems:
        past.found.add("plan_strays", where, f"{reason.code}: {reason.message}", reason.fix)


def _check_seen(past: Past, plan: str, tips: tuple[str, ...]) -> None:
    """A plan branch moves forward only: a decision that was on it stays on it."""
    seen = past.seen.get((plan, None))
    if seen and not past.kept(seen, tips):
        message = f"it no longer has {seen[:12]}, which was seen on it"
        past.found.add("plan_rewritten", f"plan/{plan}", message)


def check_kept(past: Past, header: RunHeader) -> None:
    """The plan commit that a run started from is still on the branch, or on the trusted one."""
    tips = past.plan_tips.get(header.plan)
    if tips and not past.kept(header.plan_tip, (*tips, past.trusted.commit)):
        message = f"plan/{header.plan} no longer has {header.plan_tip[:12]}, which it started from"
        past.found.add("plan_rewritten", f"{header.plan}/{header.run}", message)
