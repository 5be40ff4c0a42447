"""The home: the repository that arbitrates. The remote where there is one, else this one.

With a remote home every read is fetched first, by explicit URL and refspec, never forced, so
that nothing moves backwards; every write is pushed first, all refs or none (git-push(1),
`--atomic`), and only then made here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from runner.core.errors import AuthorityRefused, BranchBusy, GitError, NotGoverned
from runner.core.run import plan_branch, run_branch
from runner.git import checkouts, command, history, refs
from runner.git.refs import Move

# A repository's configuration may name other programs for a remote of this very URL.
UPLOAD_PACK = "--upload-pack=git-upload-pack"
RECEIVE_PACK = "--receive-pack=git-receive-pack"
FETCH = ("fetch", "--no-tags", "--no-write-fetch-head")
PUSH = ("push", "--atomic", "--porcelain", "--no-verify")
# What the home says where another push of the same refs was first.
OVERTAKEN = ("[rejected]", "cannot lock ref", "already exists", "incorrect old value")
MIRROR = "refs/planlock/home"
SEEN = "refs/planlock/seen"
LOCAL = "."
PATH_STARTS = ("/", "./", "../")
FILE_URL = "file://"


@dataclass(frozen=True, kw_only=True)
class Home:
    """`url` None means this repository; `trusted_ref` is a full ref name in the home."""

    git_dir: Path
    url: str | None
    trusted_ref: str

    def local_name(self, ref: str) -> str:
        """Where a ref that people write lies in this repository once it is fetched."""
        return f"{MIRROR}/{ref.removeprefix('refs/')}" if self.url else ref

    def fetch(self, plan: str | None = None) -> None:
        """Bring here what the home has; raises AuthorityRefused where something moved backwards."""
        if self.url is None:
            return
        specs = [f"{self.trusted_ref}:{self.local_name(self.trusted_ref)}"]
        if plan is not None:
            there = self._listed(plan)
            specs += [
                f"{ref}:{self.local_name(ref) if ref == plan_branch(plan) else ref}"
                for ref in there
            ]
        self._fetch(specs)

    def _listed(self, plan: str) -> list[str]:
        branch = plan_branch(plan)
        folders = (
            f"refs/heads/planlock/{plan}/",
            f"refs/planlock/leases/{plan}/",
            f"refs/tags/planlock-run/{plan}/",
        )
        patterns = [branch, *(f"{folder}*" for folder in folders)]
        lines = list_remote(str(self.url), "--refs", patterns=patterns)
        names = [line.split("\t")[1] for line in lines if "\t" in line]
        # A pattern also matches the tail of a name (git-ls-remote(1)).
        return [name for name in names if name == branch or name.startswith(folders)]

    def _fetch(self, specs: Sequence[str]) -> None:
        done = command.attempt(
            [*FETCH, UPLOAD_PACK, "--", *self._target(specs)],
            git_dir=self.git_dir,
        )
        said = done.stderr.decode(errors="replace").strip()
        if done.returncode != 0 and "non-fast-forward" in said:
            message = f"fetching {self.url}: a branch moved backwards: {said}"
            hint = "somebody rewrote it; compare it with what you know before you go on"
            raise AuthorityRefused(message, hint=hint)
        if done.returncode != 0:
            raise GitError(f"fetching {self.url}: {said}", hint=_reach(str(self.url)))

    def _target(self, specs: Sequence[str]) -> list[str]:
        return [str(self.url), *specs]

    def trusted(self) -> str:
        """The commit of the trusted ref; raises NotGoverned where there is none."""
        commit = refs.read(self.git_dir, self.local_name(self.trusted_ref))
        if commit is None:
            message = f"reading the trusted ref {self.trusted_ref}: it has no commit"
            raise NotGoverned(message, hint="planlock init, then commit plans/")
        self._never_backwards(f"{SEEN}/trusted", commit, self.trusted_ref)
        return commit

    def plan_tip(self, plan: str) -> str | None:
        """The tip of the plan branch; refused where it moved other than forward."""
        ref = plan_branch(plan)
        commit = refs.read(self.git_dir, self.local_name(ref))
        if commit is not None:
            self._never_backwards(f"{SEEN}/plan/{plan}", commit, ref)
        return commit

    def run_tip(self, plan: str, run: int) -> str | None:
        """The tip of a run's branch; refused where it moved other than forward."""
        ref = run_branch(plan, run)
        commit = refs.read(self.git_dir, ref)
        if commit is not None:
            self._never_backwards(f"{SEEN}/run/{plan}/{run}", commit, ref)
        return commit

    def _never_backwards(self, seen_ref: str, commit: str, ref: str) -> None:
        seen = refs.read(self.git_dir, seen_ref)
        if seen == commit:
            return
        if seen and not history.is_ancestor(self.git_dir, seen, commit):
            message = f"{ref} moved other than forward: from {seen[:12]} to {commit[:12]}"
            hint = f"if this is meant: git update-ref -d {seen_ref} {seen}"
            raise AuthorityRefused(message, hint=hint)
        try:
            refs.move(self.git_dir, [Move(ref=seen_ref, old=seen, new=commit)], reason=f"saw {ref}")
        except BranchBusy:
            return  # another process noted it at the same moment

    def publish(self, moves: Sequence[Move], *, reason: str) -> None:
        """Move refs in the home and here; raises BranchBusy where another runner was first."""
        if self.url is not None:
            self._push(moves)
        refs.move(self.git_dir, moves, reason=reason)

    def _push(self, moves: Sequence[Move]) -> None:
        """Push without force: a ref that is elsewhere than we think is no fast-forward."""
        specs = [f"{each.new}:{each.ref}" for each in moves]
        done = command.attempt(
            [*PUSH, RECEIVE_PACK, "--", *self._target(specs)],
            git_dir=self.git_dir,
        )
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        if done.returncode != 0 and any(words in said for words in OVERTAKEN):
            raise BranchBusy(f"pushing to {self.url}: another runner was first", hint="try again")
        if done.returncode != 0:
            raise GitError(f"pushing to {self.url}: {said}", hint=_reach(str(self.url)))


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


def remote_default_branch(url: str) -> str:
    """Ask a remote for its default branch; raises GitError where it has none."""
    for line in list_remote(url, "--symref", patterns=["HEAD"]):
        target, _, name = line.partition("\t")
        if name == "HEAD" and target.startswith("ref: "):
            return target.removeprefix("ref: ")
    message = f"asking {url} for its default branch: it names none"
    raise GitError(message, hint=f"git push {url} HEAD")


def list_remote(url: str, option: str, *, patterns: Sequence[str]) -> list[str]:
    """Give the lines of `git ls-remote`; raises GitError where the remote cannot be reached."""
    done = command.attempt(["ls-remote", UPLOAD_PACK, option, "--", url, *patterns])
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise GitError(f"asking {url} for its refs: {said}", hint=_reach(url))
    return done.stdout.decode(errors="surrogateescape").splitlines()


def _reach(url: str) -> str:
    return f"see whether this works: git ls-remote {url}"


def cloned_branch(git_dir: Path, ref: str | None) -> str | None:
    """Where a clone keeps origin's branch `ref`, or its default branch; None where it has none."""
    if ref is not None:
        cloned = f"refs/remotes/origin/{ref.removeprefix('refs/heads/')}"
        return cloned if refs.read(git_dir, cloned) else None
    args = ["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"]
    return command.attempt(args, git_dir=git_dir).stdout.decode().strip() or None
