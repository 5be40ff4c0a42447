"""`whoami`: as whom the caller would approve here, by which key, and what that is worth."""

from __future__ import annotations

from dataclasses import dataclass

from runner.core.approval import NAMESPACE
from runner.core.errors import Reason
from runner.git.certificates import Assurance, Certificate
from runner.git.signer_lines import Entry
from runner.git.signers import Verdict
from runner.project import Authority, Project


@dataclass(frozen=True, kw_only=True)
class CertificateShown:
    key_id: str
    serial: int
    principals: tuple[str, ...]
    authority: str
    window: str


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


def whoami(project: Project) -> Whoami:
    """Judge the caller's key by the home as it is now; nothing is signed."""
    named, named_by = project.person_key
    shown = project.person.credential
    project.home.fetch()
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
        certificate=_certificate(shown.certificate) if shown.certificate else None,
        listed=tuple(_listed(entry) for entry in signers.lines_of(shown)),
        trusted_ref=authority.ref,
        commit=authority.commit,
        ignored=project.key_settings.ignored,
        reasons=objections(verdict, authority),
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


def _certificate(certificate: Certificate) -> CertificateShown:
    return CertificateShown(
        key_id=certificate.key_id,
        serial=certificate.serial,
        principals=certificate.principals,
        authority=certificate.authority.fingerprint,
        window=certificate.window,
    )


def _listed(entry: Entry) -> Listed:
    return Listed(
        line=entry.line,
        principal=entry.principal,
        namespaces=entry.namespaces,
        window=entry.window,
    )
