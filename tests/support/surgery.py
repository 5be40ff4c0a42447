"""What git does to a plan's branch: rebase, squash, cherry-pick, and a forge's three buttons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from forging import checked_out, plan_of, signing
from team import Team

BRANCH = "refs/heads/plan/job"


def forget(team: Team, *, cwd: Path | None = None) -> None:
    """Do what the refusal of a rewritten branch says where the rewriting is meant."""
    done = team.cli("ada", "run", "job", cwd=cwd)
    assert (done.code, "[authority_refused]" in done.err) == (4, True), done.text
    hint = done.err.partition("if this is meant: git ")[2]
    team.git(*hint.split(), cwd=cwd)


def accept(team: Team, *, cwd: Path | None = None) -> None:
    """Type what the refusal of a branch that was rewritten in the home gives to type."""
    done = team.cli("ada", "run", "job", cwd=cwd)
    commands = done.err.partition("if this is meant: ")[2].strip().split(" && ")
    assert [each.split()[:3] for each in commands] == [["git", "update-ref", "-d"]] * 2, done.text
    for each in commands:
        team.git(*each.split()[1:], cwd=cwd)


def patch_id(team: Team, commit: str) -> str:
    return team.git("patch-id", "--stable", stdin=team.git("show", commit) + "\n").split()[0]


def rebase(team: Team, onto: str, *options: str, who: str = "ada", signed: bool = True) -> None:
    """Rebase the plan's branch as git does it."""
    with checked_out(team, "plan/job") as folder:
        settings = signing(team.key(who)) if signed else []
        team.git(*settings, "rebase", "-q", *options, onto, cwd=folder, who=who)


def squash(
    team: Team, *, who: str = "ada", signed: bool = True, without: Sequence[str] = ()
) -> None:
    """Make one commit of the plan's branch, perhaps without some of its files."""
    with checked_out(team, "plan/job") as folder:
        if without:
            team.git("rm", "-q", *without, cwd=folder)
        team.git("reset", "-q", "--soft", str(plan_of(team, "job").plan.base), cwd=folder)
        settings = signing(team.key(who)) if signed else []
        team.git(*settings, "commit", "-q", "-m", "All of it", cwd=folder, who=who)


def merge(team: Team, how: str, *, who: str = "ada", plan: str = "") -> None:
    """Bring the plan's branch into main as a forge's three buttons do, and delete it."""
    team.git("checkout", "-q", "--", ".")
    team.git("clean", "-qfd")
    settings = signing(team.key(who))
    if how == "rebase":
        rebase(team, "main", "--force-rebase", "--reset-author-date", who=who)
        team.git("merge", "-q", "--ff-only", "plan/job")
    elif how == "squash":
        team.git("merge", "-q", "--squash", "plan/job")
        team.git(*settings, "commit", "-q", "-m", "Plan a job", who=who)
    else:
        team.git(*settings, "merge", "-q", "--no-ff", "--no-commit", "plan/job", who=who)
        if plan:
            team.write({"plans/job/plan.yaml": plan})
        team.git(*settings, "commit", "-qam", "Merge", who=who)
    team.git("branch", "-q", "-D", "plan/job")


def withdrawn_after_merge(team: Team) -> None:
    """Merge the plan with its approvals; bob withdraws on the branch, which main does not get."""
    tip = team.git("rev-parse", "plan/job")
    merge(team, "squash")
    team.git("branch", "-q", "plan/job", tip)
    assert team.cli("bob", "withdraw", "job").code == 0


def cherry_pick(team: Team, *commits: str, who: str = "ada", signed: bool = False) -> None:
    settings = signing(team.key(who)) if signed else []
    with checked_out(team, "plan/job") as folder:
        team.git(*settings, "cherry-pick", *commits, cwd=folder, who=who)
