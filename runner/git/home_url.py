"""Talk to the home at its URL, and nowhere else that a repository's settings would lead."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from runner.core.errors import AuthorityRefused, GitError
from runner.git import checkouts, command

PATH_STARTS = ("/", "./", "../")
FILE_URL = "file://"
TRANSPORTS: Mapping[str, str] = {
    "file": "file",
    "http": "http:https",  # which it may be redirected to
    "https": "https",
    **dict.fromkeys(("ssh", "git+ssh", "ssh+git"), "ssh"),
}
TOKEN_VARIABLE = "PLANLOCK_HOME_TOKEN"  # noqa: S105  # its name
REWRITES = (".insteadof", ".pushinsteadof")
# A remote whose name is the URL itself: its settings go before the URL that we give.
PLACES = (".url", ".pushurl", ".vcs")
# What git, curl and ssh say where the network failed, not where somebody refused.
OUTAGES = (
    *("Could not resolve", "Temporary failure in name resolution", "No route to host"),
    *("Network is unreachable", "Failed to connect", "Connection refused", "Connection reset"),
    *("Connection closed", "timed out", "Timeout", "too slow", "Broken pipe", "early EOF"),
    *("hung up unexpectedly", "unexpected disconnect", "RPC failed", "returned error: 5"),
)
ANSWERED = "rejected]"
# Between tries, in seconds.
WAITS = (0.3, 0.9, 1.8)
SETTINGS = r"^(url|remote)\..*\.(insteadof|pushinsteadof|url|pushurl|vcs)$"


def reach(
    url: str, args: Sequence[str], words: Sequence[str] = (), *, git_dir: Path | None = None
) -> command.Done:
    """Let git talk to a place by its URL's own transport, a few times where the network fails.

    Raises AuthorityRefused, see check.
    """
    check(url, git_dir)
    env = {"GIT_ALLOW_PROTOCOL": transports(url), **_credentials(url)}
    waits = iter(WAITS)
    while True:
        done = command.attempt([*args, "--", url, *words], git_dir=git_dir, env=env)
        wait = next(waits, None)
        if wait is None or not _is_outage(done):
            return done
        time.sleep(wait)


def _credentials(url: str) -> dict[str, str]:
    """A token for the host of an https home, as GitHub takes it; where no process list shows it."""
    token, parts = os.environ.get(TOKEN_VARIABLE), urlsplit(url)
    if not token or parts.scheme != "https" or "@" in parts.netloc:
        return {}
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"http.https://{parts.netloc}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        # git would send it to wherever it is led
        "GIT_CONFIG_KEY_1": "http.followRedirects",
        "GIT_CONFIG_VALUE_1": "false",
    }


def _is_outage(done: command.Done) -> bool:
    said = (done.stdout + done.stderr).decode(errors="replace")
    # A refused atomic push also ends by hanging up.
    answered = done.returncode == 0 or ANSWERED in said
    return not answered and any(words in said for words in OUTAGES)


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


def resolve(url: str, *, git_dir: Path, top: Path | None) -> str:
    """Make a path absolute, counted from `top`; nothing that a branch can hold is a home.

    A URL stays as it is. Raises AuthorityRefused for a place in a work tree, and GitError for
    what is neither URL nor path.
    """
    if url.startswith(PATH_STARTS):
        path = (top or git_dir) / url
    elif url.startswith(FILE_URL):
        path = Path(unquote(url.removeprefix(FILE_URL)))
    elif ":" in url.partition("/")[0]:
        return url
    else:
        message = f"finding the home: {url!r} is no URL, and no path with /, ./ or ../ in front"
        raise GitError(message, hint="git config planlock.home URL")
    _outside_work_trees(path, git_dir, top)
    return url if url.startswith(FILE_URL) else str(path.resolve())


def _outside_work_trees(path: Path, git_dir: Path, top: Path | None) -> None:
    """Refuse a path that goes into a work tree, or through a link that lies in one."""
    tops = {each.folder.resolve() for each in checkouts.list_all(git_dir)} | (
        {top} if top else set()
    )
    places = {Path(os.path.normpath(path)), path.resolve()}
    if any(place.is_relative_to(each) for place in places for each in tops):
        message = f"finding the home: {path} is in a work tree of this repository"
        hint = "a branch could put another one there: git config planlock.home URL"
        raise AuthorityRefused(message, hint=hint)
