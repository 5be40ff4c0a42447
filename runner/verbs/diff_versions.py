"""Which version of a plan, or of the policy, a decision was about: found by digest alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TypeVar

from runner import schemas
from runner.core import validation
from runner.core.approval import Vote
from runner.core.errors import GitError, InvalidDocument
from runner.core.plan import PlanFile
from runner.core.policy import POLICY_PATH, PolicyFile
from runner.core.run import plan_branch
from runner.git import history, refs
from runner.project import Project
from runner.verbs import evidence
from runner.verbs.evidence import Evidence, PlanAt

T = TypeVar("T")
Approved = Mapping[str, frozenset[str]]


def tips(project: Project, plan: PlanAt) -> list[str]:
    """Where versions of a plan and decisions about it may lie."""
    runs = refs.under(project.git_dir, f"refs/heads/planlock/{plan.id}/").values()
    here = refs.read(project.git_dir, plan_branch(plan.id))
    found = [plan.commit, project.home.trusted(), *runs, *([here] if here else [])]
    return list(dict.fromkeys(found))


def of_plan(project: Project, plan: PlanAt) -> Iterator[PlanFile]:
    """Every readable version of a plan since its base, newest first, each content once."""
    path, base = evidence.plan_path(plan.id), plan.file.plan.base
    if base is None or project.store.look_up(base) is None:
        return
    found = history.versions(project.git_dir, tips(project, plan), base=base, folder=path)
    yield from _readable(project, (each.oid for each in found), _read_plan)


def _read_plan(data: bytes) -> PlanFile:
    return validation.read_plan(data, file="plan.yaml", schema=schemas.load("plan"))[1]


def _read_policy(data: bytes) -> PolicyFile:
    return validation.read_policy(data, file=POLICY_PATH, schema=schemas.load("policy"))[1]


def _readable(project: Project, oids: Iterable[str], read: Callable[[bytes], T]) -> Iterator[T]:
    for oid in dict.fromkeys(oids):
        try:
            yield read(project.store.blob(oid))
        except (InvalidDocument, GitError):
            continue  # nobody can have approved what cannot be read


def fitting(project: Project, found: Evidence, vote: Vote) -> PlanFile | None:
    """The version that an approval was about: it has all steps that the record names.

    Later versions may have them too. So first the one is tried that the record was committed
    beside, then every other, the newest first.
    """
    named = set(vote.record.steps.items())
    versions = chain(_beside(project, found, vote), of_plan(project, found.plan))
    return next((each for each in versions if named <= _steps(each)), None)


def _beside(project: Project, found: Evidence, vote: Vote) -> Iterator[PlanFile]:
    """The plan in the commit that first added a record, if it is readable there."""
    path, oid = found.vote_paths[vote.digest][0]
    added = history.versions(
        project.git_dir, tips(project, found.plan), base=str(found.plan.file.plan.base), folder=path
    )
    for commit in [each.commit for each in added if each.oid == oid][-1:]:
        tree = project.store.commit(commit).tree
        entry = project.store.entry(tree, evidence.plan_path(found.plan.id))
        yield from _readable(project, [entry.oid] if entry else [], _read_plan)


def _steps(version: PlanFile) -> set[tuple[str, str]]:
    ids = (step.id for step in version.plan.steps)
    return set(zip(ids, version.digests, strict=True))


def policy_of(project: Project, found: Evidence, execution: str) -> PolicyFile | None:
    """The newest policy since the plan's base under which an approval was given, by its digest."""
    base = str(found.plan.file.plan.base)
    added = history.versions(
        project.git_dir, [found.authority.commit], base=base, folder=POLICY_PATH
    )
    first = project.store.entry(project.store.commit(base).tree, POLICY_PATH)
    oids = [*(each.oid for each in added), *([first.oid] if first else [])]
    policies = _readable(project, oids, _read_policy)
    return next((each for each in policies if each.execution == execution), None)
