"""Choose what of a project the planner's model sees: tracked files only, and none with secrets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from runner.core import check_step, globs, relevance
from runner.core.canonical import sha256_text
from runner.core.errors import UsageError
from runner.core.model_call import InputFile
from runner.core.redaction import redact
from runner.git.objects import EXECUTABLE, FILE, ObjectStore

# Above this many files only those whose names fit best are looked into.
MOST_READ = 2_000
MOST_TESTS = 20


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What a prompt shows of the project: each file's text, the list of names, what stays out."""

    files: tuple[tuple[str, str], ...]
    listing: tuple[str, ...]
    tests: tuple[str, ...]
    withheld: tuple[tuple[str, str], ...]

    @property
    def inputs(self) -> list[InputFile]:
        return [
            InputFile(path=path, sha256=sha256_text(text.encode())) for path, text in self.files
        ]

    @property
    def tokens(self) -> int:
        return sum(relevance.tokens(text) for _, text in self.files)


def secret_in(text: str) -> str:
    """Why a text may not be sent; empty where nothing in it looks like a secret."""
    found = redact(text).names
    return f"holds what looks like a secret: {', '.join(found)}" if found else ""


class ProjectFiles:
    """The files of one tree, as far as they may be looked at."""

    def __init__(self, store: ObjectStore, tree: str, *, goal: str) -> None:
        self._store = store
        self._tree = tree
        self._goal = goal
        self._secret: dict[str, str] = {}

    @cached_property
    def tracked(self) -> tuple[str, ...]:
        """Every regular file outside of `plans/`, by path."""
        walked = self._store.walk(self._tree)
        regular = (path for path, entry in walked if entry.mode in {FILE, EXECUTABLE})
        return tuple(sorted(path for path in regular if not path.startswith("plans/")))

    @cached_property
    def _near(self) -> list[str]:
        every = relevance.candidates(self.tracked)
        if len(every) <= MOST_READ:
            return every
        return relevance.rank(self._goal, dict.fromkeys(every, ""))[:MOST_READ]

    @cached_property
    def texts(self) -> dict[str, str]:
        """The texts that may be sent: UTF-8, not too large, without anything like a secret."""
        return dict(self._read(self._near))

    def _read(self, paths: Iterable[str]) -> Iterable[tuple[str, str]]:
        for path in paths:
            text = self.text(path)
            if text is not None and len(text) <= relevance.LARGEST_FILE:
                found = secret_in(text)
                if found:
                    self._secret[path] = found
                else:
                    yield path, text

    def text(self, path: str) -> str | None:
        """A file's text; None where there is none, or no text."""
        content = self._store.file(self._tree, path)
        try:
            return content.decode() if content is not None else None
        except UnicodeDecodeError:
            return None

    def why_not(self, path: str) -> str:
        """Why a file may not be sent; empty where it may, or is not there."""
        if relevance.is_secret(path):
            return "its name says that it holds secrets"
        if path not in self.tracked:
            return ""
        if path in self._secret or path in self.texts:
            return self._secret.get(path, "")
        fresh = dict(self._read([path]))
        self.texts.update(fresh)
        return "" if path in fresh else self._secret.get(path, "it is too large, or no text")

    def choose(self, *, named: Sequence[str], patterns: Sequence[str], max_tokens: int) -> Sent:
        """Take the files that help most; those `named` and matching `patterns` go first.

        Raises UsageError for a name or pattern that no tracked file answers to.
        """
        first = self._wanted(named, patterns)
        withheld = [(path, self.why_not(path)) for path in sorted(first)]
        first = {path for path in first if path in self.texts}
        ranked = relevance.rank(self._goal, self.texts)
        choice = relevance.fit(ranked, self.texts, first=first, max_tokens=max_tokens)
        secrets = [(path, why) for path, why in self._secret.items() if path not in first]
        return Sent(
            files=tuple((path, self.texts[path]) for path in choice.paths),
            listing=tuple(relevance.listing(relevance.candidates(self.tracked), choice.paths)),
            tests=tuple(check_step.test_files(self.tracked)[:MOST_TESTS]),
            withheld=tuple(
                dict.fromkeys([*((p, w) for p, w in withheld if w), *secrets, *choice.withheld])
            ),
        )

    def _wanted(self, named: Sequence[str], patterns: Sequence[str]) -> set[str]:
        wanted = set()
        for name in named:
            path = name.removeprefix("./")
            if path not in self.tracked:
                message = f"choosing files: the trusted branch has no file {name!r}"
                raise UsageError(message, hint="git ls-files")
            wanted.add(path)
        for pattern in patterns:
            found = {path for path in self.tracked if globs.matches(pattern, path)}
            if not found:
                message = f"choosing files: no tracked file matches {pattern!r}"
                raise UsageError(message, hint="git ls-files")
            wanted |= {path for path in found if not relevance.is_secret(path)}
        return wanted

    def check_command(self, drafted: dict[str, str]) -> str | None:
        """How the project's tests are run, the drafted files among them."""
        paths = {*self.tracked, *drafted}
        telling = {name: self.text(name) or "" for name in check_step.TELLING if name in paths}
        return check_step.command(paths, {**self.texts, **telling, **drafted})
