"""The home: the repository that arbitrates. The remote where there is one, else this one.

With a remote home every read is fetched first, by explicit URL and refspec, never forced, so
that nothing moves backwards; every write is pushed first, all refs or none (git-push(1),
`--atomic`), and only then made here, but for what a run may keep to itself for a while.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.core.errors import (
    AuthorityRefused,
    BranchBusy,
    FileAccessError,
    GitError,
    NotGoverned,
)
from runner.core.run import plan_branch, run_branch
from runner.git import command, history, home_ahead, refs
from runner.git.home_rewritten import PLANS, RUNS, Rewritten, refusal
from runner.git.home_url import reach
from runner.git.refs import Move

# A repository's configuration may name other programs for a remote of this very URL.
UPLOAD_PACK = "--upload-pack=git-upload-pack"
RECEIVE_PACK = "--receive-pack=git-receive-pack"
FETCH = ("fetch", "--no-tags", "--no-write-fetch-head")
PUSH = ("push", "--atomic", "--porcelain", "--no-verify")
# What the home says where another push of the same refs was first.
OVERTAKEN = ("[rejected]", "cannot lock ref", "already exists", "incorrect old value")
SEEN = "refs/planlock/seen"
LOCAL = "."


@dataclass(frozen=True, kw_only=True)
class Home:
    """`url` None means this repository; `trusted_ref` is a full ref name in the home.

    `gone` are plans whose branch the home was found not to have; its copy here is history.
    `passed` are places of refs in the home that those here were found to go on from.
    """

    git_dir: Path
    url: str | None
    trusted_ref: str
    gone: set[str] = field(default_factory=set, init=False, compare=False, repr=False)
    passed: set[str] = field(default_factory=set, init=False, compare=False, repr=False)

    def local_name(self, ref: str) -> str:
        """Where a ref that people write lies in this repository once it is fetched."""
        return home_ahead.copy_of(ref) if self.url else ref

    def fetch(self, plan: str | None = None) -> None:
        """Bring here what the home has; raises AuthorityRefused where something moved backwards."""
        if self.url is None:
            return
        if plan is None:
            self._fetch([self.trusted_ref])
            return
        there, copies = self._listed(plan), self._copies(plan)
        self._fetch([ref for ref, oid in there.items() if copies.get(ref) != oid])
        for ref in home_ahead.copied(self.git_dir, plan):
            home_ahead.catch_up(self.git_dir, ref, self.passed)
        self.gone.discard(plan)
        if plan_branch(plan) not in there:
            self._note_gone(plan)

    def fetch_pull(self, number: int) -> str:
        """Bring here the head of a pull request as the forge keeps it; it may move anywhere."""
        return self._fetch_forge(f"refs/pull/{number}/head", f"refs/planlock/pulls/{number}")

    def fetch_queued(self, commit: str) -> str:
        """Bring here what a forge made to see whether it may become the trusted branch."""
        return self._fetch_forge(commit, "refs/planlock/pulls/queued")

    def _fetch_forge(self, there: str, here: str) -> str:
        if self.url is None:
            raise GitError(f"fetching {there}: this repository has no remote home")
        done = reach(self.url, [*FETCH, UPLOAD_PACK], [f"+{there}:{here}"], git_dir=self.git_dir)
        commit = refs.read(self.git_dir, here)
        if done.returncode != 0 or commit is None:
            said = done.stderr.decode(errors="replace").strip()
            raise GitError(f"fetching {self.url}: {said}", hint=_reach(self.url))
        return commit

    def _is_written_by_people(self, ref: str) -> bool:
        return ref == self.trusted_ref or ref.startswith(PLANS)

    def _kept_at(self, ref: str) -> str:
        """Where a ref is fetched to: a run's own, unless that may be ahead and has a copy."""
        copy = self.local_name(ref)
        if self._is_written_by_people(ref) or refs.read(self.git_dir, copy):
            return copy
        return ref

    def _copies(self, plan: str) -> dict[str, str]:
        """Where the home had the refs of a plan, and the trusted ref, when it was looked at last."""
        runs, people = _run_folders(plan), (self.trusted_ref, plan_branch(plan))
        copies = [home_ahead.copy_of(each) for each in (*runs, *people)]
        here = refs.under(self.git_dir, *runs)
        there = refs.under(self.git_dir, *copies)
        return here | {home_ahead.original_of(ref): oid for ref, oid in there.items()}

    def _listed(self, plan: str) -> dict[str, str]:
        """What the home has of a plan, and the trusted ref: ref → object id."""
        whole, folders = (self.trusted_ref, plan_branch(plan)), _run_folders(plan)
        found = self._commits([*whole, *(f"{folder}*" for folder in folders)])
        if self.trusted_ref not in found:
            message = f"fetching {self.url}: it has no {self.trusted_ref}"
            raise GitError(message, hint=_reach(str(self.url)))
        # A pattern also matches the tail of a name (git-ls-remote(1)).
        return {
            name: oid for name, oid in found.items() if name in whole or name.startswith(folders)
        }

    def _commits(self, patterns: Sequence[str]) -> dict[str, str]:
        lines = list_remote(str(self.url), "--refs", patterns=patterns)
        pairs = (line.split("\t") for line in lines if "\t" in line)
        return {name: oid for oid, name in pairs}

    def _fetch(self, names: Sequence[str]) -> None:
        if not names:
            return
        places = {ref: self._kept_at(ref) for ref in names}
        specs = [f"{ref}:{local}" for ref, local in places.items()]
        done = reach(str(self.url), [*FETCH, UPLOAD_PACK], specs, git_dir=self.git_dir)
        if done.returncode == 0:
            return
        said = done.stderr.decode(errors="replace").strip()
        if "[rejected]" in said:
            if places != {ref: self._kept_at(ref) for ref in names}:
                self._fetch(names)  # a run went ahead at this moment
                return
            self._check_forward(places)
        raise GitError(f"fetching {self.url}: {said}", hint=_reach(str(self.url)))

    def _check_forward(self, places: Mapping[str, str]) -> None:
        """Raise AuthorityRefused for the first ref that no longer descends from what is here."""
        there = self._commits(list(places))
        for ref, local in places.items():
            old, new = refs.read(self.git_dir, local), there.get(ref)
            if old and new and not history.is_ancestor(self.git_dir, old, new):
                raise self._rewritten(ref, old, new)

    def _rewritten(self, ref: str, old: str, new: str) -> AuthorityRefused:
        """Name whatever here remembers the ref as it was, so that one hint is enough."""
        known = {each: refs.read(self.git_dir, each) for each in self._memory(ref)}
        kept = {
            each: oid
            for each, oid in known.items()
            if oid and not history.is_ancestor(self.git_dir, oid, new)
        }
        found = Rewritten(ref=ref, old=old, new=new, url=self.url, kept=kept)
        trusted = refs.read(self.git_dir, self.local_name(self.trusted_ref))
        return refusal(self.git_dir, found, trusted=trusted)

    def _note_gone(self, plan: str) -> None:
        """Let the branch's copy not pass for the branch; what it had counts as seen."""
        self.gone.add(plan)
        ref = plan_branch(plan)
        last, seen = (refs.read(self.git_dir, each) for each in self._memory(ref))
        if last and not (seen and history.is_ancestor(self.git_dir, last, seen)):
            self._never_backwards(last, ref)

    def _memory(self, ref: str) -> list[str]:
        """The refs here that remember a ref of the home: its copy, and how far it was seen."""
        copies = [self._kept_at(ref)] if self.url else []
        if self.url and not self._is_written_by_people(ref):
            copies.append(ref)
        seen = _seen(ref, self.trusted_ref)
        return [*dict.fromkeys(copies), seen] if seen else copies

    def trusted(self) -> str:
        """The commit of the trusted ref; raises NotGoverned where there is none."""
        commit = refs.read(self.git_dir, self.local_name(self.trusted_ref))
        if commit is None:
            message = f"reading the trusted ref {self.trusted_ref}: it has no commit"
            raise NotGoverned(message, hint="planlock init, then commit plans/")
        self._never_backwards(commit, self.trusted_ref)
        return commit

    def plan_tip(self, plan: str) -> str | None:
        """The tip of the plan branch; refused where it moved other than forward."""
        if plan in self.gone:
            return None
        ref = plan_branch(plan)
        commit = refs.read(self.git_dir, self.local_name(ref))
        if commit is not None:
            self._never_backwards(commit, ref)
        return commit

    def run_tip(self, plan: str, run: int) -> str | None:
        """The tip of a run's branch; refused where the home's moved other than forward."""
        ref = run_branch(plan, run)
        commit = refs.read(self.git_dir, ref)
        if commit is not None:
            there = refs.read(self.git_dir, self._kept_at(ref))
            self._never_backwards(there or commit, ref)
        return commit

    def _never_backwards(self, commit: str, ref: str) -> None:
        seen_ref = _seen(ref, self.trusted_ref)
        seen = refs.read(self.git_dir, seen_ref)
        if seen == commit:
            return
        if seen and not history.is_ancestor(self.git_dir, seen, commit):
            raise self._rewritten(ref, seen, commit)
        try:
            refs.move(self.git_dir, [Move(ref=seen_ref, old=seen, new=commit)], reason=f"saw {ref}")
        except (BranchBusy, FileAccessError):
            return  # noted by another process at the same moment, or a disk that only reads

    def publish(self, moves: Sequence[Move], *, reason: str) -> None:
        """Move refs in the home and here; raises BranchBusy where another runner was first."""
        if self.url is not None:
            self.push(moves)
        refs.move(self.git_dir, moves, reason=reason)

    def push(self, moves: Sequence[Move]) -> None:
        """Move refs in a remote home, without force: a ref that is elsewhere than we think is no fast-forward."""
        try:
            self._push([], [f"{each.new}:{each.ref}" for each in moves])
        except BranchBusy:
            # It may be our own push whose answer was lost.
            there = self._commits([each.ref for each in moves])
            if any(there.get(each.ref) != each.new for each in moves):
                raise

    def _push(self, options: Sequence[str], specs: Sequence[str]) -> None:
        done = reach(str(self.url), [*PUSH, RECEIVE_PACK, *options], specs, git_dir=self.git_dir)
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        if done.returncode != 0 and any(words in said for words in OVERTAKEN):
            raise BranchBusy(f"pushing to {self.url}: another runner was first", hint="try again")
        if done.returncode != 0:
            raise GitError(f"pushing to {self.url}: {said}", hint=_reach(str(self.url)))

    def delete(self, known: Mapping[str, str]) -> None:
        """Delete refs in the home and here, each only from where it is known to be.

        What the home no longer has is no error. Raises BranchBusy, or GitError.
        """
        if not known:
            return
        if self.url is not None:
            there = self._commits(list(known))
            self._push_deletion({ref: oid for ref, oid in known.items() if ref in there})
        refs.delete(self.git_dir, known, reason="clean up")

    def _push_deletion(self, known: Mapping[str, str]) -> None:
        leases = [f"--force-with-lease={ref}:{oid}" for ref, oid in known.items()]
        if known:
            self._push([*leases], [f":{ref}" for ref in known])


def _run_folders(plan: str) -> tuple[str, ...]:
    return (
        f"refs/heads/planlock/{plan}/",
        f"refs/planlock/leases/{plan}/",
        f"refs/planlock/control/{plan}/",
        f"refs/tags/planlock-run/{plan}/",
    )


def _seen(ref: str, trusted_ref: str) -> str:
    """Where this repository notes how far it has seen a ref; empty for one that it need not."""
    if ref == trusted_ref:
        return f"{SEEN}/trusted"
    for start, kind in ((PLANS, "plan"), (RUNS, "run")):
        if ref.startswith(start):
            return f"{SEEN}/{kind}/{ref.removeprefix(start)}"
    return ""


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
    done = reach(url, ["ls-remote", UPLOAD_PACK, option], patterns)
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
