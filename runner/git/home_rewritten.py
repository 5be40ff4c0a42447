"""A branch that moved other than forward: what is lost with it, and how to take it all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import AuthorityRefused
from runner.core.run import plan_branch, plan_folder
from runner.git import command, history, refs

PLANS = plan_branch("")
RUNS = "refs/heads/planlock/"


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """`ref` of the home does not descend from `old` any more.

    `kept` are the refs here that remember what is gone; without them, `ref` is believed as it is.
    """

    ref: str
    old: str
    new: str
    url: str | None
    kept: Mapping[str, str]


def refusal(git_dir: Path, found: Rewritten, *, trusted: str | None) -> AuthorityRefused:
    """Say what was rewritten, what would be forgotten, and which commands accept it."""
    plan = found.ref.removeprefix(PLANS) if found.ref.startswith(PLANS) else ""
    what = f"plan branch plan/{plan}" if plan else found.ref
    message = (
        f"{what}{' of the home' if found.url else ''} was rewritten: it no longer has commit "
        f"{found.old[:12]}, and moved other than forward to {found.new[:12]}"
    )
    if plan:
        message += _loss(git_dir, plan, found, trusted)
    return AuthorityRefused(message, hint=_hint(found))


def _loss(git_dir: Path, plan: str, found: Rewritten, trusted: str | None) -> str:
    runs = refs.under(git_dir, f"{RUNS}{plan}/")
    stays = [found.new, *([trusted] if trusted else []), *runs.values()]
    lost = set[str]()
    for old in {found.old, *found.kept.values()}:
        lost |= _lost_decisions(git_dir, plan, old, stays)
    if not lost:
        return "; every decision that was on it is still known without it"
    return f"; {len(lost)} decision(s) that were on it would be forgotten"


def _lost_decisions(git_dir: Path, plan: str, old: str, stays: Sequence[str]) -> set[str]:
    """The records that only `old` has, or that only there have their signature."""
    folder = f"{plan_folder(plan)}/approvals"
    args = ["merge-base", old, stays[0]]
    base = command.attempt(args, git_dir=git_dir).stdout.decode().strip()
    had = history.versions(git_dir, [old], base=base or stays[0], folder=folder)
    have = history.versions(git_dir, stays, base=base or old, folder=folder)
    still = {(each.path, each.oid) for each in have}
    lost = (each.path for each in had if (each.path, each.oid) not in still)
    return {path.removesuffix(".sig") for path in lost}


def _hint(found: Rewritten) -> str:
    commands = (f"git update-ref -d {ref} {oid}" for ref, oid in found.kept.items())
    look = f"git log --stat {found.new[:12]}..{found.old[:12]}"
    return f"look at what is gone: {look}; if this is meant: {' && '.join(commands)}"
