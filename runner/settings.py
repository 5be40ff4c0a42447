"""Settings: environment first, then git configuration, then defaults; one frozen object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting as the docs list it."""

    name: str
    variable: str
    config: str
    meaning: str


SETTINGS = (
    Setting(
        name="key",
        variable="PLANLOCK_KEY",
        config="planlock.key",
        meaning="your SSH key for approvals and plans: a file, or `key::ssh-ed25519 …` for the"
        " agent; else `user.signingkey`, else `~/.ssh/id_ed25519`",
    ),
    Setting(
        name="home",
        variable="PLANLOCK_HOME",
        config="planlock.home",
        meaning="URL of the repository that arbitrates, or `.` for this one; else the remote"
        " `origin`, else this one",
    ),
    Setting(
        name="trusted_ref",
        variable="PLANLOCK_TRUSTED_REF",
        config="planlock.trustedRef",
        meaning="branch of the home that holds policy and keys, as `refs/heads/…`",
    ),
    Setting(
        name="runner_key",
        variable="PLANLOCK_RUNNER_KEY",
        config="planlock.runnerKey",
        meaning="file of the runner's own key; else `planlock/runner_key` in the git folder",
    ),
    Setting(
        name="ledger_url",
        variable="PLANLOCK_LEDGER_URL",
        config="planlock.ledgerUrl",
        meaning="SQLAlchemy URL of the ledger; else SQLite in the git folder",
    ),
    Setting(
        name="model_script",
        variable="PLANLOCK_MODEL_SCRIPT",
        config="planlock.modelScript",
        meaning="answers of the scripted model, a YAML file; else it echoes what it was given",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What environment and git configuration say; None where neither says anything."""

    key: str | None = None
    home: str | None = None
    trusted_ref: str | None = None
    runner_key: Path | None = None
    ledger_url: str | None = None
    model_script: Path | None = None
    user_name: str | None = None
    user_email: str | None = None
    user_home: Path = Path("/nonexistent")


def load(environment: Mapping[str, str], config: Mapping[str, str]) -> Settings:
    """Read the settings; `config` maps lower-case dotted names to values."""
    found: dict[str, str] = {}
    for each in SETTINGS:
        value = environment.get(each.variable) or config.get(each.config.lower())
        if value:
            found[each.name] = value
    return Settings(
        key=found.get("key") or config.get("user.signingkey"),
        home=found.get("home") or config.get("remote.origin.url"),
        trusted_ref=found.get("trusted_ref"),
        runner_key=_path(found.get("runner_key")),
        ledger_url=found.get("ledger_url"),
        model_script=_path(found.get("model_script")),
        user_name=environment.get("GIT_AUTHOR_NAME") or config.get("user.name"),
        user_email=environment.get("GIT_AUTHOR_EMAIL") or config.get("user.email"),
        user_home=Path(environment.get("HOME", "/nonexistent")),
    )


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None
