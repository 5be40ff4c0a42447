"""What an attacker with write access does to history: commits made by hand, chains rewritten."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from team import EDIT, READ, Team

from runner.core import documents
from runner.core.documents import dump
from runner.core.run import NAMESPACE, digest_bytes
from runner.git import graph
from runner.git.objects import FILE, Commit, Entry, NewCommit, ObjectStore, Signature
from runner.git.signing import FileSigner

Edit = Callable[[str, dict[str, Any]], None]
Files = Mapping[str, bytes | None]


def copy(team: Team, base: Path) -> Team:
    """The same people and repository in another place."""
    shutil.copytree(team.base, base, symlinks=True, dirs_exist_ok=True)
    keys = {name: base / "keys" / name for name in team.keys}
    return Team(base=base, root=base / "project", keys=keys)


def findings(team: Team, *, cwd: Path | None = None) -> dict[str, str]:
    """What the audit finds: code → every place and message, joined."""
    done = team.cli("ada", "audit", "--json", cwd=cwd)
    assert done.code in {0, 1}, done.text
    found: dict[str, str] = {}
    for each in done.json["findings"]:
        text = f"{each['where']}: {each['message']}"
        found[each["code"]] = f"{found[each['code']]}\n{text}" if each["code"] in found else text
    assert bool(found) == (done.code == 1)
    return found


@dataclass(frozen=True)
class Forger:
    """Writes objects and moves refs of a team's repository directly."""

    team: Team
    store: ObjectStore

    @property
    def runner_key(self) -> Path:
        return self.team.root / ".git/planlock/runner_key"

    def tip(self, ref: str) -> str:
        return self.team.git("rev-parse", ref)

    def read(self, ref: str, path: str) -> bytes:
        data = self.store.file(self.store.commit(self.tip(ref)).tree, path)
        assert data is not None, path
        return data

    def paths(self, ref: str, folder: str) -> list[str]:
        return self.team.git("ls-tree", "-r", "--name-only", ref, folder).split()

    def value(self, ref: str, path: str) -> dict[str, Any]:
        value: dict[str, Any] = documents.parse(self.read(ref, path), file=path).value
        return value

    def entry(self, data: bytes | None) -> Entry | None:
        return None if data is None else Entry(mode=FILE, oid=self.store.write("blob", data))

    def commit(
        self, parents: Sequence[str], files: Files, *, like: Commit, key: Path | None = None
    ) -> str:
        """Commit files on top of the first parent, with another commit's message and author."""
        entries = {path: self.entry(data) for path, data in files.items()}
        tree = self.store.edit_tree(self.store.commit(parents[0]).tree, entries)
        return self.write(parents, tree, like=like, key=key)

    def write(
        self, parents: Sequence[str], tree: str, *, like: Commit, key: Path | None = None
    ) -> str:
        name, _, rest = like.author.partition(" <")
        by = Signature(name=name, email=rest.split(">")[0], when=int(rest.split()[-2]))
        draft = NewCommit(tree=tree, parents=tuple(parents), by=by, message=like.message)
        unsigned = draft.unsigned()
        signed = draft.signed(FileSigner(key).sign(unsigned, namespace="git")) if key else unsigned
        return self.store.write("commit", signed)

    def point(self, ref: str, commit: str) -> None:
        self.team.git("update-ref", ref, commit)

    def forget(self, run: str) -> None:
        """Drop what this clone remembers of a run, as a fresh clone would."""
        self.team.git("update-ref", "-d", f"refs/planlock/seen/run/{run}")

    def amend(self, branch: str, files: Files, *, key: Path | None = None) -> str:
        """Put another commit in the place of a branch's last one."""
        old = self.store.commit(self.tip(branch))
        entries = {path: self.entry(data) for path, data in files.items()}
        tree = self.store.edit_tree(old.tree, entries)
        new = self.write(old.parents, tree, like=old, key=key)
        self.point(f"refs/heads/{branch}", new)
        return new

    def append(self, branch: str, files: Files, *, key: Path | None = None, merge: str = "") -> str:
        """Add a commit to a branch; `merge` names a second parent."""
        tip = self.tip(branch)
        parents = [tip, self.tip(merge)] if merge else [tip]
        new = self.commit(parents, files, like=self.store.commit(tip), key=key)
        self.point(f"refs/heads/{branch}", new)
        return new

    def rechain(  # noqa: PLR0913  # each is a way in which a story is told otherwise
        self,
        run: str,
        edit: Edit,
        *,
        key: Path | None,
        onto: str = "",
        files: Files | None = None,
        order: Sequence[int] = (),
    ) -> None:
        """Write a run anew as a consistent chain; branch and tag point to it afterwards.

        `edit` may change the header (named run.yaml) and each record in place; `files` are
        committed together with the record of the step that changed the same files before;
        `order` says which record comes when, and how often, where it is not to stay as it was.
        """
        plan, _, number = run.partition("/")
        folder = f"plans/{plan}/runs/{number}"
        branch = f"refs/heads/planlock/{plan}/{number}"
        start = self.value(branch, f"{folder}/run.yaml")["plan_tip"]
        line = self.team.git("rev-list", "--reverse", f"{start}..{branch}").split()
        line = [line[place] for place in (0, *order)] if order else line
        parent, last, digest = onto or start, "", ""
        for position, oid in enumerate(line):
            old = self.store.commit(oid)
            entries = self._changes(old, files or {})
            was = next(path for path in entries if _is_record(path, folder))
            own = _numbered(was, position) if order else was
            entries = {path.replace(was, own): entry for path, entry in entries.items()}
            value = self.value(oid, was)
            edit(was.rpartition("/")[2], value)
            if last:
                value["previous"] = last
            digest = value.get("plan_digest", digest)
            data = dump(value)
            last = digest_bytes(data)
            entries[own] = self.entry(data)
            if f"{own}.sig" in entries:
                armored = FileSigner(key).sign(data, namespace=NAMESPACE) if key else b"none\n"
                entries[f"{own}.sig"] = self.entry(armored)
            tree = self.store.edit_tree(self.store.commit(parent).tree, entries)
            parent = self.write([parent], tree, like=_like(old, value, digest), key=key)
        self.point(branch, parent)
        self.forget(run)
        if self.team.refs(f"refs/tags/planlock-run/{run}"):
            self.point(f"refs/tags/planlock-run/{run}", parent)

    def _changes(self, commit: Commit, more: Files) -> dict[str, Entry | None]:
        """What a commit changed, and `more` where it is about the same files."""
        before = self.store.commit(commit.parents[0]).tree
        entries = {each.path: each.new for each in graph.diff(self.store, before, commit.tree)}
        if any(path in more for path in entries):
            entries |= {path: self.entry(data) for path, data in more.items()}
        return entries


