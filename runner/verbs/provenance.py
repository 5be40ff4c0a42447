"""How a plan came to be, by its commits: who signed and whom it named, what lies beside it."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from runner.core.approval import WITNESS
from runner.core.errors import InvalidDocument, Reason
from runner.core.gate import Provenance
from runner.core.run import plan_folder
from runner.git import graph, sshsig
from runner.git.history_known import Changed
from runner.git.objects import FILE, Commit, Entry, ObjectStore
from runner.git.sshsig import BadSignature, Signed
from runner.project import Authority
from runner.verbs import plan_bytes

# A ULID (runner/core/ids.py), as `approve` names its records.
_APPROVAL_FILE = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}\.yaml(\.sig)?")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a plan stands; `on_branch` is False for one on the trusted ref."""

    plan: str
    base: str
    commit: str
    on_branch: bool

    @property
    def path(self) -> str:
        return f"{plan_folder(self.plan)}/plan.yaml"


@dataclass(frozen=True)
class Moment:
    """A time, equal to any at which each key of an authority counts as it does then."""

    keys: Hashable
    at: datetime = field(compare=False)


def moment(authority: Authority, at: datetime) -> Moment:
    return Moment(authority.signers.as_of(at), at)


@lru_cache(maxsize=64)
def of(
    store: ObjectStore, place: Place, made: Changed, *, authority: Authority, when: Moment
) -> Provenance:
    """Judge the commits that changed a plan since its base; object ids say all that they hold."""
    commits = [oid for oid in made.commits if not _only_brings(store, oid, place.path)]
    named = (_named(store, oid, place.path) for oid in commits)
    signers, unsigned = set(), []
    for oid in commits:
        signed = _signed(store, oid)
        who = _whose(signed, authority, when.at)
        if who is not None and authority.policy.person(who) is not None:
            signers.add(who)
        elif signed is None or who is None or not _asked_for(store, oid, place, signed, authority):
            unsigned.append(oid)
    return Provenance(
        signers=frozenset(signers),
        named=frozenset().union(*named),
        unsigned=tuple(unsigned),
        problems=tuple(_strays(store, place)),
    )


def _asked_for(
    store: ObjectStore, oid: str, place: Place, signed: Signed, authority: Authority
) -> bool:
    """Whether a machine that may say on whose behalf wrote a plan that was not there before.

    What a runner commits to a run changes or carries a plan that somebody else wrote, so that its
    signature says nothing of who that was.
    """
    lines = authority.signers.lines_of(signed)
    if not any(WITNESS in line.namespaces for line in lines):
        return False
    commit = store.commit(oid)
    before = [store.entry(store.commit(each).tree, place.path) for each in commit.parents]
    runs = store.entry(commit.tree, f"{plan_folder(place.plan)}/runs")
    return runs is None and not any(before)


def _named(store: ObjectStore, commit: str, path: str) -> frozenset[str]:
    """Author and prompter that a version of the plan names, so that taking a name out is no way."""
    entry = store.entry(store.commit(commit).tree, path)
    return _named_in(store, entry.oid) if entry is not None else frozenset()


@lru_cache(maxsize=1024)
def _named_in(store: ObjectStore, oid: str) -> frozenset[str]:
    try:
        _, file = plan_bytes.read(store.blob(oid), file=oid)
    except InvalidDocument:
        return frozenset()  # no version that could have run
    prompter = file.plan.planner.prompter if file.plan.planner else None
    return frozenset(name for name in (file.plan.author, prompter) if name)


def _only_brings(store: ObjectStore, oid: str, path: str) -> bool:
    """Whether a merge has a file just as one parent has it, while no other parent has any.

    Its maker wrote nothing. Where the parents differ in it, the merge chose, as a commit does.
    """
    merge = store.commit(oid)
    before = [store.entry(store.commit(each).tree, path) for each in merge.parents]
    now = store.entry(merge.tree, path)
    return len(before) > 1 and now is not None and set(before) == {now, None}


def commit_signer(commit: Commit, authority: Authority, at: datetime) -> str | None:
    """The principal whose key signed a commit (namespace `git`); names in it prove nothing."""
    return _whose(_verified(commit), authority, at)


def _whose(signed: Signed | None, authority: Authority, at: datetime) -> str | None:
    return authority.signers.find(signed, namespace="git", at=at).principal if signed else None


@lru_cache(maxsize=1024)
def _signed(store: ObjectStore, oid: str) -> Signed | None:
    return _verified(store.commit(oid))


def _verified(commit: Commit) -> Signed | None:
    try:
        return sshsig.verify(commit.signature or b"", commit.signed_part, namespace="git")
    except BadSignature:
        return None


def _strays(store: ObjectStore, place: Place) -> Iterator[Reason]:
    """Paths beside the plan that differ from its base: an input that nobody approved.

    In the plan's own folder too: a test collector or a shell would load a `conftest.py` or a
    script there, and no digest covers it.
    """
    base, commit = (store.commit(each).tree for each in (place.base, place.commit))
    changed = {each.path: each.new for each in graph.diff(store, base, commit)}
    strays = sorted(path for path, new in changed.items() if not _may_differ(place, path, new))
    if strays:
        names = ", ".join(strays[:5]) + (", …" if len(strays) > 5 else "")
        message = f"stale: {place.commit[:12]} differs from base {place.base[:12]} in {names}"
        fix = f"planlock propose --refresh {place.plan}"
        yield Reason(code="stale", message=message, fix=fix)


def _may_differ(place: Place, path: str, new: Entry | None) -> bool:
    """Whether a path is the plan or an approval of it, or lies where the trusted ref governs.

    A link, a program or a name of another shape beside them would reach the commands.
    """
    if not place.on_branch:
        return path.startswith("plans/")
    folder, _, name = path.rpartition("/")
    is_approval = folder == f"{plan_folder(place.plan)}/approvals" and _APPROVAL_FILE.fullmatch(
        name
    )
    return (path == place.path or bool(is_approval)) and (new is None or new.mode == FILE)
