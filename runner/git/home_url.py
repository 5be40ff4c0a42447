"""Talk to the home at its URL, and nowhere else that a repository's settings would lead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from runner.core.errors import AuthorityRefused
from runner.git import command

TRANSPORTS: Mapping[str, str] = {
    "file": "file",
    "http": "http:https",  # which it may be redirected to
    "https": "https",
    **dict.fromkeys(("ssh", "git+ssh", "ssh+git"), "ssh"),
}
REWRITES = (".insteadof", ".pushinsteadof")
# A remote whose name is the URL itself: its settings go before the URL that we give.
PLACES = (".url", ".pushurl", ".vcs")
SETTINGS = r"^(url|remote)\..*\.(insteadof|pushinsteadof|url|pushurl|vcs)$"


def reach(
    url: str, args: Sequence[str], words: Sequence[str] = (), *, git_dir: Path | None = None
) -> command.Done:
    """Let git talk to a place by its URL's own transport; raises AuthorityRefused, see check."""
    check(url, git_dir)
    env = {"GIT_ALLOW_PROTOCOL": transports(url)}
    return command.attempt([*args, "--", url, *words], git_dir=git_dir, env=env)


def transports(url: str) -> str:
    """What a URL needs, and no more, so that no setting leads it to a program of its own."""
    scheme, mark, _ = url.partition("://")
    if mark:
        return TRANSPORTS.get(scheme, "none")
    return "ssh" if ":" in url.partition("/")[0] else "file"


def check(url: str, git_dir: Path | None) -> None:
    """Raise AuthorityRefused where the configuration leads the URL to another place.

    On a path, git would run the hooks that lie there. A token or name before the host is allowed.
    """
    found = command.attempt(["config", "-z", "--get-regexp", SETTINGS], git_dir=git_dir)
    for field in found.stdout.decode(errors="surrogateescape").split("\0"):
        name, _, value = field.partition("\n")
        for place in _led_to(url, name, value):
            if _without_user(place) != _without_user(url):
                message = f"reaching {url}: the setting {name} leads to another place"
                raise AuthorityRefused(message, hint=f"git config --unset-all '{name}'")


def _led_to(url: str, name: str, value: str) -> Iterator[str]:
    if name.startswith("url.") and name.endswith(REWRITES) and url.startswith(value):
        base = name.removeprefix("url.").rpartition(".")[0]
        yield base + url.removeprefix(value)
    elif any(name == f"remote.{url}{end}" for end in PLACES):
        yield value


def _without_user(url: str) -> tuple[str, str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", "", url
    host = parts.netloc.rpartition("@")[2]
    return (parts.scheme, host, parts.path) if parts.scheme in {"http", "https"} else ("", "", url)
