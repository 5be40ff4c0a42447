"""A governed repository with very many recorded runs: each record and each signature is real.

Plans, approvals and what the gate says come from the real verbs, once for each plan; its runs are
then rendered and signed by the production code and written as packs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from team import UTILS, Team, surroundings

from runner.core import gate
from runner.core.cost import Total
from runner.core.documents import dump
from runner.core.record import RecordFile, build_record
from runner.core.run import (
    NAMESPACE,
    RUN_FILE,
    RunFile,
    build_header,
    digest_bytes,
    lease_ref,
    run_branch,
    run_folder,
    run_tag,
)
from runner.core.values import time_text
from runner.git import command, leases, packs, trailers
from runner.git.leases import Lease
from runner.git.objects import FILE, Entry, Kind, NewCommit, ObjectStore, Signature
from runner.project import Project, real_world
from runner.verbs import evidence, recording
from runner.verbs.evidence import Evidence

SECOND = timedelta(seconds=1)
Files = dict[str, Entry | None]


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much there is: `runs` are those of each plan, `steps` those of each run."""

    plans: int = 1
    runs: int = 2
    steps: int = 4
    files: int = 2
    leases: bool = False


def build(base: Path, size: Size) -> Team:
    """Make the repository: every second step reads a file, every other one writes a new one."""
    files = {f"src/{n // 100}/{n}.txt": f"{n}\n" for n in range(size.files - 1)}
    team = Team.governed(base, "bob", files={"utils.py": UTILS, **files})
    if size.steps > 50:
        team.policy("steps: 50", f"steps: {size.steps}")
    names = [f"plan-{number}" for number in range(1, size.plans + 1)]
    for name in names:
        team.propose(name, "".join(_step(number) for number in range(1, size.steps + 1)))
        team.approve("bob", name)
    with _opened(team) as (project, store):
        for name in names:
            _Writer.of(project, store, name).write(size)
    team.git("pack-refs", "--all")
    return team


def _step(number: int) -> str:
    kind, given = "read_file", {"path": "utils.py"}
    if number % 2 == 0:
        kind, given = "edit_file", {"path": _made(number), "new_content": _text(number)}
    value = {"id": f"s{number}", "step_type": kind, "description": "Go on", "input": given}
    return f"- {json.dumps(value)}\n"


def _made(number: int) -> str:
    return f"made/{number}.txt"


def _text(number: int) -> str:
    return f"This is what step {number} wrote.\n"


class PackStore(ObjectStore):
    """Keeps what is written in memory until it is packed."""

    def __init__(self, git_dir: Path, objects: Path) -> None:
        super().__init__(git_dir, objects)
        self._fresh: dict[str, tuple[Kind, bytes]] = {}

    def write(self, kind: Kind, content: bytes) -> str:
        whole = f"{kind} {len(content)}\0".encode() + content
        oid = hashlib.sha1(whole).hexdigest()  # noqa: S324  # git names objects so
        self._fresh[oid] = (kind, content)
        return oid

    def look_up(self, name: str) -> tuple[str, Kind, bytes] | None:
        found = self._fresh.get(name)
        return (name, *found) if found else super().look_up(name)

    def pack(self) -> None:
        """Write one pack of all that is in memory."""
        objects = [(oid, kind, content) for oid, (kind, content) in self._fresh.items()]
        made = packs.render(packs.part(objects))
        folder = self.objects / "pack"
        (folder / f"{made.name}.pack").write_bytes(made.content)
        (folder / f"{made.name}.idx").write_bytes(made.index)
        self._fresh.clear()


@contextmanager
def _opened(team: Team) -> Iterator[tuple[Project, PackStore]]:
    git_dir = team.root / ".git"
    with (
        surroundings(team.root, team.environment("ada")),
        Project(real_world()) as project,
        PackStore(git_dir, git_dir / "objects") as store,
    ):
        yield project, store


@dataclass(kw_only=True)
class _Writer:
    """Writes the runs of one plan, one after another, each a second a step."""

    project: Project
    store: PackStore
    found: Evidence
    values: list[dict[str, Any]]
    by: Signature
    moves: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, project: Project, store: PackStore, plan: str) -> _Writer:
        now = project.world.now()
        found = evidence.gather(project, evidence.find_plan(project, plan), now=now)
        by = project.runner_identity(project.runner_name(found.authority))
        values = [_value(found, number, now) for number in range(len(found.plan.file.plan.steps))]
        return cls(project=project, store=store, found=found, values=values, by=by)

    def write(self, size: Size) -> None:
        moment = self.project.world.now()
        for number in range(1, size.runs + 1):
            moment = _Run.start(self, number, moment, leased=size.leases).write()
        self.store.pack()
        self._update_refs()

    def _update_refs(self) -> None:
        stdin = "".join(self.moves).encode()
        command.run(["update-ref", "--stdin"], git_dir=self.store.git_dir, stdin=stdin)


def _value(found: Evidence, number: int, now: datetime) -> dict[str, Any]:
    """What a step's record says in every run."""
    plan = found.plan.file
    step = plan.plan.steps[number]
    so_far = evidence.so_far(None, (), 1)
    decision = gate.decide(evidence.question(found, step=number, so_far=so_far, now=now))
    assert decision.allowed, decision.reasons
    told = {"id": step.id, "number": number + 1, "type": step.step_type}
    value: dict[str, Any] = {
        "kind": "step",
        "step": {**told, "digest": plan.digests[number]},
        "status": "completed",
        "attempt": 1,
        "started_at": "",
        "ended_at": "",
        "executor": recording.executor(),
        "gate": recording.gate_block(found, decision).model_dump(),
    }
    return {**value, **_effect(step.step_type, number + 1), "calls": []}


