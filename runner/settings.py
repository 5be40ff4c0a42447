"""Settings: environment first, then git configuration, then defaults; one frozen object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KEY_VARIABLE: Final = "PLANLOCK_KEY"
_KEY_CONFIG: Final = "planlock.key"
_SIGNING_KEY: Final = "user.signingkey"
DEFAULT_KEY_COMMAND: Final = "gpg.ssh.defaultKeyCommand"
_PROGRAM: Final = "gpg.ssh.program"
_OWN_SCOPES: Final = {"system", "global", "command"}
_SSH_STARTS: Final = ("key::", "ssh-", "ecdsa-", "sk-")


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
        variable=KEY_VARIABLE,
        config=_KEY_CONFIG,
        meaning="your SSH key for approvals and plans: a file (a certificate's too), or"
        " `key::ssh-ed25519 …` for the agent; else `user.signingkey`, else what"
        " `gpg.ssh.defaultKeyCommand` prints, else the first of `id_ed25519`, `id_ed25519_sk`,"
        " `id_ecdsa_sk`, `id_ecdsa` and `id_rsa` in `~/.ssh`; `planlock whoami` tells",
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
        home=found.get("home") or config.get("remote.origin.url"),
        trusted_ref=found.get("trusted_ref"),
        runner_key=_path(found.get("runner_key")),
        ledger_url=found.get("ledger_url"),
        model_script=_path(found.get("model_script")),
        user_name=environment.get("GIT_AUTHOR_NAME") or config.get("user.name"),
        user_email=environment.get("GIT_AUTHOR_EMAIL") or config.get("user.email"),
        user_home=Path(environment.get("HOME", "/nonexistent")),
    )


@dataclass(frozen=True, kw_only=True)
class KeySettings:
    """What says which SSH key is the caller's, and what signs with it.

    `ignored` are settings of the repository itself that name a program: it may start none.
    """

    key: str | None = None
    named_by: str = ""
    program: str | None = None
    default_key_command: str | None = None
    ignored: tuple[str, ...] = ()


def load_key(
    environment: Mapping[str, str], configured: Iterable[tuple[str, str, str]]
) -> KeySettings:
    """Read the settings about the caller's key; `configured` has scope, name and value of each."""
    every = list(configured)
    config = {name.lower(): value for _, name, value in every}
    own = {name.lower(): value for scope, name, value in every if scope in _OWN_SCOPES}
    others = {name.lower() for scope, name, _ in every if scope not in _OWN_SCOPES}
    key, named_by = _named_key(environment, config)
    return KeySettings(
        key=key,
        named_by=named_by,
        program=own.get(_PROGRAM.lower()) or None,
        default_key_command=own.get(DEFAULT_KEY_COMMAND.lower()) or None,
        ignored=tuple(name for name in (_PROGRAM, DEFAULT_KEY_COMMAND) if name.lower() in others),
    )


def _named_key(environment: Mapping[str, str], config: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the key and the setting that names it."""
    setting = next(each for each in SETTINGS if each.name == "key")
    candidates = [
        (environment.get(setting.variable), setting.variable),
        (config.get(setting.config.lower()), setting.config),
    ]
    signing = config.get(_SIGNING_KEY, "")
    # else it may be the id of an OpenPGP key, which is neither a path nor an SSH key
    if config.get("gpg.format") == "ssh" or "/" in signing or signing.startswith(_SSH_STARTS):
        candidates.append((signing, _SIGNING_KEY))
    return next(((key, name) for key, name in candidates if key), (None, ""))


def how_to_change(named_by: str) -> str:
    """How to name another key where `named_by` (a setting, or neither) named one that is no use."""
    if named_by == KEY_VARIABLE:
        return f"export {KEY_VARIABLE}=FILE, or unset it"
    if named_by not in {_KEY_CONFIG, _SIGNING_KEY}:
        return f"git config {_SIGNING_KEY} FILE"
    look = f"git config --show-origin {named_by}"
    return f"git config {named_by} FILE, or see who sets it: {look}"


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None
