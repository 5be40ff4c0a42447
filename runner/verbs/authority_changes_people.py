"""Who stands behind a change of policy and keys: what signatures prove, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NO_PERSON = ", no person of the policy before it"


@dataclass(frozen=True, kw_only=True)
class CommitSigner:
    """Who signed a commit: None where nobody did whom the keys before the change know.

    `person` is who that is among the people of the policy before. `revoked` says why the keys of
    today would not count it, where they still list the key.
    """

    commit: str
    signed_by: str | None
    signature: str
    person: str | None = None
    revoked: str = ""

    @property
    def stands(self) -> str | None:
        return None if self.revoked else self.person


def people(signed: CommitSigner, merged: Sequence[CommitSigner]) -> tuple[str, ...]:
    """The people who signed a change or what it merged, each once."""
    names = (each.stands for each in (signed, *merged))
    return tuple(dict.fromkeys(name for name in names if name))


def is_one_alone(signed: CommitSigner, merged: Sequence[CommitSigner]) -> bool:
    """Whether less than two people stand behind some of it: who merges adds to who wrote."""
    return not merged or any(len(people(signed, [each])) < 2 for each in merged)


def account(signed: CommitSigner, merged: Sequence[CommitSigner]) -> str:
    """Say who signed, as what; a signature shows neither that others looked nor that they agreed."""
    writers = " and ".join(dict.fromkeys(_writers(merged)))
    written = f"; written by {writers}" if writers else ""
    if signed.signed_by is None:
        return f"approved by nobody that the keys before it know: {signed.signature}{written}"
    if signed.person is None:
        return f"approved by nobody: {signed.signature}{written}"
    revoked = f", which the keys of today do not count: {signed.revoked}" if signed.revoked else ""
    if merged:
        return f"merged by {signed.signed_by}, who signed{revoked}{written}"
    return f"signed by {signed.signed_by} (a person of the policy before){revoked}"


def _writers(merged: Sequence[CommitSigner]) -> Iterator[str]:
    for each in merged:
        if each.signed_by is None:
            yield "nobody that those keys know"
        elif each.stands is None:
            yield f"{each.signed_by} (signed, not counted)"
        else:
            yield f"{each.signed_by} (signed)"