def _effect(step_type: str, number: int) -> dict[str, Any]:
    if step_type == "read_file":
        data = UTILS.encode()
        output = {"text": UTILS, "digest": digest_bytes(data), "length": len(data)}
        return {"output": {**output, "truncated": False}, "changes": []}
    data = _text(number).encode()
    change = {"path": _made(number), "before": None, "after": digest_bytes(data), "mode": FILE}
    return {"changes": [{**change, "size": len(data)}]}


@dataclass(kw_only=True)
class _Run:
    """One run under way: `tip` and `lease` are the last commits of its branch and its lease."""

    of: _Writer
    run: RunFile
    moment: datetime
    tip: str
    lease: str | None = None
    leased: bool = False

    @classmethod
    def start(cls, of: _Writer, number: int, moment: datetime, *, leased: bool) -> _Run:
        header = _header(of, number, moment)
        data, plan = dump(header), of.found.plan
        run = RunFile(
            header=build_header(header, file=RUN_FILE),
            header_digest=digest_bytes(data),
            records=(),
        )
        made = cls(of=of, run=run, moment=moment, tip=plan.commit, leased=leased)
        pairs = [*made._about(), ("Authority", header["authority"])]
        made._commit(f"start run {plan.id}/{number}", pairs, made._signed(RUN_FILE, data))
        made._link()
        return made

    def write(self) -> datetime:
        """Record every step and the end; gives the moment after it."""
        for value in self.of.values:
            self.moment += SECOND
            self._step(value)
        self._end()
        plan, number = self.of.found.plan.id, self.run.header.run
        refs = {run_branch(plan, number): self.tip, run_tag(plan, number): self.tip}
        if self.lease:
            refs[lease_ref(plan, number)] = self.lease
        self.of.moves += [f"create {ref} {oid}\n" for ref, oid in refs.items()]
        return self.moment + SECOND

    def _step(self, value: dict[str, Any]) -> None:
        step, gate_ = value["step"], value["gate"]
        self._link(step=step["id"], attempt=1, approvals=tuple(gate_["approvals"]))
        file, data = self._record(step["id"], value)
        entries: Files = {self._path(file): self._blob(data)}
        for change in value["changes"]:
            entries[change["path"]] = self._blob(_text(step["number"]).encode())
        pairs = recording.step_trailers(
            plan=self.of.found.plan.id,
            digest=self.of.found.plan.file.digest,
            run=self.run.header.run,
            step=step,
            status="completed",
            approvers=gate_["approvers"],
        )
        self._commit(f"step {step['number']}/{len(self.of.values)} {step['type']}", pairs, entries)

    def _end(self) -> None:
        value = {
            "kind": "end",
            "started_at": "",
            "ended_at": "",
            "executor": recording.executor(),
            "status": "completed",
            "plan_digest": self.of.found.plan.file.digest,
            "total": recording.total_block(Total()),
        }
        file, data = self._record("end", value)
        pairs = [*self._about(), ("Run-Status", "completed")]
        self._commit("end run: completed", pairs, self._signed(file, data))

    def _record(self, name: str, value: dict[str, Any]) -> tuple[str, bytes]:
        now = time_text(self.moment)
        value = {**value, "started_at": now, "ended_at": now}
        file, data = recording.render(self.run, name, value)
        full = {"version": 1, "previous": self.run.last_digest, **value}
        added = RecordFile(
            name=file, record=build_record(full, file=file), digest=digest_bytes(data)
        )
        self.run = replace(self.run, records=(*self.run.records, added))
        return file, data

    def _commit(self, subject: str, pairs: list[trailers.Trailer], entries: Files) -> None:
        store = self.of.store
        draft = NewCommit(
            tree=store.edit_tree(store.commit(self.tip).tree, entries),
            parents=(self.tip,),
            by=self._by,
            message=trailers.message(f"planlock: {subject}", pairs),
        )
        unsigned = draft.unsigned()
        armored = self.of.project.runner.sign(unsigned, namespace="git")
        self.tip = store.write("commit", draft.signed(armored))
        self._link()

    def _link(self, **about: Any) -> None:
        """Go one link further in the lease."""
        if self.leased:
            lease = Lease(
                holder="nobody", epoch=1, taken_at=self.moment, expires_at=self.moment, **about
            )
            self.lease = leases.write(self.of.store, lease, parent=self.lease, by=self._by)

    @property
    def _by(self) -> Signature:
        return replace(self.of.by, when=int(self.moment.timestamp()))

    def _about(self) -> list[trailers.Trailer]:
        plan = self.of.found.plan
        run = str(self.run.header.run)
        return [("Plan", plan.id), ("Plan-Digest", plan.file.digest), ("Run", run)]

    def _path(self, file: str) -> str:
        return f"{run_folder(self.of.found.plan.id, self.run.header.run)}/{file}"

    def _blob(self, data: bytes) -> Entry:
        return Entry(mode=FILE, oid=self.of.store.write("blob", data))

    def _signed(self, file: str, data: bytes) -> Files:
        armored = self.of.project.runner.sign(data, namespace=NAMESPACE)
        return {self._path(file): self._blob(data), f"{self._path(file)}.sig": self._blob(armored)}


def _header(of: _Writer, number: int, moment: datetime) -> Mapping[str, Any]:
    plan, authority = of.found.plan, of.found.authority
    return {
        "version": 1,
        "plan": plan.id,
        "run": number,
        "repository": authority.policy.repository,
        "plan_digest": plan.file.digest,
        "plan_tip": plan.commit,
        "base": plan.file.plan.base,
        "trusted_ref": authority.ref,
        "authority": authority.commit,
        "approvals": sorted({digest for each in of.values for digest in each["gate"]["approvals"]}),
        "runner": of.by.email,
        "executor": recording.executor(),
        "started_at": time_text(moment),
    }
