"""The allowed_signers file: which key is whose, for which namespaces, and when."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from runner.core.errors import InvalidDocument, Problem, Refused, UsageError
from runner.git.certificates import Assurance, Certificate, Credential
from runner.git.signer_lines import BadLine, Entry, is_name, iso, parse_line
from runner.git.ssh_keys import PublicKey


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whose the key is and how much that is worth; or None, and why it counts for nobody."""

    principal: str | None = None
    assurance: Assurance | None = None
    code: str = ""
    reason: str = ""


class _Uncounted(Exception):
    def __init__(self, reason: str, *, code: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def _not_listed(reason: str) -> _Uncounted:
    return _Uncounted(reason, code="key_not_listed")


def _not_valid(reason: str) -> _Uncounted:
    return _Uncounted(reason, code="key_not_valid")


@dataclass(frozen=True, kw_only=True)
class AllowedSigners:
    file: str
    entries: tuple[Entry, ...]

    def find(self, who: Credential | PublicKey, *, namespace: str, at: datetime) -> Verdict:
        """Whose `who` is in `namespace` at the time `at`, which must have a zone.

        What signed nothing yet is judged as it would be once it has.
        """
        if at.tzinfo is None:
            raise ValueError("the time of use needs a time zone")
        shown = _shown(who)
        try:
            entries = self._lines(shown)
            principal = self._principal(shown, entries)
            whose = f"{shown} is listed for {principal} but"
            _check_lines(entries, whose, namespace=namespace, at=at)
            if shown.certificate:
                _check_certificate(shown.certificate, whose, at)
                self._check_not_revoked(shown.key, whose, namespace=namespace, at=at)
        except _Uncounted as error:
            return Verdict(code=error.code, reason=error.reason)
        return Verdict(principal=principal, assurance=shown.assurance)

    def listed(self, who: Credential | PublicKey) -> str | None:
        """Whose `who` is, whatever the time and the namespace."""
        shown = _shown(who)
        try:
            return self._principal(shown, self._lines(shown))
        except _Uncounted:
            return None

    def lines_of(self, who: Credential | PublicKey) -> tuple[Entry, ...]:
        """The lines that say whose `who` is; none where nothing or too much does."""
        shown = _shown(who)
        return () if self.listed(shown) is None else tuple(self._lines(shown))

    def as_of(self, at: datetime) -> Hashable:
        """What of a time the answers depend on: where it is equal, so are they."""
        if self._certify:
            # certificates, which are not known here, have times of their own
            return at.astimezone(UTC).replace(microsecond=0)
        return tuple(entry.is_valid(at) for entry in self._limited)

    @cached_property
    def _certify(self) -> bool:
        return any(entry.cert_authority for entry in self.entries)

    @cached_property
    def _limited(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.window)

    def _lines(self, shown: Credential) -> list[Entry]:
        """The lines that could say whose it is; raise _Uncounted where there are none."""
        if shown.certificate:
            return self._authority_lines(shown.certificate)
        found = self._plain_lines(shown.key)
        if not found:
            raise _not_listed(f"{shown} is not listed in {self.file}")
        return found

    def _plain_lines(self, key: PublicKey) -> list[Entry]:
        return [each for each in self.entries if each.key == key and not each.cert_authority]

    def _authority_lines(self, certificate: Certificate) -> list[Entry]:
        key = certificate.authority
        found = [each for each in self.entries if each.key == key and each.cert_authority]
        whose = f"{certificate}: its authority, key {key.fingerprint}, is"
        if not found:
            raise _not_listed(f"{whose} not listed as cert-authority in {self.file}")
        names = certificate.principals
        covering = [each for each in found if any(each.covers(name) for name in names)]
        if not covering:
            raise _not_listed(f"{whose} not listed for {', '.join(names)}")
        return covering

    def _principal(self, shown: Credential, entries: Sequence[Entry]) -> str:
        if shown.certificate is None:
            return entries[0].principal
        principal = _one_covered(shown.certificate, entries)
        others = {each.principal for each in self._plain_lines(shown.key)} - {principal}
        if others:
            message = f"{shown} is for {principal}, but its key is listed for {others.pop()}"
            raise _not_listed(message)
        return principal

    def _check_not_revoked(
        self, key: PublicKey, whose: str, *, namespace: str, at: datetime
    ) -> None:
        """A line of the certified key itself limits its certificates too."""
        plain = self._plain_lines(key)
        about = [each for each in plain if namespace in each.namespaces] or plain
        if about:
            _check_windows(about, f"{whose} its key is listed as", at)


def _shown(who: Credential | PublicKey) -> Credential:
    return who if isinstance(who, Credential) else Credential(who)


def _one_covered(certificate: Certificate, entries: Sequence[Entry]) -> str:
    """The one principal for which its authority is listed; several would be nobody."""
    names = sorted(
        name for name in {*certificate.principals} if any(each.covers(name) for each in entries)
    )
    if len(names) > 1:
        raise _not_listed(f"{certificate} names several people: {', '.join(names)}")
    if not is_name(names[0]):
        raise _not_listed(f"{certificate} names {names[0]!r}, which is no exact name")
    return names[0]


def _check_lines(entries: Sequence[Entry], whose: str, *, namespace: str, at: datetime) -> None:
    entries = [entry for entry in entries if namespace in entry.namespaces]
    if not entries:
        raise _not_listed(f"{whose} not in namespace {namespace}")
    _check_windows(entries, whose, at)


def _check_windows(entries: Sequence[Entry], whose: str, at: datetime) -> None:
    if not any(entry.is_valid(at) for entry in entries):
        windows = " or ".join(entry.window for entry in entries)
        raise _not_valid(f"{whose} {windows}, used at {iso(at)}")


def _check_certificate(certificate: Certificate, whose: str, at: datetime) -> None:
    if not certificate.is_valid(at):
        raise _not_valid(f"{whose} {certificate.window}, used at {iso(at)}")


def parse(data: bytes, *, file: str) -> AllowedSigners:
    """Read the whole file; raise InvalidDocument with a problem for each bad line."""
    entries: list[Entry] = []
    problems: list[Problem] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            entry = parse_line(line, number)
        except BadLine as bad:
            problems.append(_problem(bad, file, number))
        else:
            entries += [entry] if entry else []
    problems += _shared_keys(entries, file)
    if problems:
        raise InvalidDocument(sorted(problems))
    return AllowedSigners(file=file, entries=tuple(entries))


def add_line(
    data: bytes,
    principal: str,
    namespaces: Sequence[str],
    key: PublicKey,
    *,
    file: str = "plans/allowed_signers",
) -> bytes:
    """Append a line unless it stands there already.

    Raises InvalidDocument where the file or the new line is wrong (the key is another's, say),
    UsageError where the principal is no name, and Refused where a line limits the key in time:
    that is how a key is revoked.
    """
    entries = parse(data, file=file).entries
    if _stands(entries, principal, namespaces, key, file=file):
        return data
    separator = b"" if not data or data.endswith(b"\n") else b"\n"
    line = f'{principal} namespaces="{",".join(namespaces)}" {key.text}\n'
    extended = data + separator + line.encode()
    added = parse(extended, file=file).entries[len(entries) :]
    # a name with spaces or line ends in it could smuggle in a key or an option
    if [(new.principal, new.namespaces, new.key) for new in added] != [
        (principal, tuple(namespaces), key)
    ]:
        raise UsageError(f"adding a key to {file}: {principal!r} is no name of a principal")
    return extended


def _stands(
    entries: Iterable[Entry],
    principal: str,
    namespaces: Iterable[str],
    key: PublicKey,
    *,
    file: str,
) -> bool:
    same = [entry for entry in entries if (entry.principal, entry.key) == (principal, key)]
    same = [entry for entry in same if not entry.cert_authority]
    if any(not entry.window and set(namespaces) <= set(entry.namespaces) for entry in same):
        return True
    for entry in same:
        if entry.window:
            raise Refused(
                f"adding key {key.fingerprint} to {file}: line {entry.line} says {entry.window}",
                hint=f"git log -p -- {file}",
            )
    return False


def _shared_keys(entries: Iterable[Entry], file: str) -> list[Problem]:
    """Return a problem for each line whose key an earlier line uses for something else."""
    first: dict[PublicKey, Entry] = {}
    problems = []
    for entry in entries:
        bad = _conflict(first.setdefault(entry.key, entry), entry)
        if bad:
            problems.append(_problem(bad, file, entry.line))
    return problems


def _conflict(owner: Entry, entry: Entry) -> BadLine | None:
    name = f"key {entry.key.fingerprint} of {entry.principal}"
    if owner.cert_authority != entry.cert_authority:
        return BadLine(
            "ambiguous_key",
            f"{name} is both a cert-authority and a key of its own (line {owner.line})",
            "certify with a key that is used for nothing else",
        )
    if owner.principal != entry.principal and not entry.cert_authority:
        return BadLine(
            "shared_key",
            f"{name} is listed for {owner.principal} in line {owner.line}, so it names nobody",
            "remove one of the lines",
        )
    return None


def _problem(bad: BadLine, file: str, line: int) -> Problem:
    return Problem(file=file, line=line, code=bad.code, message=bad.message, fix=bad.fix)
