"""`whoami`: as whom the caller would approve here, by which key, and what that is worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runner.core.approval import NAMESPACE
from runner.core.errors import Reason
from runner.git.certificates import Assurance
from runner.git.signer_lines import Entry
from runner.git.signers import Verdict
from runner.git.signing import SshSigner
from runner.git.signing_keys import brief, literal
from runner.project import Authority, Project
from runner.settings import how_to_change


@dataclass(frozen=True, kw_only=True)
class CertificateShown:
    """What stands in the certificate; `file` is where it lay if the key beside it was named."""

    key_id: str
    serial: int
    principals: tuple[str, ...]
    authority: str
    window: str
    file: str


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A line of allowed_signers that speaks of the key, or of the authority that certified it."""

    line: int
    principal: str
    namespaces: tuple[str, ...]
    window: str


@dataclass(frozen=True, kw_only=True)
class Whoami:
    """What is known of the caller; an approval would count where there are no reasons against.

    `assurance` is what an approval would be worth; `ignored` are settings of the repository
    itself that name a program.
    """

    principal: str | None
    roles: tuple[str, ...]
    assurance: Assurance | None
    signs_plans: bool
    fingerprint: str
    key_type: str
    key: str
    named_by: str
    certificate: CertificateShown | None
    listed: tuple[Listed, ...]
    trusted_ref: str
    commit: str
    ignored: tuple[str, ...]
    reasons: tuple[Reason, ...]

    @property
    def key_brief(self) -> str:
        """The key as people read it: a file, or the ends of a public key's text."""
        return brief(self.key)


def whoami(project: Project) -> Whoami:
    """Judge the caller's key by the home as it is now; nothing is signed."""
    named, named_by = project.person_key
    project.home.fetch()
    shown = project.person.credential
    authority = project.authority()
    signers, now = authority.signers, project.world.now()
    verdict = signers.find(shown, namespace=NAMESPACE, at=now)
    principal = verdict.principal or signers.listed(shown)
    person = authority.policy.person(principal) if principal else None
    as_author = signers.find(shown, namespace="git", at=now).principal
    return Whoami(
        principal=principal,
        roles=tuple(person.roles) if person else (),
        assurance=verdict.assurance,
        signs_plans=person is not None and as_author is not None,
        fingerprint=shown.key.fingerprint,
        key_type=shown.key.type,
        key=str(named),
        named_by=named_by,
        certificate=_certificate(project.person),
        listed=tuple(_listed(entry) for entry in signers.lines_of(shown)),
        trusted_ref=authority.ref,
        commit=authority.commit,
        ignored=project.key_settings.ignored,
        reasons=(*objections(verdict, authority), *_unusable(project)),
    )


def objections(verdict: Verdict, authority: Authority) -> tuple[Reason, ...]:
    """Why somebody may not decide here; none for a person of the policy whose key counts."""
    add = "a maintainer runs: planlock people add NAME --key FILE, and commits it"
    if verdict.principal is None:
        renew = "a maintainer changes its line in plans/allowed_signers, or lists another key"
        message = f"{verdict.reason} (trusted: {authority})"
        fix = renew if verdict.code == "key_not_valid" else add
        return (Reason(code=verdict.code, message=message, fix=fix),)
    if authority.policy.person(verdict.principal) is None:
        message = f"{verdict.principal} is not a person of the policy (trusted: {authority})"
        return (Reason(code="not_a_person", message=message, fix=add),)
    return ()


def _unusable(project: Project) -> Iterator[Reason]:
    """Say that nothing can be signed, where that is known beforehand."""
    named, named_by = project.person_key
    if project.person.can_sign():
        return
    place = "is neither beside it nor in an agent" if literal(named) is None else "is in no agent"
    yield Reason(
        code="key_not_usable",
        message=f"the private half of {brief(named)} {place}",
        fix=f"ssh-add FILE with the private half; or name another key: {how_to_change(named_by)}",
    )


def _certificate(signer: SshSigner) -> CertificateShown | None:
    certificate = signer.credential.certificate
    if certificate is None:
        return None
    return CertificateShown(
        key_id=certificate.key_id,
        serial=certificate.serial,
        principals=certificate.principals,
        authority=certificate.authority.fingerprint,
        window=certificate.window,
        file=str(signer.certificate_file or ""),
    )


def _listed(entry: Entry) -> Listed:
    return Listed(
        line=entry.line,
        principal=entry.principal,
        namespaces=entry.namespaces,
        window=entry.window,
    )
