"""Whose keys count, as tests commit it, and the question who one is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssh_keys import soft_key
from team import Result, Team

SIGNERS = "plans/allowed_signers"


def keep_only(team: Team, *lines: str) -> None:
    """Commit a file of allowed signers that has the runner's line and these."""
    old = (team.root / SIGNERS).read_text().splitlines()
    kept = [line for line in old if line.startswith("runner@")]
    team.commit({SIGNERS: "\n".join([*kept, *lines, ""])}, "Change the keys")


def line(key: str, *, who: str = "bob@example.com", options: str = "") -> str:
    return f'{who} {options}namespaces="git,planlock-approval" {key}'


def public(team: Team, who: str) -> str:
    return team.key(who).with_suffix(".pub").read_text().strip()


def whoami(team: Team, who: str, **env: str) -> Result:
    return team.cli(who, "whoami", "--json", env=env)


def known(team: Team, who: str, **env: str) -> Any:
    done = whoami(team, who, **env)
    assert done.code == 0, done.text
    return done.json


def at_home(team: Team, who: str, name: str, *, key_type: str = "ssh-ed25519") -> Path:
    folder = team.base / "home" / who / ".ssh"
    folder.mkdir(parents=True, exist_ok=True)
    return soft_key(key_type, 5).save(folder / name)


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)
