"""A governed repository, opened: repository, authority, home, ledger, sandbox, each on first use."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from runner import schemas, settings
from runner.core import code_owners, paths, validation
from runner.core.approval import NAMESPACE
from runner.core.code_owners import CodeOwners
from runner.core.errors import (
    AuthorityRefused,
    KeyNotFound,
    NotGoverned,
    PlanlockError,
    RepositoryNotFound,
    RepositoryUnsuitable,
    UsageError,
)
from runner.core.policy import POLICY_PATH, SIGNERS_PATH, Policy, PolicyFile
from runner.git import checkouts, home, home_offline, home_url, recorder, repository
from runner.git.history_known import KnownHistory
from runner.git.home import LOCAL, Home
from runner.git.home_offline import Offline
from runner.git.objects import ObjectStore, Signature
from runner.git.recorder_publishing import Publisher
from runner.git.repository import Repository
from runner.git.repository import Setting as GitSetting
from runner.git.signers import AllowedSigners
from runner.git.signers import parse as parse_signers
from runner.git.signing import SSH_KEYGEN, FileSigner, SshSigner, first_key
from runner.git.signing_keys import DEFAULTS, usable_key
from runner.settings import ForgeSettings, KeySettings, ModelSettings

if TYPE_CHECKING:
    from runner.github.auth import Auth
    from runner.github.client import GitHub
    from runner.ledger.store import Ledger
    from runner.models.contract import Models

RUNNER_NAME = "planlock runner"


@dataclass(frozen=True, kw_only=True, eq=False)
class Authority:
    """Policy and keys at one commit of the trusted ref, of which a project has one."""

    ref: str
    commit: str
    policy_file: PolicyFile
    signers: AllowedSigners

    @property
    def policy(self) -> Policy:
        return self.policy_file.policy

    def __str__(self) -> str:
        return f"{self.ref}@{self.commit[:12]}"


@dataclass(frozen=True, kw_only=True)
class World:
    """What below the entry points may not be looked up: clock, randomness, environment, folder."""

    now: Callable[[], datetime]
    random: Callable[[int], bytes]
    environment: Mapping[str, str]
    folder: Path
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def real_world(folder: Path | None = None) -> World:
    """The machine as it is, from this folder or the current one."""
    return World(
        now=lambda: datetime.now(UTC),
        random=os.urandom,
        environment=dict(os.environ),
        folder=folder or _folder(),
    )


def _folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise RepositoryNotFound("the current folder is gone", hint="cd into another") from error


class Project:
    """Opens each part when it is first asked for; close it, or use it in a `with`.

    `unsettled` is why something that a process recorded before it died is not settled yet.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.unsettled: PlanlockError | None = None
        self._authorities: dict[str, Authority] = {}
        self._open: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        while self._open:
            self._open.pop()()

    @cached_property
    def repository(self) -> Repository:
        found = repository.discover(self.world.folder)
        try:
            recorder.recover(found.git_dir, found.objects)
        except PlanlockError as error:
            self.unsettled = error
        return found

    @cached_property
    def settings(self) -> settings.Settings:
        config = settings.guarded(self.repository.config, self._configured)
        return settings.load(self.world.environment, config)

    @cached_property
    def _configured(self) -> tuple[GitSetting, ...]:
        return self.repository.settings(self.world.environment)

    @cached_property
    def store(self) -> ObjectStore:
        store = ObjectStore(self.repository.git_dir, self.repository.objects)
        self._open.append(store.close)
        return store

    @cached_property
    def publisher(self) -> Publisher:
        """What moves the refs of runs."""
        publisher = Publisher(self.store, lambda: self.home, self.settings.durability)
        self._open.append(partial(_end, publisher))
        return publisher

    @cached_property
    def history(self) -> KnownHistory:
        return KnownHistory(self.store)

    @property
    def git_dir(self) -> Path:
        return self.repository.git_dir

    @cached_property
    def home(self) -> Home:
        """The repository that arbitrates; raises NotGoverned where nobody ran init."""
        url = self.home_url
        ref = self.settings.trusted_ref
        if ref is None and url is not None:
            ref = home.remote_default_branch(url)
        if ref is None:
            message = "finding the trusted ref: git configuration names none"
            raise NotGoverned(message, hint="planlock init")
        return Home(git_dir=self.git_dir, url=url, trusted_ref=ref)

    @property
    def home_url(self) -> str | None:
        """The remote that arbitrates, None for this repository; a path counts from its top.

        Raises AuthorityRefused where it lies in a work tree, and GitError where it is no URL.
        """
        url = self.settings.home
        if url is None or url == LOCAL:
            return None
        return home_url.resolve(url, git_dir=self.git_dir, top=self.repository.work_tree)

    def stay_offline(self) -> Offline:
        """Judge by what this repository holds: the newer of home as last fetched and `origin`.

        Raises NotGoverned where neither is here.
        """
        url = self.settings.home
        if url is None or url == LOCAL:
            return Offline(home=self.home)
        origin = self.repository.config.get("remote.origin.url")
        found = home_offline.choose(
            self.git_dir,
            url=url,
            ref=self.settings.trusted_ref,
            is_origin=home_offline.same_place(url, origin, top=self.repository.work_tree),
        )
        if found is None:
            message = "finding the trusted ref: neither the home nor origin's branches are here"
            raise NotGoverned(message, hint="git fetch origin && git remote set-head origin --auto")
        self.home = found.home
        return found

    def authority(self) -> Authority:
        """Policy and keys as they are trusted now; the home is fetched by the caller."""
        if self.repository.shallow:
            raise AuthorityRefused(
                "reading the trusted history: this clone is shallow",
                hint="git fetch --unshallow",
            )
        return self.authority_at(self.home.trusted())

    def authority_at(self, commit: str) -> Authority:
        """Policy and keys at a commit; raises NotGoverned or InvalidDocument."""
        if commit not in self._authorities:
            self._authorities[commit] = self._read_authority(commit)
        return self._authorities[commit]

    def _read_authority(self, commit: str) -> Authority:
        ref = self.home.trusted_ref
        tree = self.store.commit(commit).tree
        policy = self.store.file(tree, POLICY_PATH)
        keys = self.store.file(tree, SIGNERS_PATH)
        if policy is None or keys is None:
            gone = POLICY_PATH if policy is None else SIGNERS_PATH
            message = f"reading {gone} at {ref}@{commit[:12]}: no such file there"
            raise NotGoverned(message, hint="planlock init, then commit plans/ on that branch")
        where = f"{ref}@{commit[:12]}:"
        _, policy_file = validation.read_policy(
            policy, file=where + POLICY_PATH, schema=schemas.load("policy")
        )
        return Authority(
            ref=ref,
            commit=commit,
            policy_file=self._with_owners(policy_file, tree, where),
            signers=parse_signers(keys, file=where + SIGNERS_PATH),
        )

    def _with_owners(self, found: PolicyFile, tree: str, where: str) -> PolicyFile:
        """The policy with CODEOWNERS beside it, where that is asked for; raises InvalidDocument."""
        owners = self.code_owners(tree, where) if found.policy.forge.code_owners else None
        return replace(found, policy=found.policy.with_owners(owners)) if owners else found

    def code_owners(self, tree: str, where: str) -> CodeOwners | None:
        """Whose the paths of a tree are, None where nobody says; raises InvalidDocument."""
        files = ((path, self.store.file(tree, path)) for path in code_owners.PLACES)
        path, data = next((each for each in files if each[1] is not None), ("", None))
        if data is None:
            return None
        return code_owners.parse(data.decode("utf-8", "replace"), file=where + path)

    @cached_property
    def key_settings(self) -> KeySettings:
        return settings.load_key(self.world.environment, self._configured)

    @cached_property
    def person_key(self) -> tuple[str | Path, str]:
        """The caller's SSH key as SshSigner takes it, and what named it; raises KeyNotFound."""
        told = self.key_settings
        if told.key is None and told.default_key_command:
            key = first_key(told.default_key_command, env=self.world.environment)
            return key, settings.DEFAULT_KEY_COMMAND
        ssh = self.settings.user_home / ".ssh"
        candidates = [told.key] if told.key else [ssh / name for name in DEFAULTS]
        found = usable_key(candidates, folder=self._key_folder)
        if found is None:
            names = f"{told.named_by} names {told.key}, which" if told.key else f"{candidates[0]}"
            message = f"looking for your SSH key: {names} does not exist"
            # a new key elsewhere would leave the setting as it is
            hint = settings.how_to_change(told.named_by) if told.key else "planlock key new"
            raise KeyNotFound(message, hint=hint)
        return found, told.named_by or "default"

    @property
    def _key_folder(self) -> Path:
        """Where a relative path begins: the environment's here, git's at the top."""
        in_environment = self.key_settings.named_by == settings.KEY_VARIABLE
        return self.world.folder if in_environment else self.repository.top

    @cached_property
    def person(self) -> SshSigner:
        """The caller's SSH key, or the certificate beside it where that counts for more.

        Raises KeyNotFound; the home is fetched by the caller.
        """
        plain = SshSigner(
            self.person_key[0],
            env=dict(self.world.environment),
            program=self.key_settings.program or SSH_KEYGEN,
        )
        certified = plain.certified()
        return max(plain, certified, key=self._standing) if certified else plain

    def _standing(self, signer: SshSigner) -> tuple[bool, ...]:
        """Compare greater for what counts now for more; where nothing is trusted yet, all equal."""
        try:
            signers = self.authority().signers
        except PlanlockError:
            return ()  # whoever needs the authority asks for it too, and is told why not
        shown, now = signer.credential, self.world.now()
        found = [signers.find(shown, namespace=each, at=now) for each in (NAMESPACE, "git")]
        counts = [each.principal is not None for each in found]
        return (*counts, signers.listed(shown) is not None)

    @property
    def runner_key_path(self) -> Path:
        return self.settings.runner_key or self.repository.state / "runner_key"

    @cached_property
    def runner(self) -> FileSigner:
        """The runner's own key; raises KeyNotFound where init has not made one."""
        if not self.runner_key_path.exists():
            message = f"looking for the runner's key: {self.runner_key_path} does not exist"
            raise KeyNotFound(message, hint="planlock init")
        return FileSigner(self.runner_key_path)

    def runner_name(self, authority: Authority) -> str:
        """The principal of the runner's key; raises KeyNotFound where the authority lists none."""
        found = authority.signers.find(
            self.runner.public_key, namespace="planlock-run", at=self.world.now()
        )
        if found.principal is None:
            message = f"the runner's key does not count at {authority}: {found.reason}"
            raise KeyNotFound(message, hint="planlock init, then commit plans/allowed_signers")
        return found.principal

    def identity(self) -> Signature:
        """The caller as git knows them; raises RepositoryUnsuitable without name or email."""
        name, email = self.settings.user_name, self.settings.user_email
        if not name or not email:
            raise RepositoryUnsuitable(
                "making a commit: git does not know your name and email",
                hint='git config user.name "Ada" && git config user.email ada@example.com',
            )
        return Signature(name=_plain(name), email=_plain(email), when=self._seconds())

    def act_for(self, name: str, email: str) -> None:
        """Let what is asked for bear somebody's name, which stays a claim: the runner signs it."""
        self.settings = replace(self.settings, user_name=name, user_email=email)
        self.maker = self.runner

    @cached_property
    def maker(self) -> SshSigner | FileSigner:
        """Whose key signs plans: the caller's, unless the runner acts for somebody."""
        return self.person

    def runner_identity(self, principal: str) -> Signature:
        return Signature(name=RUNNER_NAME, email=_plain(principal), when=self._seconds())

    def _seconds(self) -> int:
        return int(self.world.now().timestamp())

    @cached_property
    def forge(self) -> GitHub:
        """The repository on GitHub; raises UsageError where nothing tells which, or who asks."""
        from runner.github.client import GitHub

        told = settings.load_forge(self.world.environment, self._configured, self.home_url)
        forge = GitHub(told.repository, url=told.url, auth=_forge_auth(told))
        self._open.append(forge.close)
        return forge

    @property
    def has_forge(self) -> bool:
        """Whether it is known where to ask on GitHub, and as whom."""
        return settings.names_forge(self.world.environment, self._configured, self.home_url)

    @cached_property
    def model_settings(self) -> ModelSettings:
        """Where questions to models go; raises UsageError for a file that a branch could hold."""
        told = settings.load_models(self.world.environment, self._configured)
        if told.file is not None and _in_a_work_tree(told.file, self.repository):
            raise settings.models_refused(told.file, "it is in a work tree of this repository")
        return told

    @property
    def model_store(self) -> Path:
        """The folder of requests and answers."""
        return self.settings.model_store or self.repository.state / "models"

    @cached_property
    def models(self) -> Models:
        """The router, here or behind HTTP; raises InvalidDocument or FileAccessError."""
        from runner.models import setup

        told, world = self.model_settings, self.world
        models = setup.open_models(
            setup.Sources(
                file=told.file,
                url=told.url,
                router_url=told.router_url,
                script=self.settings.model_script,
                environment=world.environment,
                schema=schemas.load("models") if told.file else None,
            ),
            store=self.model_store,
            clock=setup.clock(
                now=world.now, random=world.random, monotonic=world.monotonic, sleep=world.sleep
            ),
        )
        self._open.append(models.close)
        return models

    @cached_property
    def ledger_url(self) -> str:
        """The ledger's URL; raises LedgerError where the repository itself names a server."""
        from runner.ledger.database import sqlite_url

        told = settings.load_ledger_url(self.world.environment, self._configured)
        return told or sqlite_url(self.repository.state / "ledger.sqlite")

    @cached_property
    def ledger(self) -> Ledger:
        from runner.ledger.store import Ledger

        ledger = Ledger(self.ledger_url, project=self.authority().policy.repository)
        self._open.append(ledger.close)
        return ledger

    def work_folder(self, plan: str, run: int) -> Path:
        """Where the files of a run lie on this machine."""
        return self.repository.state / "work" / paths.check_path(plan) / str(run)


def _end(publisher: Publisher) -> None:
    with suppress(PlanlockError):  # what is in the journal the next process settles
        publisher.end()


def _in_a_work_tree(path: Path, repo: Repository) -> bool:
    """Whether a path lies in a work tree, or ends there by a link."""
    tops = {repo.top, *(each.folder.resolve() for each in checkouts.list_all(repo.git_dir))}
    places = {Path(os.path.normpath(path)), Path(os.path.realpath(path))}
    return any(place.is_relative_to(top) for place in places for top in tops)


def _plain(text: str) -> str:
    """Leave out what would break a commit's header lines."""
    return "".join(char for char in text if char not in "<>\n\0").strip()


def _forge_auth(told: ForgeSettings) -> Auth:
    from runner.github.auth import App, Token

    if told.app and told.app_key:
        return App(told.app, told.app_key.read_text())
    if told.token:
        return Token(told.token)
    message = f"asking GitHub about {told.repository}: there is no token"
    raise UsageError(message, hint="export GITHUB_TOKEN=$(gh auth token)")
