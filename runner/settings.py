"""Settings: environment first, then git configuration, then defaults; one frozen object."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runner.core.errors import LedgerError, UsageError
from runner.core.run_states import DURABILITIES, Durability

KEY_VARIABLE: Final = "PLANLOCK_KEY"
_KEY_CONFIG: Final = "planlock.key"
_SIGNING_KEY: Final = "user.signingkey"
DEFAULT_KEY_COMMAND: Final = "gpg.ssh.defaultKeyCommand"
_PROGRAM: Final = "gpg.ssh.program"
_OWN_SCOPES: Final = {"system", "global", "command"}
_SQLITE: Final = "sqlite:"
_MODELS_EXAMPLE: Final = "~/.config/planlock/models.yaml"
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}")
_ON_GITHUB: Final = re.compile(
    r"(?:https://(?:[^/@]*@)?github\.com/|(?:ssh://)?git@github\.com[:/])"
    r"(?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/?"
)
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
        name="durability",
        variable="PLANLOCK_DURABILITY",
        config="planlock.durability",
        meaning="`remote`: the home has each step of a run before the next begins; `local`: this"
        " disk has, and the home now and then (`docs/runs.md`); else `remote` where there is a"
        " remote home",
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
        meaning="SQLAlchemy URL of the ledger; else SQLite in the git folder. The repository's own"
        " configuration may name SQLite only",
    ),
    Setting(
        name="forge",
        variable="PLANLOCK_FORGE",
        config="planlock.forge",
        meaning="the repository on GitHub, as `owner/name`; else `GITHUB_REPOSITORY`, else what the"
        " home's URL tells. Not read from the repository's own configuration, nor are the settings"
        " below",
    ),
    Setting(
        name="forge_url",
        variable="PLANLOCK_FORGE_URL",
        config="planlock.forgeUrl",
        meaning="address of its API, such as `https://github.example.com/api/v3`; else"
        " `GITHUB_API_URL`, else `https://api.github.com`",
    ),
    Setting(
        name="forge_token",
        variable="PLANLOCK_FORGE_TOKEN",
        config="planlock.forgeToken",
        meaning="a token for it; else `GITHUB_TOKEN` or `GH_TOKEN`",
    ),
    Setting(
        name="forge_app",
        variable="PLANLOCK_FORGE_APP",
        config="planlock.forgeApp",
        meaning="number of a GitHub App to act as, instead of a token",
    ),
    Setting(
        name="forge_app_key",
        variable="PLANLOCK_FORGE_APP_KEY",
        config="planlock.forgeAppKey",
        meaning="file of that App's private key",
    ),
    Setting(
        name="home_token",
        variable="PLANLOCK_HOME_TOKEN",
        config="",
        meaning="a token for fetching from and pushing to an https home; it is sent to that host"
        " alone. Read from the environment only",
    ),
    Setting(
        name="model_script",
        variable="PLANLOCK_MODEL_SCRIPT",
        config="planlock.modelScript",
        meaning="answers of the scripted model, a YAML file, for demos and tests; it is then the"
        " only model unless PLANLOCK_MODELS names others. Not read from the repository's own"
        " configuration, nor are the settings below",
    ),
    Setting(
        name="models",
        variable="PLANLOCK_MODELS",
        config="planlock.models",
        meaning="your file of providers, models and routes (`docs/models.md`), an absolute path"
        " outside the work tree; else what the environment tells: `GEMINI_API_KEY`, `OPENAI_API_KEY`, `OPENROUTER_API_KEY`,"
        " `OLLAMA_HOST`, `PLANLOCK_MODEL_URL`",
    ),
    Setting(
        name="model_url",
        variable="PLANLOCK_MODEL_URL",
        config="planlock.modelUrl",
        meaning="a server on your machine or in your network that speaks OpenAI's API, such as"
        " `http://127.0.0.1:8080/v1`; its models are of tier `local` and free",
    ),
    Setting(
        name="router_url",
        variable="PLANLOCK_ROUTER_URL",
        config="planlock.routerUrl",
        meaning="a running `planlock router serve` to ask, such as `http://127.0.0.1:8000`; else"
        " the router runs inside each command",
    ),
    Setting(
        name="model_store",
        variable="PLANLOCK_MODEL_STORE",
        config="planlock.modelStore",
        meaning="folder of the requests and answers that are kept; else `planlock/models` in the"
        " git folder",
    ),
)
# What decides where prompts and keys go, and who answers: never the repository's own configuration.
_OF_MODELS: Final = {"model_script", "models", "model_url", "router_url", "model_store"}
_OF_FORGE: Final = {"forge", "forge_url", "forge_token", "forge_app", "forge_app_key"}
_GUARDED: Final = _OF_MODELS | _OF_FORGE


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What environment and git configuration say; None where neither says anything."""

    home: str | None = None
    trusted_ref: str | None = None
    durability: Durability | None = None
    runner_key: Path | None = None
    ledger_url: str | None = None
    model_script: Path | None = None
    model_store: Path | None = None
    user_name: str | None = None
    user_email: str | None = None
    user_home: Path = Path("/nonexistent")