def _numbered(path: str, number: int) -> str:
    """Name a record by another number; the header has none."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/{number:03d}{name[3:]}" if number else path


def _is_record(path: str, folder: str) -> bool:
    return path.rpartition("/")[0] == folder and path.endswith(".yaml")


def _like(old: Commit, value: dict[str, Any], plan_digest: str) -> Commit:
    """Keep the trailers true to a rewritten header or record."""
    wanted = {"Plan-Digest": plan_digest, "Authority": value.get("authority")}
    wanted["Step-Status"] = value["status"] if "step" in value else None
    wanted["Step-Digest"] = value.get("step", {}).get("digest")
    lines = []
    for line in old.message.split("\n"):
        name = line.partition(": ")[0]
        lines.append(f"{name}: {wanted[name]}" if wanted.get(name) else line)
    return Commit(**{**vars(old), "message": "\n".join(lines)})


@contextmanager
def forging(team: Team) -> Iterator[Forger]:
    git_dir = team.root / ".git"
    with ObjectStore(git_dir, git_dir / "objects") as store:
        yield Forger(team, store)


def finished(base: Path) -> Team:
    """A repository in which bob approved ada's plan `fac` and its run came to its end."""
    team = Team.governed(base, "bob", "cleo")
    team.propose("fac", READ + EDIT)
    team.approve("bob", "fac")
    done = team.cli("ada", "run", "fac")
    assert done.code == 0, done.text
    return team
