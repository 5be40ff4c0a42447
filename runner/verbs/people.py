"""`people add`: put a person and a key into both authority files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner import schemas
from runner.core import validation
from runner.core.documents import dump
from runner.core.errors import (
    FileAccessError,
    KeyNotFound,
    NotGoverned,
    RepositoryUnsuitable,
    SigningError,
    UsageError,
)
from runner.core.policy import POLICY_PATH, SIGNERS_PATH
from runner.git import signers
from runner.git.checkouts import write_file
from runner.git.signing import SshSigner
from runner.git.ssh_keys import PublicKey
from runner.project import Project
from runner.verbs.init import PERSON_NAMESPACES, signers_name
from runner.verbs.propose import line_end


@dataclass(frozen=True, kw_only=True)
class PersonAdded:
    principal: str
    fingerprint: str
    changed: tuple[str, ...]


def add(project: Project, name: str, *, key: Path, roles: Sequence[str]) -> PersonAdded:
    """Add a person with a key; both files in the work tree change, or neither."""
    if not signers_name(name):
        raise UsageError(f"{name!r} cannot name a person", hint="use an email address")
    work_tree = project.repository.work_tree
    if work_tree is None:
        raise RepositoryUnsuitable("editing plans/: this repository has no work tree")
    public = _public_key(key, name)
    old_policy = _read(work_tree / POLICY_PATH)
    old_keys = _read(work_tree / SIGNERS_PATH)
    policy = _with_person(old_policy, name, roles)
    keys = signers.add_line(old_keys, name, PERSON_NAMESPACES, public)
    changed = []
    pairs = ((POLICY_PATH, old_policy, policy), (SIGNERS_PATH, old_keys, keys))
    for path, old, new in pairs:
        if old != new:
            write_file(work_tree / path, new)
            changed.append(path)
    return PersonAdded(principal=name, fingerprint=public.fingerprint, changed=tuple(changed))


def _public_key(key: Path, name: str) -> PublicKey:
    try:
        return SshSigner(key).listable_key
    except SigningError as error:
        hint = "--key takes the file of a public SSH key, whose name ends in .pub"
        raise UsageError(f"{key} holds no public key: {error.message}", hint=hint) from error
    except KeyNotFound as error:
        if key.exists():
            raise
        hint = f"{name} runs `planlock key new` and sends the file that ends in .pub"
        raise KeyNotFound(error.message, hint=hint) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotGoverned(f"reading {path}: no such file", hint="planlock init") from error
    except OSError as error:
        raise FileAccessError(f"reading {path}: {error.strerror}") from error


def _with_person(data: bytes, name: str, roles: Sequence[str]) -> bytes:
    """Insert the person behind the last one, keeping the file's comments and layout."""
    schema = schemas.load("policy")
    document, policy_file = validation.read_policy(data, file=POLICY_PATH, schema=schema)
    person = policy_file.policy.person(name)
    if person is not None:
        if set(roles) - set(person.roles):
            message = f"{name} is in {POLICY_PATH} already, with roles {', '.join(person.roles)}"
            raise UsageError(message, hint=f"edit the roles in {POLICY_PATH}")
        return data
    entry: dict[str, object] = {"principal": name}
    if roles:
        entry["roles"] = list(roles)
    count = len(policy_file.policy.people)
    start, end = document.span(("people", count - 1))
    text = document.text
    if document.is_flow(("people",)):
        added = f"{text[:end]}, {_flow(entry)}{text[end:]}"
    else:
        dash = text.rfind("-", 0, start)
        column = dash - (text.rfind("\n", 0, dash) + 1)
        at = line_end(text, end)
        added = f"{text[:at]}\n{' ' * column}- {_flow(entry)}{text[at:]}"
    result = added.encode()
    validation.read_policy(result, file=POLICY_PATH, schema=schema)
    return result


def _flow(entry: dict[str, object]) -> str:
    parts = []
    for key, value in entry.items():
        if isinstance(value, list):
            parts.append(f"{key}: [{', '.join(_scalar(item) for item in value)}]")
        else:
            parts.append(f"{key}: {_scalar(str(value))}")
    return "{" + ", ".join(parts) + "}"


def _scalar(text: str) -> str:
    return dump({"x": text}).decode().removeprefix("x: ").strip()
