"""CODEOWNERS: whose approval a change of a path needs, as GitHub reads the file.

docs.github.com, "About code owners": the last line that matches decides; `!` and `[ ]` are no
patterns there. A line that cannot be read is a problem here, not left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from runner.core import globs
from runner.core.errors import InvalidDocument, Problem

# Where the forge looks, in this order.
PLACES: Final = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
_OWNER: Final = re.compile(
    r"@(?P<login>[A-Za-z0-9_-]{1,100})(?:/(?P<team>[A-Za-z0-9._-]{1,100}))?|[^\s@]+@[^\s@]+"
)
_NO_PATTERN: Final = re.compile(r"^!|[\[\]\\]")


@dataclass(frozen=True, kw_only=True)
class Line:
    """Paths as globs, and who owns them; nobody may."""

    globs: tuple[str, ...]
    owners: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CodeOwners:
    """The lines of one file, in its order."""

    lines: tuple[Line, ...]

    def of(self, target: str) -> tuple[tuple[str, ...], ...]:
        """The sets of owners of a path, of each of which one has to approve: none or one set.

        Of a glob those of every line that may be about one of its paths.
        """
        if globs.is_glob(target):
            found = [each for each in self.lines if _may_match(each, target)]
        else:
            found = [each for each in self.lines if _matches(each, target)][-1:]
        return tuple(dict.fromkeys(each.owners for each in found if each.owners))

    @property
    def teams(self) -> tuple[str, ...]:
        """Each team named, as `org/team`."""
        every = (owner for line in self.lines for owner in line.owners)
        return tuple(dict.fromkeys(owner[1:] for owner in every if "/" in owner))


def _matches(line: Line, path: str) -> bool:
    return any(globs.matches(each, path) for each in line.globs)


def _may_match(line: Line, target: str) -> bool:
    return any(globs.overlaps(each, target) for each in line.globs)


def parse(text: str, *, file: str) -> CodeOwners:
    """Read the file; raises InvalidDocument with every line that cannot be read."""
    lines: list[Line] = []
    problems: list[Problem] = []
    for number, raw in enumerate(text.splitlines(), 1):
        words = raw.partition("#")[0].split()
        if not words:
            continue
        bad = next(_troubles(words[0], words[1:]), None)
        if bad is not None:
            fix = "write it as docs.github.com tells of code owners"
            problems.append(
                Problem(file=file, line=number, code="code_owners", message=bad, fix=fix)
            )
        lines.append(Line(globs=_globs(words[0]), owners=tuple(words[1:])))
    if problems:
        raise InvalidDocument(problems)
    return CodeOwners(lines=tuple(lines))


def _troubles(pattern: str, owners: list[str]) -> Iterator[str]:
    if _NO_PATTERN.search(pattern):
        yield f"{pattern!r} is no pattern of code owners"
    for owner in owners:
        if not _OWNER.fullmatch(owner):
            yield f"{owner!r} is neither @login, @org/team nor an address"


def _globs(pattern: str) -> tuple[str, ...]:
    """A pattern as globs from the top; one that names a folder is about all below it."""
    is_anchored = "/" in pattern.rstrip("/")
    body = pattern.strip("/")
    if pattern in {"*", "/"} or body == "**":
        return ("**",)
    start = body if is_anchored or body.startswith("**/") else f"**/{body}"
    if pattern.endswith("/"):
        return (f"{start}/**/*",)  # what lies in it, not a file of that name
    if pattern.endswith(("/*", "/**")):
        return (start,)
    return start, f"{start}/**"


def owns(owner: str, *, principal: str, login: str, teams: tuple[str, ...]) -> bool:
    """Whether a person is that owner: by account, by address, or by a team seen to have them."""
    if not owner.startswith("@"):
        return owner.casefold() == principal.casefold()
    name = owner[1:].casefold()
    if "/" in name:
        return name in {each.casefold() for each in teams}
    return bool(login) and name == login.casefold()
