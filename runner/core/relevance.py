"""Which files of a project help to plan a change: names and words that the goal shares with them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

BYTES_PER_TOKEN = 4
LARGEST_FILE = 100_000
MOST_FILES = 40
MOST_LISTED = 300
_WORD = re.compile(r"[A-Za-z][a-z]+|[A-Z]{2,}|[0-9]{2,}")
_SECRET_NAME = re.compile(
    r"(^|/)(\.env([._-].*)?|[^/]*\.env|\.envrc(\..*)?|\.netrc|\.npmrc|\.pypirc|\.htpasswd|\.pgpass"
    r"|\.git-credentials|\.my\.cnf|\.s3cfg|\.boto|\.vault[_-]pass[^/]*|\.docker/config\.json"
    r"|\.kube/config|kubeconfig|id_(rsa|dsa|ecdsa|ed25519)[^/]*|credentials?(\.[^/]*)?"
    r"|secrets?(\.[^/]*)?|secrets/.*|[^/]*service[_-]?account[^/]*\.json|[^/]*\.tfstate(\.[^/]*)?"
    r"|[^/]*\.tfvars(\.json)?|[^/]*\.(pem|key|p12|pfx|pkcs12|ppk|jks|keystore|kdbx|gpg|asc))$",
    re.IGNORECASE,
)
_HARMLESS = re.compile(
    r"(^|/)(\.env(rc)?[._-](example|sample|template|dist)|(example|sample|template)\.env)$",
    re.IGNORECASE,
)
_UNHELPFUL = re.compile(
    r"(^|/)(\.gitignore|\.gitattributes|\.editorconfig|LICENSE[^/]*|COPYING|package-lock\.json|yarn\.lock|pnpm-lock\.yaml|poetry\.lock|uv\.lock|Cargo\.lock"
    r"|go\.sum|Gemfile\.lock|composer\.lock)$|\.(min\.js|min\.css|map|svg|ipynb)$"
)
_COMMON = frozenset(
    {"the", "and", "for", "with", "from", "that", "this", "into", "not", "use", "add", "make"}
    | {"new", "all", "its", "are", "but", "only", "when", "each", "file", "files", "code"}
    | {"project", "change", "should", "please", "function", "method", "class", "test", "tests"}
)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Files to send in order of use, and why others that were near are not sent."""

    paths: tuple[str, ...]
    withheld: tuple[tuple[str, str], ...]


def is_secret(path: str) -> bool:
    """Whether a file's name says that it holds secrets; its content is looked at elsewhere."""
    return bool(_SECRET_NAME.search(path)) and not _HARMLESS.search(path)


def tokens(text: str) -> int:
    """About how many tokens a text has."""
    return len(text.encode()) // BYTES_PER_TOKEN


def candidates(paths: Iterable[str]) -> list[str]:
    """Tracked files that may be looked at: no plans, no generated files, none named as secret."""
    return sorted(
        path
        for path in paths
        if not path.startswith("plans/") and not is_secret(path) and not _UNHELPFUL.search(path)
    )


def words(text: str) -> Counter[str]:
    """Words and parts of identifiers, in lower case, without the most common ones."""
    found = (word.lower() for word in _WORD.findall(text))
    return Counter(word for word in found if len(word) > 2 and word not in _COMMON)


def rank(goal: str, texts: Mapping[str, str]) -> list[str]:
    """Order files by what they share with the goal, best first; without any the small ones.

    A file that the goal names comes first; then the sum over shared words of how rare they are
    among the files, with words in the path counting thrice.
    """
    wanted = words(goal)
    bags = {path: words(text) for path, text in texts.items()}
    spread = Counter(word for bag in bags.values() for word in bag)
    rarity = {word: math.log(1 + len(bags) / (1 + spread[word])) for word in wanted}

    def score(path: str) -> float:
        in_path = words(path)
        found = sum(
            rarity[word] * (min(bags[path][word], 3) + 3 * min(in_path[word], 1)) for word in wanted
        )
        return found / (1 + math.log10(1 + len(texts[path]) / 2_000)) + _named(goal, path)

    scores = {path: round(score(path), 6) for path in texts}
    return sorted(texts, key=lambda path: (-scores[path], path.count("/"), len(texts[path]), path))


def _named(goal: str, path: str) -> float:
    """A goal that spells a path, or a file's name, means that file."""
    name = path.rpartition("/")[2]
    said = set(re.findall(r"[\w./-]+", goal))
    said |= {each.rstrip(".,;:") for each in said}
    return 1000.0 if path in said else 500.0 if name in said else 0.0


def fit(
    ranked: Sequence[str], texts: Mapping[str, str], *, first: Collection[str], max_tokens: int
) -> Choice:
    """Take files while they fit; those of `first` go before all others."""
    order = [*sorted(first), *(path for path in ranked if path not in first)]
    left = max_tokens
    taken: list[str] = []
    withheld: list[tuple[str, str]] = []
    for path in order:
        size = tokens(texts[path]) + 20
        if len(taken) >= MOST_FILES:
            break
        if size > left:
            if path in first or len(withheld) < 5:
                withheld.append((path, f"about {size} tokens, {left} are left"))
            continue
        taken.append(path)
        left -= size
    return Choice(paths=tuple(taken), withheld=tuple(withheld))


def listing(paths: Sequence[str], shown: Collection[str]) -> list[str]:
    """The project's files by name, bounded: those near what is shown go first."""
    if len(paths) <= MOST_LISTED:
        return list(paths)
    folders = {path.rpartition("/")[0] for path in shown}
    near = sorted(paths, key=lambda path: (path.rpartition("/")[0] not in folders, path))
    return [*sorted(near[:MOST_LISTED]), f"… and {len(paths) - MOST_LISTED} more files"]
