"""Every plan that there is to review, brought here from the home first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runner.core.errors import InvalidDocument, NotFound, Refused
from runner.core.policy import PLANS_FOLDER
from runner.git import refs
from runner.git.home import Home, list_remote
from runner.git.objects import FOLDER
from runner.project import Project
from runner.verbs import amended
from runner.verbs.evidence import PlanAt

PLANS = "refs/heads/plan/"
RUNS = "refs/heads/planlock/"
REF = re.compile(rf"^(?:{PLANS}(?P<plan>[a-z0-9-]+)|{RUNS}(?P<run_of>[a-z0-9-]+)/[0-9]+)$")


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A branch of a plan or of one of its runs, as the home has it."""

    plan: str
    ref: str
    oid: str


def find(project: Project) -> dict[str, PlanAt | Refused]:
    """Every readable plan by its id, or why it is not to be believed."""
    project.home.fetch()
    found: dict[str, PlanAt | Refused] = {}
    for name in sorted(_on_branches(project) | _on_trusted(project)):
        try:
            found[name] = amended.find_plan(project, name)
        except Refused as error:
            found[name] = error
        except (NotFound, InvalidDocument):
            continue  # not a plan; `validate` and the audit tell
    return found


def _on_trusted(project: Project) -> set[str]:
    folder = project.store.entry(project.store.commit(project.home.trusted()).tree, PLANS_FOLDER)
    if folder is None or folder.mode != FOLDER:
        return set()
    entries = project.store.tree(folder.oid)
    return {name for name, entry in entries.items() if entry.mode == FOLDER}


def _on_branches(project: Project) -> set[str]:
    """Ids of the plans that have a branch in the home, with what is new there fetched."""
    home = project.home
    if home.url is None:
        return {ref.removeprefix(PLANS) for ref in refs.under(project.git_dir, PLANS)}
    there = list(_in_home(home.url))
    here = refs.under(project.git_dir, RUNS, home.local_name(PLANS))
    for plan in sorted({each.plan for each in there if here.get(_name(home, each)) != each.oid}):
        home.fetch(plan)
    return {each.plan for each in there if each.ref.startswith(PLANS)}


def _name(home: Home, branch: Branch) -> str:
    """Where the branch lies here once it is fetched."""
    return home.local_name(branch.ref) if branch.ref.startswith(PLANS) else branch.ref


def _in_home(url: str) -> Iterator[Branch]:
    """Ask once for the branches of all plans."""
    for line in list_remote(url, "--refs", patterns=[f"{PLANS}*", f"{RUNS}*"]):
        oid, _, ref = line.partition("\t")
        if match := REF.match(ref):
            yield Branch(plan=match["plan"] or match["run_of"], ref=ref, oid=oid)


def one(project: Project, plan_id: str) -> PlanAt:
    """Read one plan as it is now; raises NotFound, Refused or InvalidDocument."""
    project.home.fetch(plan_id)
    return amended.find_plan(project, plan_id)
