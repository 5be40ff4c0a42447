"""Which new files of a work tree are left out: ignored by the tree's own rules, or caches.

A .gitignore that a command itself wrote would hide its other changes: only the rules that the
tree had before the step are asked.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from runner.core import globs
from runner.git import command
from runner.git.leftovers import make_private_git

RULES = ".gitignore"
# Caches of test and lint tools; nothing loads code from them, as it does from __pycache__.
CACHES = frozenset({".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"})


def tops(paths: Collection[str], rules: Mapping[str, bytes]) -> dict[str, str]:
    """Path → the topmost folder or file on its way that is left out; other paths are absent.

    A folder has `/` at the end; `rules` is path → content of each .gitignore (gitignore(5)).
    """
    ways = {path: _way(path) for path in paths}
    every = sorted({place for way in ways.values() for place in way})
    out = {place for place in every if _is_cache(place)} | _ask_git(every, rules)
    found = {path: next((place for place in way if place in out), "") for path, way in ways.items()}
    return {path: top for path, top in found.items() if top}


def is_named(glob: str, path: str, top: str) -> bool:
    """Whether a glob counts for a path that is left out as, or below, `top`.

    It must say more than wildcards where the path is left out: `dist/**` names what is in an
    ignored dist/, and `**/*.o` an ignored object file; `**` and `src/**` name neither.
    """
    names = path.rstrip("/").split("/")
    folder = ["**"] if path.endswith("/") else []
    at = top.rstrip("/").count("/")
    words = glob.split("/")
    return any(
        any(word.strip("*?.") for word in words[i:])
        and globs.sequences_meet(words[i:], [*names[at:], *folder], literal=not folder)
        # what `**` begins above may go on below
        and any(globs.sequences_meet(start, names[:at], literal=True) for start in _heads(words, i))
        for i in range(len(words))
    )


def _heads(words: Sequence[str], at: int) -> list[Sequence[str]]:
    return [words[:at], words[: at + 1]] if words[at] == "**" else [words[:at]]


def _way(path: str) -> list[str]:
    """The folders above a path, from the top, and itself."""
    bare = path.rstrip("/")
    return [*(bare[: at + 1] for at, char in enumerate(bare) if char == "/"), path]


def _is_cache(place: str) -> bool:
    return place.endswith("/") and place.rstrip("/").rpartition("/")[2] in CACHES


def _ask_git(places: Sequence[str], rules: Mapping[str, bytes]) -> set[str]:
    """Those places that the rules leave out.

    git is shown the rules alone, in a folder of their own: in the work tree it would open what
    the command put there.
    """
    if not places:
        return set()
    with tempfile.TemporaryDirectory(prefix="planlock-rules-") as name:
        place = Path(name)
        make_private_git(place / ".git")
        (place / ".git" / "HEAD").write_text("ref: refs/heads/none\n")
        for path, content in rules.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content)
        for path in places:
            # A rule such as `build/` is about folders only, so that git looks.
            if path.endswith("/") and RULES not in path.split("/"):
                (place / path).mkdir(parents=True, exist_ok=True)
        done = command.attempt(
            [f"--work-tree={place}", "check-ignore", "--no-index", "-z", "--stdin"],
            git_dir=place / ".git",
            cwd=place,
            # A name that begins with `:` would be magic, which check-ignore insists on.
            stdin=b"".join(b"./" + os.fsencode(path) + b"\0" for path in places),
            env={"GIT_LITERAL_PATHSPECS": None},
        )
    return {os.fsdecode(word.removeprefix(b"./")) for word in done.stdout.split(b"\0") if word}
