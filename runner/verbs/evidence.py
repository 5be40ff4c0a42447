"""Gather from git what the gate decides on: plan, provenance, votes, runs so far."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import SequenceMatcher
from functools import lru_cache

from runner.core.approval import Vote
from runner.core.documents import Document
from runner.core.errors import InvalidDocument, NotFound, Reason
from runner.core.gate import Provenance, Question, SoFar
from runner.core.plan import PlanFile
from runner.core.policy import PLANS_FOLDER
from runner.core.run import RunFile, plan_branch, plan_folder
from runner.git import history, refs
from runner.git.home import SEEN
from runner.git.objects import FOLDER, ObjectStore
from runner.project import Authority, Project
from runner.verbs import plan_bytes, provenance, votes
from runner.verbs.preview import Reached
from runner.verbs.provenance import Place
from runner.verbs.votes import NO_VOTES, Places

_PLAN_ID = re.compile(r"[a-z0-9-]+")
MOST_PLANS = 10


@dataclass(frozen=True, kw_only=True)
class Amended:
    """The open run whose drafts are in a plan: by which models, by step, and how far it is.

    `asked` are the instructions that people wrote.
    """

    run: int
    models: Mapping[str, str]
    asked: Mapping[str, str]
    reached: Reached

    @property
    def story(self) -> str:
        """Who drafted what, for a reader."""
        each = ", ".join(f"{step} was drafted by {model}" for step, model in self.models.items())
        return f"as amended by run {self.run}: {each}"


@dataclass(frozen=True, kw_only=True)
class PlanAt:
    """A plan as one commit has it; `on_branch` is False for a plan on the trusted ref.

    With `amended` it has what a run drafted, and the commit is the plan's without that.
    """

    commit: str
    file: PlanFile
    document: Document
    on_branch: bool
    amended: Amended | None = None

    @property
    def id(self) -> str:
        return self.file.plan.id


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that the gate needs apart from the step and the run: made anew before every step."""

    authority: Authority
    plan: PlanAt
    votes: tuple[Vote, ...]
    vote_paths: Places
    provenance: Provenance


def question(
    found: Evidence, *, step: int, so_far: SoFar, now: datetime, plan: PlanFile | None = None
) -> Question:
    """What to ask the gate about a step, of the plan as found unless another is given."""
    return Question(
        plan=plan or found.plan.file,
        step=step,
        policy=found.authority.policy_file,
        votes=found.votes,
        provenance=found.provenance,
        so_far=so_far,
        now=now,
    )


def plan_path(plan: str) -> str:
    return f"{plan_folder(plan)}/plan.yaml"


def find_plan(project: Project, plan: str) -> PlanAt:
    """Read a plan from its branch in the home, else from the trusted ref; raises NotFound."""
    tip = project.home.plan_tip(plan)
    commit = tip or project.home.trusted()
    found = plan_at(project.store, commit, plan, on_branch=tip is not None)
    if found is None:
        where = f"branch {plan_branch(plan)}" if tip else f"{project.home.trusted_ref}"
        message = f"looking for plan {plan!r}: {where} has no {plan_path(plan)}"
        raise NotFound(message, hint=_plan_hint(project, plan))
    return found


def _plan_hint(project: Project, plan: str) -> str:
    local = refs.read(project.git_dir, plan_branch(plan))
    if project.home.url and local:
        return f"git push {project.home.url} {plan_branch(plan)}"
    root = project.repository.work_tree
    if root is not None and (root / plan_path(plan)).is_file():
        return f"planlock propose {plan}"
    known = sorted(_other_plans(project, plan), key=lambda name: (-_likeness(plan, name), name))
    if not known:
        return "planlock new GOAL"
    more = f", … {len(known) - MOST_PLANS} more" if len(known) > MOST_PLANS else ""
    return f"plans here: {', '.join(known[:MOST_PLANS])}{more}"


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(a=one, b=other).ratio()


def _other_plans(project: Project, plan: str) -> set[str]:
    """Ids of the other plans that this repository has or has heard of, without asking the home."""
    home, here = project.home, plan_branch("")
    places = (
        here,
        home.local_name(here),
        f"refs/remotes/origin/{here.removeprefix('refs/heads/')}",
    )
    names = {
        ref.removeprefix(place)
        for place in places[: 3 if home.url else 1]
        for ref in refs.under(project.git_dir, place)
    }
    trusted = refs.read(project.git_dir, home.local_name(home.trusted_ref))
    folder = trusted and project.store.entry(project.store.commit(trusted).tree, PLANS_FOLDER)
    if folder and folder.mode == FOLDER:
        entries = project.store.tree(folder.oid)
        names |= {name for name, entry in entries.items() if entry.mode == FOLDER}
    return {name for name in names if name != plan and _PLAN_ID.fullmatch(name)}


