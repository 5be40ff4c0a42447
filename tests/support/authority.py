"""Changes of policy and keys, as people commit them, and what the audit tells of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from team import Team

POLICY, KEYS = "plans/policy.yaml", "plans/allowed_signers"
AS_PERSON = "(a person of the policy before)"
NOBODY = "approved by nobody that the keys before it know: "


def as_signer(team: Team, who: str, *args: str, env: dict[str, str] | None = None) -> None:
    """Call git so that it signs with the person's key."""
    key = f"user.signingkey={team.key(who)}"
    team.git("-c", "gpg.format=ssh", "-c", key, *args, who=who, env=env)


def edit(team: Team, old: str, new: str, *, path: str = POLICY) -> None:
    text = (team.root / path).read_text()
    whole = rf"(?<![\w-]){re.escape(old)}(?!(?<=\w)\w)"  # a repository's id may contain `7d`
    found, count = re.subn(whole, lambda _: new, text)
    assert count, f"{old!r} is not in {path}"
    (team.root / path).write_text(found)
    team.git("add", path)


def save(team: Team, who: str, *, date: str = "") -> str:
    """Commit what is staged, signed by a person."""
    env = {"GIT_COMMITTER_DATE": date} if date else None
    as_signer(team, who, "commit", "-q", "-S", "-m", "Change", env=env)
    return team.git("rev-parse", "HEAD")


def save_unsigned(team: Team, who: str) -> str:
    team.git("commit", "-q", "-m", "Change", who=who)
    return team.git("rev-parse", "HEAD")


def limit(team: Team, who: str, option: str) -> None:
    line = f"{who}@example.com namespaces"
    edit(team, line, f"{who}@example.com {option},namespaces", path=KEYS)


def side_branch(team: Team, who: str) -> str:
    """Leave a branch on which a person has made approvals last longer; main is checked out."""
    team.git("checkout", "-q", "-b", "side")
    edit(team, "7d", "30d")
    made = save(team, who)
    team.git("checkout", "-q", "main")
    return made


def changes(team: Team, *, cwd: Path | None = None) -> list[dict[str, Any]]:
    """Every change, newest first, of a history without findings."""
    done = team.cli("ada", "audit", "--json", cwd=cwd)
    assert done.code == 0, done.text
    found: list[dict[str, Any]] = done.json["authority_changes"]
    return found


def last(team: Team) -> dict[str, Any]:
    return changes(team)[0]


def words(change: dict[str, Any]) -> dict[str, bool]:
    return {each["what"]: each["loosens"] for each in change["changes"]}


def notes(team: Team) -> list[str]:
    found: list[str] = team.cli("ada", "audit", "--json").json["notes"]
    return found
