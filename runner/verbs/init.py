"""`init`: write the authority files, make the runner's key, store the trusted ref."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from runner import schemas
from runner.core import validation
from runner.core.errors import (
    FileAccessError,
    GitError,
    KeyNotFound,
    NotGoverned,
    RepositoryUnsuitable,
    UsageError,
)
from runner.core.policy import POLICY_PATH, SIGNERS_PATH
from runner.git import home, signers
from runner.git.checkouts import write_file
from runner.git.home import LOCAL, Home
from runner.git.signing import generate_key
from runner.git.ssh_keys import PublicKey
from runner.project import Project

PERSON_NAMESPACES = ("git", "planlock-approval")
RUNNER_NAMESPACES = ("git", "planlock-run", "planlock-witness")
RUNNER_PRINCIPAL = "runner@planlock"

POLICY = """\
# Who must approve what. Only this file as committed on the trusted branch counts.
# `planlock validate` checks it; docs/policy.md explains every field.
version: 1
repository: {repository}     # an approval counts only here
people:
  - {{principal: {principal}, roles: [maintainer]}}
rules: []
# - {{name: docs are free, match: {{step_type: edit_file, path: "docs/**"}}, approvals: 0}}
# - {{name: infrastructure, match: {{path: "infra/**"}}, approvals: 2, roles: [maintainer]}}
# - {{name: no workflows, match: {{path: ".github/**"}}, deny: CI is changed by hand}}
defaults: {{read_file: 0, analyze: 0, summarize: 0, edit_file: 1, run_command: 1}}
assurance: key                 # weakest that counts: server | forge | key | hardware
self_approval: {solo}
plans_signed: true
approvals_expire_after: 7d
budgets: {{run_usd: "1.00"}}
limits: {{steps: 50, changed_files: 100, changed_bytes: 1000000}}
sandbox: {{require: confined, network: [], tools: [{tools}], secrets: []}}
plugins: []
"""


@dataclass(frozen=True, kw_only=True)
class Initialised:
    """What init did; `written` and `kept` are paths.

    `commit_command` is empty if the trusted branch has both files as they are here.
    """

    written: tuple[str, ...]
    kept: tuple[str, ...]
    principal: str
    trusted_ref: str
    home: str
    commit_command: str


def init(project: Project, *, solo: bool, local: bool) -> Initialised:
    """Govern the repository; what is already there is kept."""
    work_tree = project.repository.work_tree
    if work_tree is None:
        message = "writing plans/: this repository is bare and has no work tree"
        raise RepositoryUnsuitable(message, hint="run init in a clone and push")
    trusted_ref, url = _trusted(project, local=local)
    principal = _principal(project)
    if solo:
        _check_solo(work_tree)
    if not (work_tree / SIGNERS_PATH).exists():
        _person_key(project)  # looked for first, so that nothing is half-written without one
    key = _runner_key(project)
    done = [
        _write_policy(project, work_tree, principal, solo=solo),
        _write_signers(project, work_tree, principal, key),
    ]
    project.repository.set_config("planlock.trustedRef", trusted_ref)
    project.repository.set_config("planlock.home", url or LOCAL)
    written = tuple(path for path, new in done if new)
    return Initialised(
        written=written,
        kept=tuple(path for path, new in done if not new),
        principal=principal,
        trusted_ref=trusted_ref,
        home=url or "this repository",
        commit_command=_commit_command(
            _uncommitted(project, work_tree, trusted_ref, url), trusted_ref, url
        ),
    )


def _check_solo(work_tree: Path) -> None:
    """Refuse `--solo` where a policy is there already and says otherwise."""
    path = work_tree / POLICY_PATH
    if not path.exists():
        return
    schema = schemas.load("policy")
    _, found = validation.read_policy(_read(path), file=POLICY_PATH, schema=schema)
    if not found.policy.self_approval:
        message = f"--solo: {POLICY_PATH} is there already, with self_approval: false"
        raise UsageError(message, hint=f"edit self_approval in {POLICY_PATH}, and commit it")


def _uncommitted(
    project: Project, work_tree: Path, trusted_ref: str, url: str | None
) -> tuple[str, ...]:
    """Which of the two files the trusted branch does not have as they are here."""
    there = Home(git_dir=project.git_dir, url=url, trusted_ref=trusted_ref)
    try:
        there.fetch()
        tree = project.store.commit(there.trusted()).tree
    except (GitError, NotGoverned):
        return POLICY_PATH, SIGNERS_PATH
    return tuple(
        path
        for path in (POLICY_PATH, SIGNERS_PATH)
        if project.store.file(tree, path) != _read(work_tree / path)
    )


def _commit_command(files: tuple[str, ...], trusted_ref: str, url: str | None) -> str:
    if not files:
        return ""
    command = f'git add {" ".join(files)} && git commit -m "Govern with planlock"'
    branch = trusted_ref.removeprefix("refs/heads/")
    return f"{command} && git push {url} HEAD:{branch}" if url else command


def _trusted(project: Project, *, local: bool) -> tuple[str, str | None]:
    """Find which branch holds authority: the home's default branch, or the one checked out."""
    if project.repository.head_commit() is None:
        message = "governing this repository: it has no commit yet"
        hint = 'git commit --allow-empty -m "Start"'
        raise RepositoryUnsuitable(message, hint=hint)
    configured = project.home_url
    if configured and not local:
        ref = project.settings.trusted_ref or home.remote_default_branch(configured)
        return ref, configured
    ref = project.settings.trusted_ref or project.repository.head_branch() or ""
    if not ref:
        message = "choosing the trusted branch: HEAD is detached"
        raise RepositoryUnsuitable(message, hint="git switch main")
    return ref, None


