"""A team at random work on one plan, and a second opinion on what may run.

The people act through the real verbs on a real repository; the notebook beside them follows
what they did by rules of its own, much simpler than the gate's: a step may have run only if
enough different people stood behind exactly its digest then.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import rfc8785
import yaml
from team import Team, make_key

from runner.core.errors import PlanlockError
from runner.project import Project, World
from runner.verbs import decide, execute, propose
from runner.verbs.decision_record import Decided, Kind, Wish

NAMES = "abcdefgh"
TERM = timedelta(days=7)
DEFAULT = "edit_file: 1"


def chained(plan: Mapping[str, Any]) -> dict[str, str]:
    """Digest of each step, as section 4 of the format defines it, by another library."""
    header = {key: plan[key] for key in ("version", "id", "goal", "base", "author")}
    last = _sha("planlock/plan/v1\n", header)
    digests = {}
    for step in plan["steps"]:
        last = _sha(f"planlock/step/v1\n{last}\n", step)
        digests[step["id"]] = last
    return digests


def _sha(prefix: str, value: Any) -> str:
    data = prefix.encode() + rfc8785.dumps(value)
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True, kw_only=True)
class Noted:
    """A decision as the notebook has it; `key` is the person's how-many-eth key."""

    who: str
    kind: Kind
    steps: Mapping[str, str]
    named: frozenset[str]
    made_at: datetime
    ends_at: datetime
    key: int
    digest: str
    max_runs: int


@dataclass
class Notebook:
    decisions: list[Noted] = field(default_factory=list)
    makers: set[str] = field(default_factory=set)
    keys: dict[str, int] = field(default_factory=dict)
    used: dict[str, set[int]] = field(default_factory=dict)

    def behind(self, name: str, digest: str, *, now: datetime, run: int) -> set[str]:
        """Who stood behind a step of this digest, apart from those who made the plan."""
        people = {each.who for each in self.decisions} - self.makers
        return {who for who in people if self._stands(who, name, digest, now=now, run=run)}

    def _stands(self, who: str, name: str, digest: str, *, now: datetime, run: int) -> bool:
        stands = False
        for each in self.decisions:
            if each.who != who:
                continue
            if each.kind == "approve":
                stands = stands or self._good(each, name, digest, now=now, run=run)
            elif each.kind == "withdraw" or name in each.steps:
                stands = False
        return stands

    def _good(self, each: Noted, name: str, digest: str, *, now: datetime, run: int) -> bool:
        others = self.used.get(each.digest, set()) - {run}
        return (
            each.steps.get(name) == digest
            and now < each.ends_at
            and each.key == self.keys.get(each.who, 0)
            and not (each.max_runs and len(others) >= each.max_runs)
        )

    def against(self, name: str, digest: str) -> set[str]:
        """Who rejected exactly this step and has not lifted it."""
        found: set[str] = set()
        for each in self.decisions:
            if each.kind == "reject" and each.steps.get(name) == digest:
                found.add(each.who)
            elif each.kind == "withdraw" or (each.kind == "approve" and name in each.named):
                found.discard(each.who)
        return found


