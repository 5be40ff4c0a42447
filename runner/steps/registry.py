"""Find a step type by name, through the entry-point group `planlock.steps`.

A plugin's code is imported only if the policy lists its distribution; the built-in names are
ours alone, whatever else is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from runner.core.errors import Refused
from runner.core.plan_checks import BUILT_IN
from runner.steps.contract import StepType

GROUP = "planlock.steps"
OURS = "planlock"


def find(name: str, plugins: Sequence[str]) -> StepType:
    """Load a step type; raises Refused where nobody allowed provides it."""
    return _load(name, tuple(plugins))


def custom(plugins: Sequence[str]) -> dict[str, StepType]:
    """Load every step type that the allowed plugins add."""
    names = {each.name for each in entry_points(group=GROUP) if _distribution(each) in plugins}
    return {name: find(name, plugins) for name in sorted(names - set(BUILT_IN))}


@cache
def _load(name: str, plugins: tuple[str, ...]) -> StepType:
    allowed = (OURS,) if name in BUILT_IN else plugins
    offered = entry_points(group=GROUP, name=name)
    found = [each for each in offered if _distribution(each) in allowed]
    if len(found) != 1:
        raise Refused(
            f"step type {name!r}: {_complaint(len(found), [_distribution(e) for e in offered])}",
            hint="list the plugin's distribution under `plugins` in plans/policy.yaml, by review",
        )
    made = found[0].load()()
    if not isinstance(made, StepType):
        raise Refused(f"step type {name!r}: its plugin does not give a StepType")
    return made


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else ""


def _complaint(count: int, offered: Sequence[str]) -> str:
    if count > 1:
        return "several plugins that the policy allows provide it"
    if offered:
        return f"provided by {', '.join(offered)}, which the policy does not allow"
    return "unknown, and no installed plugin provides it"
