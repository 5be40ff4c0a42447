"""Policies of the work tree, and what keys their people have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from runner import schemas
from runner.core import validation
from runner.core.approval import NAMESPACE
from runner.core.demands import Keys
from runner.core.errors import FileAccessError, NotGoverned, RepositoryUnsuitable
from runner.core.policy import POLICY_PATH, SIGNERS_PATH, Assurance, Person, PolicyFile
from runner.git import signers
from runner.git.signers import AllowedSigners
from runner.project import Project


def default(project: Project) -> Path:
    """The policy that would be committed next."""
    work_tree = project.repository.work_tree
    if work_tree is None:
        raise RepositoryUnsuitable(f"reading {POLICY_PATH}: this repository has no work tree")
    return work_tree / POLICY_PATH


def read(path: Path) -> PolicyFile:
    """Read and check a policy; raises InvalidDocument with every problem."""
    schema = schemas.load("policy")
    return validation.read_policy(_bytes(path), file=str(path), schema=schema)[1]


def keys_beside(path: Path, people: Sequence[Person], *, at: datetime) -> Keys:
    """What the allowed_signers beside a policy gives its people; nothing where there is none."""
    file = path.parent / Path(SIGNERS_PATH).name
    try:
        listed = signers.parse(_bytes(file), file=str(file))
    except NotGoverned:
        return {}
    return keys_of(listed, people, at=at)


def keys_of(listed: AllowedSigners, people: Sequence[Person], *, at: datetime) -> Keys:
    """The best assurance that each person's keys can give to an approval."""
    found: dict[str, Assurance] = {}
    for person in people:
        levels = set(_levels(listed, person.principal, at))
        if levels:
            found[person.principal] = "hardware" if "hardware" in levels else "key"
    return found


def _levels(listed: AllowedSigners, principal: str, at: datetime) -> Iterator[Assurance]:
    for entry in listed.entries:
        if NAMESPACE not in entry.namespaces or not entry.is_valid(at):
            continue
        if entry.cert_authority and entry.covers(principal):
            yield "hardware"  # it may vouch for keys of any type
        elif entry.principal == principal and not entry.cert_authority:
            yield "hardware" if entry.key.hardware else "key"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotGoverned(f"reading {path}: no such file", hint="planlock init") from error
    except OSError as error:
        raise FileAccessError(f"reading {path}: {error.strerror}") from error