@dataclass
class Office:
    """The team, its clock and its notebook; `ran` counts the steps that were executed."""

    team: Team
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    book: Notebook = field(default_factory=Notebook)
    contents: dict[str, int] = field(default_factory=lambda: dict.fromkeys("abc", 0))
    needed: int = 1
    header: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    ran: int = 0
    refused: int = 0
    keys_made: int = 0

    @classmethod
    def copy_of(cls, template: Path, folder: Path) -> Office:
        shutil.copytree(template, folder, symlinks=True)
        names = ("ada", "bob", "cleo", "dan")
        keys = {name: folder / "keys" / name for name in names}
        return cls(team=Team(base=folder, root=folder / "project", keys=keys))

    def project(self, who: str) -> Project:
        environment = self.team.environment(who)
        count = iter(range(10**9))

        def random(size: int) -> bytes:
            seed = f"{who}{len(self.book.decisions)}{self.now}{next(count)}"
            return hashlib.sha256(seed.encode()).digest()[:size]

        world = World(
            now=lambda: self.now, random=random, environment=environment, folder=self.team.root
        )
        return Project(world)

    def attempt(self, who: str, act: Callable[[Project], Any]) -> Any:
        """Do something as a person; None where planlock refuses it."""
        self.now += timedelta(seconds=1)
        with self.project(who) as project:
            try:
                return act(project)
            except PlanlockError:
                self.refused += 1
                return None

    def propose(self, who: str) -> None:
        steps = [
            {
                "id": name,
                "step_type": "edit_file",
                "description": f"Write {name}",
                "input": {"path": f"{name}.txt", "new_content": f"{name} {version}\n"},
            }
            for name, version in self.contents.items()
        ]
        head = {"version": 1, "id": "job", "goal": "Write", **self.header}
        path = "plans/job/plan.yaml"
        text = yaml.safe_dump({**head, "steps": steps}, sort_keys=False)
        self.team.write({path: text})
        done = self.attempt(who, lambda project: propose.propose(project, "job", refresh=False))
        if done is not None:
            self.book.makers.add(who)
            self.header = {"base": done.base, "author": done.author}
            self.book.makers.add(done.author.partition("@")[0])

    def plan(self, ref: str = "plan/job") -> dict[str, Any]:
        found = yaml.safe_load(self.team.show_file(ref, "plans/job/plan.yaml"))
        assert isinstance(found, dict)
        return found

    def decide(self, who: str, kind: Kind, names: Sequence[str] = (), **bounds: Any) -> None:
        wish = Wish(decision=kind, steps=tuple(names), **bounds)
        done = self.attempt(who, lambda project: decide.decide(project, "job", wish))
        if isinstance(done, Decided):
            digests = chained(self.plan())
            hours = int(bounds["expires"][:-1]) if bounds.get("expires") else 24 * 7
            self.book.decisions.append(
                Noted(
                    who=who,
                    kind=kind,
                    steps={name: digests[name] for name in done.steps},
                    named=frozenset(names),
                    made_at=self.now,
                    ends_at=self.now + min(TERM, timedelta(hours=hours)),
                    key=self.book.keys.get(who, 0),
                    digest=done.digest,
                    max_runs=bounds.get("max_runs", 0),
                )
            )

    def rotate_key(self, who: str) -> None:
        """Give a person another key, and end the old one's time."""
        path = self.team.root / "plans/allowed_signers"
        self.now += timedelta(minutes=1)
        until = self.now.strftime("%Y%m%d%H%M%SZ")
        lines = path.read_text().splitlines()
        old = [each for each in lines if each.startswith(f"{who}@")][-1]
        ended = old.replace(" namespaces=", f' valid-before="{until}",namespaces=')
        self.keys_made += 1
        self.team.keys[who] = make_key(self.team.base / "keys" / f"{who}-{self.keys_made}")
        public = Path(f"{self.team.keys[who]}.pub").read_text().strip()
        options = old.split()[1]
        text = "\n".join(ended if each == old else each for each in lines)
        text += f"\n{who}@example.com {options} {public}\n"
        self.team.commit({"plans/allowed_signers": text}, f"New key of {who}")
        self.now += timedelta(seconds=2)
        self.book.keys[who] = self.book.keys.get(who, 0) + 1

    def ask_for(self, count: int) -> None:
        """Change how many approvals the policy asks for."""
        if count != self.needed:
            self.team.policy(f"edit_file: {self.needed}", f"edit_file: {count}")
            self.needed = count

    def run(self, *, new: bool) -> None:
        options = execute.Options(new=new)
        before = self.now
        self.attempt(
            "ada", lambda project: execute.run(project, "job", options, lambda _event: None)
        )
        assert self.now == before + timedelta(seconds=1)
        self.check()

    def check(self) -> None:
        """Hold every new record of every run against the notebook."""
        for ref in self.team.refs("refs/heads/planlock/job/"):
            number = int(ref.rpartition("/")[2])
            folder = f"plans/job/runs/{number}/"
            listed = self.team.git("ls-tree", "--name-only", ref, folder).split()
            records = [
                each for each in listed if re.fullmatch(r"[0-9]+-.*\.yaml", each[len(folder) :])
            ]
            for path in sorted(records):
                self._check_record(ref, number, path)

    def _check_record(self, ref: str, run: int, path: str) -> None:
        if path in self.seen:
            return
        self.seen.add(path)
        record = yaml.safe_load(self.team.show_file(ref, path))
        if record["kind"] != "step":
            return
        name, digest = record["step"]["id"], record["step"]["digest"]
        behind = self.book.behind(name, digest, now=self.now, run=run)
        assert len(behind) >= self.needed, f"{path}: {self.needed} asked, {behind} stood behind it"
        assert not self.book.against(name, digest), f"{path} ran although it was rejected"
        written = self.team.show_file(ref, f"{name}.txt")
        assert digest == chained(self.plan(ref))[name]
        assert f"{name} {self.contents_of(ref)[name]}" == written
        for used in record["gate"]["approvals"]:
            self.book.used.setdefault(used, set()).add(run)
        self.ran += 1

    def contents_of(self, ref: str) -> dict[str, str]:
        steps = self.plan(ref)["steps"]
        return {each["id"]: each["input"]["new_content"].split()[1] for each in steps}