def guarded(
    config: Mapping[str, str], configured: Iterable[tuple[str, str, str]]
) -> dict[str, str]:
    """Take out of `config` what only the user's own configuration may say, unless that says it."""
    names = {each.config.lower() for each in SETTINGS if each.name in _GUARDED}
    own = _own(configured)
    kept = {name: value for name, value in config.items() if name not in names}
    return kept | {name: value for name, value in own.items() if name in names}


def load(environment: Mapping[str, str], config: Mapping[str, str]) -> Settings:
    """Read the settings; `config` maps lower-case dotted names to values. Raises UsageError."""
    found: dict[str, str] = {}
    for each in SETTINGS:
        value = environment.get(each.variable) or config.get(each.config.lower())
        if value:
            found[each.name] = value
    return Settings(
        home=found.get("home") or config.get("remote.origin.url"),
        trusted_ref=found.get("trusted_ref"),
        durability=_durability(found.get("durability")),
        runner_key=_path(found.get("runner_key")),
        ledger_url=found.get("ledger_url"),
        model_script=_path(found.get("model_script")),
        model_store=_path(found.get("model_store")),
        user_name=environment.get("GIT_AUTHOR_NAME") or config.get("user.name"),
        user_email=environment.get("GIT_AUTHOR_EMAIL") or config.get("user.email"),
        user_home=Path(environment.get("HOME", "/nonexistent")),
    )


def _durability(text: str | None) -> Durability | None:
    if text is None:
        return None
    if text in DURABILITIES:
        return DURABILITIES[text]
    message = f"reading settings: durability {text!r} is neither `local` nor `remote`"
    raise UsageError(message, hint="git config planlock.durability local, or unset it")


