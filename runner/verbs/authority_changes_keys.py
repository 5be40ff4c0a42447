"""What differs between two states of the allowed signers, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from runner.core.policy_diff_words import Difference
from runner.core.values import time_text
from runner.git.signer_lines import Entry
from runner.git.signers import AllowedSigners

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
Owned = dict[tuple[str, str], list[Entry]]


def contents(signers: AllowedSigners, when: datetime | None) -> tuple[Difference, ...]:
    """Each key, where there was none before."""
    return tuple(
        Difference(what=f"{_name(lines[0])}: {_words(lines, when)}")
        for lines in _owned(signers).values()
    )


def differences(
    old: AllowedSigners, new: AllowedSigners, when: datetime | None
) -> Iterator[Difference]:
    """Keys added, limited, changed and removed, as seen at the time of the change."""
    before, after = _owned(old), _owned(new)
    for owner, lines in after.items():
        if owner not in before:
            what = f"added {_name(lines[0])}: {_words(lines, when)}"
            yield Difference(what=what, loosens=True)
        elif _plain(lines) != _plain(before[owner]):
            yield _changed(before[owner], lines, when)
    for owner, lines in before.items():
        if owner not in after:
            yield Difference(what=f"removed {_name(lines[0])}: {_words(lines, when)}")


def _owned(signers: AllowedSigners) -> Owned:
    owned: Owned = {}
    for entry in signers.entries:
        owned.setdefault((entry.key.fingerprint, entry.principal), []).append(entry)
    return owned


def _plain(lines: Sequence[Entry]) -> list[Entry]:
    return [replace(each, line=0) for each in lines]


def _changed(old: Sequence[Entry], new: Sequence[Entry], when: datetime | None) -> Difference:
    ended = _all_ended(new, when) and not _all_ended(old, when)
    return Difference(
        what=f"{'revoked' if ended else 'changed'} {_name(new[0])}: "
        f"{_words(old, when)} -> {_words(new, when)}",
        loosens=not all(any(_within(line, each) for each in old) for line in new),
    )


def _name(entry: Entry) -> str:
    return f"key {entry.key.fingerprint} of {entry.principal}"


def _words(lines: Sequence[Entry], when: datetime | None) -> str:
    return " or ".join(", ".join(_parts(each, when)) for each in lines)


def _parts(entry: Entry, when: datetime | None) -> Iterator[str]:
    kind = "as cert-authority " if entry.cert_authority else ""
    yield f"{kind}for {' '.join(entry.namespaces)}"
    if entry.valid_after is not None:
        yield f"valid from {time_text(entry.valid_after)}"
    if entry.valid_before is not None:
        word = "revoked since" if _ended(entry, when) else "valid until"
        yield f"{word} {time_text(entry.valid_before)}"


def _ended(entry: Entry, when: datetime | None) -> bool:
    return entry.valid_before is not None and when is not None and entry.valid_before <= when


def _all_ended(lines: Sequence[Entry], when: datetime | None) -> bool:
    return all(_ended(each, when) for each in lines)


def _within(new: Entry, old: Entry) -> bool:
    """Whether a line lets the key count for nothing that the other one did not."""
    same = replace(
        new,
        line=old.line,
        namespaces=old.namespaces,
        valid_after=old.valid_after,
        valid_before=old.valid_before,
    )
    return (
        same == old
        and set(new.namespaces) <= set(old.namespaces)
        and (new.valid_after or EARLIEST) >= (old.valid_after or EARLIEST)
        and (new.valid_before or LATEST) <= (old.valid_before or LATEST)
    )