def _principal(project: Project) -> str:
    email = project.identity().email
    if not signers_name(email):
        raise UsageError(
            f"user.email {email!r} cannot name a principal", hint="git config user.email"
        )
    return email


def signers_name(text: str) -> bool:
    return bool(text) and text.isascii() and not any(char in ' \t",*?!#\\' for char in text)


def _runner_key(project: Project) -> PublicKey:
    path = project.runner_key_path
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise FileAccessError(f"making {path.parent}: {error.strerror}") from error
    if not path.exists():
        return generate_key(path, RUNNER_PRINCIPAL)
    return project.runner.public_key


def _write_policy(
    project: Project, work_tree: Path, principal: str, *, solo: bool
) -> tuple[str, bool]:
    path = work_tree / POLICY_PATH
    if path.exists():
        return POLICY_PATH, False
    text = POLICY.format(
        repository=uuid.UUID(bytes=project.world.random(16), version=4),
        principal=principal,
        solo=str(solo).lower(),
        tools=", ".join(name for name in (".venv", "venv") if (work_tree / name).is_dir()),
    )
    write_file(path, text.encode())
    return POLICY_PATH, True


def _write_signers(
    project: Project, work_tree: Path, principal: str, runner_key: PublicKey
) -> tuple[str, bool]:
    path = work_tree / SIGNERS_PATH
    old = _read(path) if path.exists() else _header()
    data = signers.add_line(old, RUNNER_PRINCIPAL, RUNNER_NAMESPACES, runner_key)
    if not path.exists():
        data = signers.add_line(data, principal, PERSON_NAMESPACES, _person_key(project))
    if path.exists() and data == old:
        return SIGNERS_PATH, False
    write_file(path, data)
    return SIGNERS_PATH, True


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileAccessError(f"reading {path}: {error.strerror}") from error


def _header() -> bytes:
    return (
        b"# Whose key counts for what; only as committed on the trusted branch.\n"
        b"# ssh-keygen(1), ALLOWED SIGNERS: principal, namespaces, validity, key.\n"
    )


def _person_key(project: Project) -> PublicKey:
    try:
        return project.person.listable_key
    except KeyNotFound as error:
        raise KeyNotFound(error.message, hint=f"{error.hint}, then planlock init") from error