def load_ledger_url(
    environment: Mapping[str, str], configured: Iterable[tuple[str, str, str]]
) -> str | None:
    """Read where the ledger is; raises LedgerError where the repository itself names a server.

    It would receive what plans say, and be believed about what was spent.
    """
    every = list(configured)
    setting = next(each for each in SETTINGS if each.name == "ledger_url")
    name = setting.config.lower()
    if told := environment.get(setting.variable):
        return told
    url = {key.lower(): value for _, key, value in every}.get(name) or None
    if url is None or url.startswith(_SQLITE) or url == _own(every).get(name):
        return url
    message = f"opening the ledger: {setting.config} of this repository names a server"
    mean_it = f"if you mean it: git config --global {setting.config} URL"
    hint = f"git config --local --unset-all {setting.config}; {mean_it}"
    raise LedgerError(message, hint=hint)


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
    own = _own(every)
    others = {name.lower() for scope, name, _ in every if scope not in _OWN_SCOPES}
    key, named_by = _named_key(environment, config)
    return KeySettings(
        key=key,
        named_by=named_by,
        program=own.get(_PROGRAM.lower()) or None,
        default_key_command=own.get(DEFAULT_KEY_COMMAND.lower()) or None,
        ignored=tuple(name for name in (_PROGRAM, DEFAULT_KEY_COMMAND) if name.lower() in others),
    )


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Where questions to models go; `ignored` are settings of the repository itself.

    A repository that could name a server would receive its readers' files and keys.
    """

    file: Path | None = None
    url: str | None = None
    router_url: str | None = None
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ForgeSettings:
    """The repository on the forge, the address of its API, and who asks there.

    A repository that could name a server would receive its readers' tokens.
    """

    repository: str
    url: str = "https://api.github.com"
    token: str = field(default="", repr=False)
    app: str = ""
    app_key: Path | None = None


def load_forge(
    environment: Mapping[str, str], configured: Iterable[tuple[str, str, str]], home: str | None
) -> ForgeSettings:
    """Read the settings about the forge; raises UsageError where nothing names a repository.

    A token of the environment is meant for the server that the environment names.
    """
    own = _own(list(configured))

    def told(name: str, *others: str) -> str:
        setting = next(each for each in SETTINGS if each.name == name)
        found = environment.get(setting.variable) or own.get(setting.config.lower())
        return found or next((environment[each] for each in others if environment.get(each)), "")

    repository = told("forge", "GITHUB_REPOSITORY") or _repository_of(home or "")
    if not _REPOSITORY.fullmatch(repository):
        said = f"{repository!r} is not like owner/name" if repository else "none is named"
        message = f"looking for the repository on GitHub: {said}"
        raise UsageError(message, hint="export PLANLOCK_FORGE=owner/name")
    return ForgeSettings(
        repository=repository,
        url=told("forge_url", "GITHUB_API_URL") or ForgeSettings.url,
        token=told("forge_token", "GITHUB_TOKEN", "GH_TOKEN"),
        app=told("forge_app"),
        app_key=_path(told("forge_app_key") or None),
    )


def names_forge(
    environment: Mapping[str, str], configured: Iterable[tuple[str, str, str]], home: str | None
) -> bool:
    """Whether the settings tell which repository to ask about, and as whom."""
    try:
        told = load_forge(environment, configured, home)
    except UsageError:
        return False
    return bool(told.token or told.app)


def _repository_of(home: str) -> str:
    """`owner/name` of a home on github.com; empty for any other place."""
    found = _ON_GITHUB.fullmatch(home)
    return f"{found['owner']}/{found['name']}" if found else ""


def load_models(
    environment: Mapping[str, str], configured: Iterable[tuple[str, str, str]]
) -> ModelSettings:
    """Read the settings about models; `configured` has scope, name and value of each.

    Raises UsageError where the file of models is named by a relative path.
    """
    every = list(configured)
    own = _own(every)
    others = {name.lower() for scope, name, _ in every if scope not in _OWN_SCOPES}
    wanted = [each for each in SETTINGS if each.name in _OF_MODELS]
    found = {
        each.name: environment.get(each.variable) or own.get(each.config.lower()) or None
        for each in wanted
    }
    return ModelSettings(
        file=_absolute(_path(found["models"])),
        url=found["model_url"],
        router_url=found["router_url"],
        ignored=tuple(each.config for each in wanted if each.config.lower() in others),
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


def models_refused(path: Path, why: str) -> UsageError:
    """The refusal of a file of models: it names the variables whose values are sent as keys."""
    hint = f"export PLANLOCK_MODELS={_MODELS_EXAMPLE}"
    return UsageError(f"reading the file of models {path}: {why}", hint=hint)


def _absolute(path: Path | None) -> Path | None:
    """Let no repository bring the file by having one of that name."""
    if path is None or path.is_absolute():
        return path
    raise models_refused(path, "a relative path could lead into any repository")


def _own(configured: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    return {name.lower(): value for scope, name, value in configured if scope in _OWN_SCOPES}


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None
