"""What an attacker with write access to a repository can do: commits, records, signatures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from team import Result, Team

from runner import schemas
from runner.core import documents, validation
from runner.core.approval import NAMESPACE
from runner.core.documents import dump
from runner.core.plan import PlanFile
from runner.core.policy import PolicyFile
from runner.core.values import time_text
from runner.git.signing import SshSigner

ULID: Final = "01JDA7Q4Z0M5W8K2N3P6R9T1V4"


def answer(result: Result) -> dict[str, Any]:
    """Give the last JSON document that a command printed: its error, report or result."""
    decoder, text = json.JSONDecoder(), result.out.strip()
    found: dict[str, Any] = {}
    while text:
        found, end = decoder.raw_decode(text)
        text = text[end:].lstrip()
    assert isinstance(found, dict)
    return found


def codes(result: Result) -> list[str]:
    """Codes of the reasons of a refusal, or the code of the error where it has no reasons."""
    found = answer(result)
    error = found.get("error")
    reasons = (error or found).get("reasons", [])
    return [each["code"] for each in reasons] or ([error["code"]] if error else [])


def run_codes(
    team: Team, plan: str, *options: str, env: Mapping[str, str] | None = None
) -> list[str]:
    """Run a plan that must be refused, and give the codes of the reasons."""
    done = team.cli("ada", "run", plan, *options, "--json", env=env)
    assert done.code == 4, done.text
    return codes(done)


@contextmanager
def checked_out(team: Team, branch: str) -> Iterator[Path]:
    """Give a linked work tree of a branch, removed afterwards."""
    folder = team.base / "elsewhere"
    team.git("worktree", "add", "-q", str(folder), branch)
    try:
        yield folder
    finally:
        team.git("worktree", "remove", "--force", str(folder))


def commit_on(  # noqa: PLR0913  # who, what, where, when and how signed
    team: Team,
    branch: str,
    files: Mapping[str, bytes | None],
    *,
    who: str = "ada",
    signed: bool = False,
    key: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Commit files to a branch as git would; None deletes one.

    `signed` takes the committer's own key unless another one is given.
    """
    with checked_out(team, branch) as folder:
        for name, data in files.items():
            path = folder / name
            if data is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        team.git("add", "-A", "-f", cwd=folder)
        sign = signing(key or team.key(who)) if signed else []
        team.git(*sign, "commit", "-q", "-m", "By hand", cwd=folder, who=who, env=env)
        return team.git("rev-parse", "HEAD", cwd=folder)


def signing(key: Path) -> list[str]:
    """Give the options with which git signs every commit that it makes."""
    settings = ("gpg.format=ssh", f"user.signingkey={key}", "commit.gpgsign=true")
    return [word for each in settings for word in ("-c", each)]


def plan_of(team: Team, plan: str) -> PlanFile:
    path = f"plans/{plan}/plan.yaml"
    data = team.show_file(f"plan/{plan}", path) + "\n"
    return validation.read_plan(data.encode(), file=path, schema=schemas.load("plan"))[1]


def policy_of(team: Team) -> PolicyFile:
    path = "plans/policy.yaml"
    data = team.show_file("main", path) + "\n"
    return validation.read_policy(data.encode(), file=path, schema=schemas.load("policy"))[1]


def draft(team: Team, plan: str, who: str, /, **changes: Any) -> dict[str, Any]:
    """Write the approval that `who` would give to the plan as it stands now."""
    file, policy = plan_of(team, plan), policy_of(team)
    names = [step.id for step in file.plan.steps]
    return {
        "version": 1,
        "id": ULID,
        "decision": "approve",
        "plan": plan,
        "repository": policy.policy.repository,
        "steps": dict(zip(names, file.digests, strict=True)),
        "execution": policy.execution,
        "approver": f"{who}@example.com",
        "made_at": time_text(datetime.now(UTC)),
        **changes,
    }


def sign(key: Path, data: bytes, *, namespace: str = NAMESPACE) -> bytes:
    return SshSigner(key).sign(data, namespace=namespace)


def record_files(
    plan: str, value: Mapping[str, Any], key: Path | None, *, namespace: str = NAMESPACE
) -> dict[str, bytes | None]:
    """Give a record and its signature as files of a plan's approvals folder."""
    data = dump(dict(value))
    path = f"plans/{plan}/approvals/{value['id']}.yaml"
    files: dict[str, bytes | None] = {path: data}
    if key is not None:
        files[f"{path}.sig"] = sign(key, data, namespace=namespace)
    return files


def forge(team: Team, plan: str, value: Mapping[str, Any], *, key: str, **how: Any) -> None:
    """Put a record signed with somebody's key on the plan branch."""
    commit_on(team, f"plan/{plan}", record_files(plan, value, team.key(key), **how))


def approvals_of(team: Team, plan: str) -> dict[str, bytes]:
    """Give the files of the plan branch's approvals folder."""
    branch, folder = f"plan/{plan}", f"plans/{plan}/approvals/"
    names = team.git("ls-tree", "--name-only", branch, folder).split()
    return {name: (team.show_file(branch, name) + "\n").encode() for name in names}


def parsed(data: bytes) -> dict[str, Any]:
    value = documents.parse(data, file="record").value
    assert isinstance(value, dict)
    return value
