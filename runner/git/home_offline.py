"""Without a network: the home as this repository heard of it last, and what speaks against that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runner.git import history, refs
from runner.git.home import Home, cloned_branch
from runner.git.home_url import PATH_STARTS

AS_LAST_FETCHED = "as last fetched"
OF_THE_HOME = f"of the home {AS_LAST_FETCHED}"
ORIGIN = "refs/remotes/origin/"
HEADS = "refs/heads/"


@dataclass(frozen=True, kw_only=True)
class Offline:
    """`label` says how far the trusted ref can be believed; empty where it arbitrates itself."""

    home: Home
    label: str = ""
    notes: tuple[str, ...] = ()


def choose(git_dir: Path, *, url: str, ref: str | None, is_origin: bool) -> Offline | None:
    """The newer of the home as fetched and `origin` as cloned; None where neither is here.

    Where `origin` is another repository than the home, it counts only in the home's absence.
    """
    cloned = cloned_branch(git_dir, ref)
    name = ref or (cloned or "").replace(ORIGIN, HEADS, 1)
    fetched = Home(git_dir=git_dir, url=url, trusted_ref=name)
    mirrored = refs.read(git_dir, fetched.local_name(name)) if name else None
    tracked = refs.read(git_dir, cloned) if cloned else None
    if cloned is None or tracked is None:
        return Offline(home=fetched, label=OF_THE_HOME) if mirrored else None
    if mirrored is None or (is_origin and _is_older(git_dir, mirrored, tracked)):
        home = Home(git_dir=git_dir, url=None, trusted_ref=cloned)
        elsewhere = f"{cloned} is not of the home {url}, which is not here"
        return Offline(home=home, label=AS_LAST_FETCHED, notes=() if is_origin else (elsewhere,))
    against = _against(git_dir, mirrored, tracked, cloned) if is_origin else ()
    return Offline(home=fetched, label=OF_THE_HOME, notes=against)


def same_place(url: str, other: str | None, *, top: Path | None) -> bool:
    """Whether two URLs say the same place, of which one may be a path that counts from `top`."""
    return other is not None and _place(url, top) == _place(other, top)


def _place(url: str, top: Path | None) -> str:
    return str((top / url).resolve()) if top and url.startswith(PATH_STARTS) else url


def _is_older(git_dir: Path, commit: str, than: str) -> bool:
    return commit != than and history.is_ancestor(git_dir, commit, than)


def _against(git_dir: Path, mirrored: str, tracked: str, cloned: str) -> tuple[str, ...]:
    if history.is_ancestor(git_dir, tracked, mirrored):
        return ()
    text = (
        f"the trusted branch was rewritten at some time: the home {AS_LAST_FETCHED} has "
        f"{mirrored[:12]}, by which this audit judges, and {cloned} has {tracked[:12]}; neither "
        f"descends from the other: git log {mirrored[:12]}...{tracked[:12]}"
    )
    return (text,)
