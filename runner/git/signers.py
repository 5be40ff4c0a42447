"""The allowed_signers file: which key is whose, for which namespaces, and when.

Format: ssh-keygen(1), ALLOWED SIGNERS, less what could be read in two ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from runner.core.errors import InvalidDocument, Problem, Refused, UsageError
from runner.git.sshsig import PublicKey

_LINE: Final = re.compile(
    r'(?P<principal>[^\s"]+)[ \t]+'
    r'(?:(?P<options>(?!(?:ssh|ecdsa|sk)-)(?:[^\s"\\]|"[^"\\]*")+)[ \t]+)?'
    r"(?P<key>[^\s\"]+[ \t]+[^\s\"]+)(?:[ \t].*)?"
)
_OPTION: Final = re.compile(r'([A-Za-z-]+)(?:="([^"]*)")?(?:,(?=.)|$)')
_NAME: Final = re.compile(r"[!-~]+")
_PATTERN: Final = re.compile(r"[*?!\\]")
_TIMESTAMP: Final = re.compile(r"([0-9]{8})(?:([0-9]{4})([0-9]{2})?)?Z")
_WITH_VALUE: Final = {"namespaces", "valid-after", "valid-before"}
_FLAGS: Final = {"cert-authority"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _BadLine(Exception):
    def __init__(self, code: str, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fix = fix


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line; `valid_after` and `valid_before` are themselves still valid."""

    line: int
    principal: str
    namespaces: tuple[str, ...]
    key: PublicKey
    valid_after: datetime | None = None
    valid_before: datetime | None = None
    cert_authority: bool = False

    @property
    def window(self) -> str:
        after = f"valid from {_iso(self.valid_after)}" if self.valid_after else ""
        before = f"valid until {_iso(self.valid_before)}" if self.valid_before else ""
        return ", ".join(filter(None, (after, before)))

    def is_valid(self, at: datetime) -> bool:
        # ssh-keygen compares whole seconds
        second = at.astimezone(UTC).replace(microsecond=0)
        early = self.valid_after is not None and second < self.valid_after
        late = self.valid_before is not None and second > self.valid_before
        return not early and not late


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whose the key is, or None and the reason why it counts for nobody."""

    principal: str | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class AllowedSigners:
    file: str
    entries: tuple[Entry, ...]

    def find(self, key: PublicKey, *, namespace: str, at: datetime) -> Verdict:
        """Whose `key` is in `namespace` at the time `at`, which must have a zone."""
        if at.tzinfo is None:
            raise ValueError("the time of use needs a time zone")
        name = f"key {key.fingerprint}"
        entries = self._lines_of(key)
        if not entries:
            return Verdict(reason=f"{name} is not listed in {self.file}")
        whose = f"{name} is listed for {entries[0].principal}"
        entries = [entry for entry in entries if not entry.cert_authority]
        if not entries:
            return Verdict(reason=f"{whose} as certificate authority, which is not supported yet")
        entries = [entry for entry in entries if namespace in entry.namespaces]
        if not entries:
            return Verdict(reason=f"{whose} but not in namespace {namespace}")
        if any(entry.is_valid(at) for entry in entries):
            return Verdict(principal=entries[0].principal)
        windows = " or ".join(entry.window for entry in entries)
        return Verdict(reason=f"{whose} but {windows}, used at {_iso(at)}")

    def listed(self, key: PublicKey) -> str | None:
        """Whose `key` is, whatever the time and the namespace."""
        entries = [entry for entry in self._lines_of(key) if not entry.cert_authority]
        return entries[0].principal if entries else None

    @property
    def unsupported(self) -> tuple[Problem, ...]:
        """Lines that are well-formed but count for nothing yet."""
        found = [(entry, _not_yet(entry)) for entry in self.entries]
        return tuple(
            Problem(file=self.file, line=entry.line, code="not_supported", message=message)
            for entry, message in found
            if message
        )

    def _lines_of(self, key: PublicKey) -> list[Entry]:
        return [entry for entry in self.entries if entry.key == key]


def parse(data: bytes, *, file: str) -> AllowedSigners:
    """Read the whole file; raise InvalidDocument with a problem for each bad line."""
    entries: list[Entry] = []
    problems: list[Problem] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            entry = _parse_line(line, number)
        except _BadLine as bad:
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


def _parse_line(raw: bytes, number: int) -> Entry | None:
    text = _printable(raw).strip(" \t")
    if not text or text.startswith("#"):
        return None
    match = _LINE.fullmatch(text)
    if match is None:
        raise _BadLine(
            "line",
            "line is not: principal, options, key type, base64 key",
            'write it as: NAME namespaces="git" ssh-ed25519 AAAA…',
        )
    principal = _principal(match["principal"])
    key = _key(match["key"])
    options = _options(match["options"] or "")
    after, before = _timestamp(options, "valid-after"), _timestamp(options, "valid-before")
    if after and before and before <= after:
        raise _BadLine("window", "valid-before is not later than valid-after")
    return Entry(
        line=number,
        principal=principal,
        namespaces=_namespaces(options),
        key=key,
        valid_after=after,
        valid_before=before,
        cert_authority="cert-authority" in options,
    )


def _printable(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise _BadLine("encoding", "line is not UTF-8", "save the file as UTF-8") from None
    # isprintable is false for controls, invisible characters and those that turn text around
    if not text.replace("\t", " ").isprintable():
        raise _BadLine(
            "characters",
            "line has control or invisible characters",
            "remove them; lines end in LF",
        )
    return text


def _principal(text: str) -> str:
    if _PATTERN.search(text):
        raise _BadLine(
            "pattern",
            f"principal {text!r} is a pattern, which several people could match",
            "write each principal on its own line",
        )
    if "," in text:
        raise _BadLine(
            "shared_key",
            f"one key is listed for several principals ({text}), so it names nobody",
            "write each principal on its own line, with a key of its own",
        )
    if not _NAME.fullmatch(text):
        raise _BadLine("principal", f"principal {text!r} has characters other than ASCII")
    return text


def _key(text: str) -> PublicKey:
    try:
        return PublicKey.from_text(text)
    except ValueError as error:
        raise _BadLine("key", f"reading the key: {error}", "copy it from the .pub file") from error


def _options(text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _OPTION.match(text, position)
        if match is None:
            raise _BadLine(
                "option", f"options are not understood: {text}", 'write them as NAME="VALUE",…'
            )
        name = match[1].lower()
        if name in options:
            raise _BadLine("option", f"option {name} stands twice", "remove one")
        if name not in (_FLAGS if match[2] is None else _WITH_VALUE):
            raise _BadLine("option", f"option {match[0].rstrip(',')} is not known")
        options[name] = match[2] or ""
        position = match.end()
    return options


def _namespaces(options: dict[str, str]) -> tuple[str, ...]:
    if "namespaces" not in options:
        raise _BadLine(
            "no_namespaces",
            "line has no namespaces, so the key would be valid for everything",
            'add namespaces="git" before the key, or the namespaces that it is for',
        )
    names = tuple(options["namespaces"].split(","))
    for name in names:
        if not _NAME.fullmatch(name) or _PATTERN.search(name):
            raise _BadLine(
                "namespace", f"namespace {name!r} is not an exact name", "write each name in full"
            )
    return names


def _timestamp(options: dict[str, str], option: str) -> datetime | None:
    text = options.get(option)
    if text is None:
        return None
    if _TIMESTAMP.fullmatch(f"{text}Z"):
        raise _BadLine("local_time", f"{option} {text} is local time", f'write {option}="{text}Z"')
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise _BadLine("timestamp", f"{option} {text!r} is not YYYYMMDD[HHMM[SS]]Z")
    digits = "".join(group or "" for group in match.groups()).ljust(14, "0")
    try:
        moment = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise _BadLine("timestamp", f"{option} {text} is no date and time") from None
    if moment <= _EPOCH:
        raise _BadLine("timestamp", f"{option} {text} is not after 1970")
    return moment


def _shared_keys(entries: Iterable[Entry], file: str) -> list[Problem]:
    """Return a problem for each line whose key an earlier line gives to somebody else."""
    first: dict[PublicKey, Entry] = {}
    problems = []
    for entry in entries:
        owner = first.setdefault(entry.key, entry)
        if owner.principal != entry.principal:
            bad = _BadLine(
                "shared_key",
                f"key {entry.key.fingerprint} of {entry.principal} is listed for "
                f"{owner.principal} in line {owner.line}, so it names nobody",
                "remove one of the lines",
            )
            problems.append(_problem(bad, file, entry.line))
    return problems


def _problem(bad: _BadLine, file: str, line: int) -> Problem:
    return Problem(file=file, line=line, code=bad.code, message=bad.message, fix=bad.fix)


def _not_yet(entry: Entry) -> str:
    if entry.cert_authority:
        return f"certificate authority of {entry.principal} is not supported yet"
    if not entry.key.can_verify:
        return f"key type {entry.key.type} of {entry.principal} is not supported yet"
    return ""


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