@lru_cache(maxsize=32)
def plan_at(store: ObjectStore, commit: str, plan: str, *, on_branch: bool) -> PlanAt | None:
    """Read a plan file at a commit, once; raises InvalidDocument where it is not valid."""
    data = store.file(store.commit(commit).tree, plan_path(plan))
    if data is None:
        return None
    document, file = plan_bytes.read(data, file=f"{commit[:12]}:{plan_path(plan)}")
    return PlanAt(commit=commit, file=file, document=document, on_branch=on_branch)


def _branches(project: Project) -> list[str]:
    """Ids of the plans that have a branch in this repository."""
    prefix = plan_branch("")
    return sorted(ref.removeprefix(prefix) for ref in refs.under(project.git_dir, prefix))


def every_plan(project: Project) -> Iterator[PlanAt]:
    """Every readable plan: those on branches, and those on the trusted ref."""
    names = set(_branches(project))
    folder = project.store.entry(project.store.commit(project.home.trusted()).tree, "plans")
    if folder is not None and folder.mode == FOLDER:
        entries = project.store.tree(folder.oid)
        names |= {name for name, entry in entries.items() if entry.mode == FOLDER}
    for name in sorted(names):
        try:
            yield find_plan(project, name)
        except (NotFound, InvalidDocument):
            continue  # not a plan; `validate` and the audit tell


def gather(
    project: Project, plan: PlanAt, *, now: datetime, extra_tips: Iterable[str] = ()
) -> Evidence:
    """Read authority, approvals and the plan's origin as they are now."""
    authority = project.authority()
    provenance = provenance_of(project, plan, authority, now)
    found = NO_VOTES
    base = plan.file.plan.base
    if base is not None and project.history.has(base):
        tips = [plan.commit, authority.commit, *extra_tips, *_run_tips(project, plan.id)]
        found = votes.read(project, plan.id, base=base, tips=tips, authority=authority, at=now)
    return Evidence(
        authority=authority,
        plan=plan,
        votes=found.votes,
        vote_paths=found.places,
        provenance=provenance,
    )


def _run_tips(project: Project, plan: str) -> list[str]:
    """The plan's runs, and its branch as last seen: a decision stays when the branch is deleted."""
    prefixes = (f"refs/heads/planlock/{plan}/", f"{SEEN}/plan/{plan}")
    return list(refs.under(project.git_dir, *prefixes).values())


def provenance_of(
    project: Project, plan: PlanAt, authority: Authority, now: datetime
) -> Provenance:
    """Tell who made the plan, and what is wrong with where it stands."""
    base = plan.file.plan.base
    if base is None:
        return Provenance()
    if not project.history.has(base) or not history.is_ancestor(
        project.git_dir, base, authority.commit
    ):
        message = f"base {base[:12]} is not on the trusted history {authority}"
        fix = f"planlock propose --refresh {plan.id}"
        reason = Reason(code="base_untrusted", message=message, fix=fix)
        return Provenance(problems=(reason,))
    place = Place(plan=plan.id, base=base, commit=plan.commit, on_branch=plan.on_branch)
    made = project.history.changed([plan.commit], base=base, path=place.path)
    when = provenance.moment(authority, now)
    return provenance.of(project.store, place, made, authority=authority, when=when)


def so_far(run: RunFile | None, others: Iterable[RunFile], number: int) -> SoFar:
    """Sum up this run and the use of approvals by all runs of the plan."""
    every = [*others, *([run] if run else [])]
    uses: dict[str, set[int]] = {}
    spent: dict[str, Decimal] = {}
    for each in every:
        for digest in each.approvals:
            uses.setdefault(digest, set()).add(each.header.run)
            spent[digest] = spent.get(digest, Decimal(0)) + each.cost.usd
    return SoFar(
        run=number,
        skipped=run.skipped() if run else (),
        spent=run.cost.usd if run else Decimal(0),
        tokens=run.cost.input_tokens + run.cost.output_tokens if run else 0,
        uses={digest: frozenset(numbers) for digest, numbers in uses.items()},
        spent_under=spent,
        drafted=frozenset(
            each.draft.after
            for each in (run.drafts if run else ())
            if each.draft and each.draft.after
        ),
    )
