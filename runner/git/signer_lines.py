"""One line of an allowed_signers file.

Format: ssh-keygen(1), ALLOWED SIGNERS, less what could be read in two ways.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from runner.git.ssh_keys import PublicKey

_LINE: Final = re.compile(
    r'(?P<principal>[^\s"]+)[ \t]+'
    r'(?:(?P<options>(?!(?:ssh|ecdsa|sk)-)(?:[^\s"\\]|"[^"\\]*")+)[ \t]+)?'
    r"(?P<key>[^\s\"]+[ \t]+[^\s\"]+)(?:[ \t].*)?"
)
_OPTION: Final = re.compile(r'([A-Za-z-]+)(?:="([^"]*)")?(?:,(?=.)|$)')
_NAME: Final = re.compile(r"[!-~]+")
_PATTERN: Final = re.compile(r"[*?!\\]")
_NEGATION: Final = re.compile(r"[!\\]")
_TIMESTAMP: Final = re.compile(r"([0-9]{8})(?:([0-9]{4})([0-9]{2})?)?Z")
_AUTHORITY: Final = "cert-authority"
_WITH_VALUE: Final = {"namespaces", "valid-after", "valid-before"}
_FLAGS: Final = {_AUTHORITY}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class BadLine(Exception):
    def __init__(self, code: str, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fix = fix


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line; `valid_after` and `valid_before` are themselves still valid.

    With `cert_authority` the key vouches for others, and `principal` may be a pattern.
    """

    line: int
    principal: str
    namespaces: tuple[str, ...]
    key: PublicKey
    valid_after: datetime | None = None
    valid_before: datetime | None = None
    cert_authority: bool = False

    @property
    def window(self) -> str:
        after = f"valid from {iso(self.valid_after)}" if self.valid_after else ""
        before = f"valid until {iso(self.valid_before)}" if self.valid_before else ""
        return ", ".join(filter(None, (after, before)))

    def is_valid(self, at: datetime) -> bool:
        # ssh-keygen compares whole seconds
        second = at.astimezone(UTC).replace(microsecond=0)
        early = self.valid_after is not None and second < self.valid_after
        late = self.valid_before is not None and second > self.valid_before
        return not early and not late

    def covers(self, name: str) -> bool:
        """Whether a certificate's principal is one that this line speaks of."""
        # of the characters that fnmatch knows, `[` means nothing to OpenSSH
        pattern = fnmatch.translate(self.principal.replace("[", "[[]"))
        return re.fullmatch(pattern, name) is not None


def parse_line(raw: bytes, number: int) -> Entry | None:
    """Read a line; None where it is blank or a comment; raise BadLine."""
    text = _printable(raw).strip(" \t")
    if not text or text.startswith("#"):
        return None
    match = _LINE.fullmatch(text)
    if match is None:
        raise BadLine(
            "line",
            "line is not: principal, options, key type, base64 key",
            'write it as: NAME namespaces="git" ssh-ed25519 AAAA…',
        )
    key = _key(match["key"])
    options = _options(match["options"] or "")
    after, before = _timestamp(options, "valid-after"), _timestamp(options, "valid-before")
    if after and before and before <= after:
        raise BadLine("window", "valid-before is not later than valid-after")
    return Entry(
        line=number,
        principal=_principal(match["principal"], authority=_AUTHORITY in options),
        namespaces=_namespaces(options),
        key=key,
        valid_after=after,
        valid_before=before,
        cert_authority=_AUTHORITY in options,
    )


def is_name(text: str) -> bool:
    """Whether a text can name one principal exactly."""
    return bool(_NAME.fullmatch(text)) and not _PATTERN.search(text) and "," not in text


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _printable(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise BadLine("encoding", "line is not UTF-8", "save the file as UTF-8") from None
    # isprintable is false for controls, invisible characters and those that turn text around
    if not text.replace("\t", " ").isprintable():
        raise BadLine(
            "characters",
            "line has control or invisible characters",
            "remove them; lines end in LF",
        )
    return text


def _principal(text: str, *, authority: bool) -> str:
    if (_NEGATION if authority else _PATTERN).search(text):
        raise BadLine(
            "pattern",
            f"principal {text!r} is a pattern, which several people could match",
            "write each principal on its own line",
        )
    if "," in text:
        raise BadLine(
            "shared_key",
            f"one key is listed for several principals ({text}), so it names nobody",
            "write each principal on its own line, with a key of its own",
        )
    if not _NAME.fullmatch(text):
        raise BadLine("principal", f"principal {text!r} has characters other than ASCII")
    return text


def _key(text: str) -> PublicKey:
    try:
        return PublicKey.from_text(text)
    except ValueError as error:
        raise BadLine("key", f"reading the key: {error}", "copy it from the .pub file") from error


def _options(text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _OPTION.match(text, position)
        if match is None:
            raise BadLine(
                "option", f"options are not understood: {text}", 'write them as NAME="VALUE",…'
            )
        name = match[1].lower()
        if name in options:
            raise BadLine("option", f"option {name} stands twice", "remove one")
        if name not in (_FLAGS if match[2] is None else _WITH_VALUE):
            raise BadLine("option", f"option {match[0].rstrip(',')} is not known")
        options[name] = match[2] or ""
        position = match.end()
    return options


def _namespaces(options: dict[str, str]) -> tuple[str, ...]:
    if "namespaces" not in options:
        raise BadLine(
            "no_namespaces",
            "line has no namespaces, so the key would be valid for everything",
            'add namespaces="git" before the key, or the namespaces that it is for',
        )
    names = tuple(options["namespaces"].split(","))
    for name in names:
        if not _NAME.fullmatch(name) or _PATTERN.search(name):
            raise BadLine(
                "namespace", f"namespace {name!r} is not an exact name", "write each name in full"
            )
    return names


def _timestamp(options: dict[str, str], option: str) -> datetime | None:
    text = options.get(option)
    if text is None:
        return None
    if _TIMESTAMP.fullmatch(f"{text}Z"):
        raise BadLine("local_time", f"{option} {text} is local time", f'write {option}="{text}Z"')
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise BadLine("timestamp", f"{option} {text!r} is not YYYYMMDD[HHMM[SS]]Z")
    digits = "".join(group or "" for group in match.groups()).ljust(14, "0")
    try:
        moment = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise BadLine("timestamp", f"{option} {text} is no date and time") from None
    if moment <= _EPOCH:
        raise BadLine("timestamp", f"{option} {text} is not after 1970")
    return moment
