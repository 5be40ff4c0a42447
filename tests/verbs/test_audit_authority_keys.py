"""What the audit says about changes of allowed_signers, line by line."""

from __future__ import annotations

import pytest
from authority import KEYS

from runner.core.values import parse_time
from runner.git import signers
from runner.verbs import authority_changes_keys

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIGypLqaC0F5wWFjXE8xMLRP357SR47xqfMT/8ETc36vF"
HERE = " | "  # between the options of two lines
NAME = "SHA256:RCaqq7KFSoTHFhdl81go1mOTfiB6hFEUdyQgnXHgqiE of bob@x.org"
NOW = parse_time("2026-06-01T00:00:00Z")


def text(options: str) -> bytes:
    lines = options.split(HERE)
    return "".join(f"bob@x.org {each} ssh-ed25519 {KEY}\n" for each in lines).encode()


def keys(before: str, *, after: str) -> dict[str, bool]:
    """What changes between lines of bob's with these options."""
    old, new = (signers.parse(text(each), file=KEYS) for each in (before, after))
    found = authority_changes_keys.differences(old, new, NOW)
    return {each.what: each.loosens for each in found}


@pytest.mark.parametrize(
    "old,new,what,loosens",
    [
        (
            'namespaces="git"',
            'namespaces="git,b"',
            "changed key NAME: for git -> for git b",
            True,
        ),
        (
            'namespaces="git,b"',
            'namespaces="git"',
            "changed key NAME: for git b -> for git",
            False,
        ),
        (
            'namespaces="git"',
            'valid-before="20270101Z",namespaces="git"',
            "changed key NAME: for git -> for git, valid until 2027-01-01T00:00:00Z",
            False,
        ),
        (
            'valid-before="20250101Z",namespaces="git"',
            'namespaces="git"',
            "changed key NAME: for git, revoked since 2025-01-01T00:00:00Z -> for git",
            True,
        ),
        (
            'valid-before="20250101Z",namespaces="git"',
            'valid-before="20240101Z",namespaces="git"',
            (
                "changed key NAME: for git, revoked since 2025-01-01T00:00:00Z"
                " -> for git, revoked since 2024-01-01T00:00:00Z"
            ),
            False,
        ),
        (
            'valid-after="20250101Z",namespaces="git"',
            'valid-after="20240101Z",namespaces="git"',
            (
                "changed key NAME: for git, valid from 2025-01-01T00:00:00Z"
                " -> for git, valid from 2024-01-01T00:00:00Z"
            ),
            True,
        ),
        (
            'namespaces="git"',
            'cert-authority,namespaces="git"',
            "changed key NAME: for git -> as cert-authority for git",
            True,
        ),
    ],
)
def test_changed_line(old: str, new: str, what: str, *, loosens: bool) -> None:
    """A line is told old and new; it loosens where the key counts for more, or for longer."""
    assert keys(old, after=new) == {what.replace("NAME", NAME): loosens}


def test_second_line_of_a_key() -> None:
    """Lines of one key are told together, and one that adds nothing does not loosen."""
    line = 'namespaces="git"'
    assert keys(line, after=line + HERE + 'valid-after="20250101Z",namespaces="b"') == {
        f"changed key {NAME}: for git -> for git or for b, valid from 2025-01-01T00:00:00Z": True
    }
    assert list(keys('namespaces="git,b"', after=line + HERE + line).values()) == [False]


def test_another_owner() -> None:
    """A key that goes to somebody else is removed from one and added to the other."""
    before = signers.parse(text('namespaces="git"'), file=KEYS)
    after = signers.parse(text('namespaces="git"').replace(b"bob", b"eve"), file=KEYS)
    found = list(authority_changes_keys.differences(before, after, NOW))
    assert [(each.what, each.loosens) for each in found] == [
        (f"added key {NAME.replace('bob', 'eve')}: for git", True),
        (f"removed key {NAME}: for git", False),
    ]
