"""`propose`: fill in base, author and pins, and commit the plan to its own branch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import schemas
from runner.core import refusals, validation
from runner.core.documents import Document
from runner.core.errors import FileAccessError, InvalidDocument, KeyNotFound, NotFound, Problem
from runner.core.plan import EditFileInput, Plan, PlanFile, RunCommandInput, typed_input
from runner.core.policy import Policy
from runner.core.run import plan_folder
from runner.git.checkouts import write_file
from runner.git.objects import FOLDER, Entry
from runner.project import Authority, Project
from runner.steps.edit_file import pin
from runner.verbs import evidence
from runner.verbs import plan_branch as branches
from runner.verbs.preview import Simulation

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """Where the plan now is; `commit` is the tip, `new` tells whether a commit was made.

    `notes` tell what of it cannot run whoever approves it.
    """

    plan: str
    branch: str
    commit: str
    new: bool
    digest: str
    base: str
    author: str
    pinned: int
    push_command: str
    notes: tuple[str, ...] = ()


def propose(project: Project, name: str, *, refresh: bool) -> Proposed:
    """Commit a plan file to `plan/<id>`; raises InvalidDocument where it is not valid."""
    path = find_file(project, name)
    data = read_file(path)
    document, plan_file = _read(data, str(path))
    project.home.fetch(plan_file.plan.id)
    authority = project.authority()
    text, pinned = fill(project, document, plan_file, authority=authority, refresh=refresh)
    _, filled = _read(text.encode(), str(path))
    plan_id = filled.plan.id
    commit, new = commit_plan(project, filled, text.encode(), path)
    if text.encode() != data:
        write_file(path, text.encode())
    return Proposed(
        plan=plan_id,
        branch=f"plan/{plan_id}",
        commit=commit,
        new=new,
        digest=filled.digest,
        base=str(filled.plan.base),
        author=str(filled.plan.author),
        pinned=pinned,
        push_command=branches.push_command(project, plan_id),
        notes=tuple(_barred(filled.plan, authority.policy)),
    )


def _barred(plan: Plan, policy: Policy) -> Iterator[str]:
    for step in plan.steps:
        for reason in refusals.of_step(policy, step):
            yield f"{step.id} cannot run: {reason.message}; {reason.fix}"


def find_file(project: Project, name: str) -> Path:
    """A path as given, or the work tree's plan of that id; raises NotFound."""
    root = project.repository.work_tree
    candidates = [project.world.folder / name]
    if root is not None:
        candidates.append(root / "plans" / name / "plan.yaml")
    for path in candidates:
        try:
            file = path / "plan.yaml" if path.is_dir() else path
            if file.is_file():
                return file
        except OSError as error:
            raise FileAccessError(f"looking for {path}: {error.strerror}") from error
    message = f"looking for plan {name!r}: no such file, and no plans/{name}/plan.yaml"
    raise NotFound(message, hint="planlock new GOAL")


def read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileAccessError(f"reading {path}: {error.strerror}") from error


def _read(data: bytes, file: str) -> tuple[Document, PlanFile]:
    return validation.read_plan(data, file=file, schema=schemas.load("plan"))


def fill(
    project: Project,
    document: Document,
    plan_file: PlanFile,
    *,
    authority: Authority,
    refresh: bool,
) -> tuple[str, int]:
    """Give the file's text with base, author and pins filled in, and the number of new pins.

    Comments and layout stay. Raises InvalidDocument where an edit does not fit the base.
    """
    plan = plan_file.plan
    base = authority.commit if refresh or plan.base is None else plan.base
    values: dict[Path_, str] = {}
    if base != plan.base:
        values["base",] = base
    if plan.author is None:
        values["author",] = _author(project, authority)
    pins = _pins(project, document, plan_file, base=base, refresh=refresh)
    values.update(pins)
    return insert(document, values), len(pins)


def _author(project: Project, authority: Authority) -> str:
    """The principal of the caller's key; else what git calls them."""
    try:
        listed = authority.signers.listed(project.person.credential)
    except KeyNotFound:
        listed = None
    return listed or project.identity().email


def _pins(
    project: Project, document: Document, plan_file: PlanFile, *, base: str, refresh: bool
) -> dict[Path_, str]:
    found = project.store.look_up(base)
    if found is None or found[1] != "commit":
        place = document.place(("base",))
        raise InvalidDocument(
            [
                Problem(
                    file=document.file,
                    line=place.line,
                    column=place.column,
                    path="base",
                    code="base_unknown",
                    message=f"base {base[:12]} is not a commit of this repository",
                    fix="planlock propose --refresh",
                )
            ]
        )
    simulation = Simulation(project.store, project.store.commit(base).tree)
    pins: dict[Path_, str] = {}
    problems: list[Problem] = []
    for number, step in enumerate(plan_file.plan.steps):
        given = typed_input(step)
        at: Path_ = ("steps", number, "input", "replaces")
        if isinstance(given, EditFileInput) and simulation.certain(given.path):
            wanted, missing = pin(simulation.read(given.path)), given.replaces is None
            # A draft is written against what the run finds, and gets its pin then.
            if (missing and given.instruction is None) or (
                not missing and refresh and given.replaces != wanted
            ):
                pins[at] = wanted
                step = step.model_copy(update={"input": {**step.input, "replaces": wanted}})  # noqa: PLW2901  # previewed with its new pin
        if isinstance(given, RunCommandInput):
            problems += _unread(document, number, given, simulation)
        played = simulation.play(step)
        if isinstance(given, EditFileInput) and played.preview.trouble and played.certain:
            problems.append(_misfit(document, number, played.preview.trouble))
    if problems:
        raise InvalidDocument(problems)
    return pins


def _misfit(document: Document, number: int, trouble: str) -> Problem:
    place = document.place(("steps", number, "input"))
    return Problem(
        file=document.file,
        line=place.line,
        column=place.column,
        path=f"steps[{number}].input",
        code="edit_misfit",
        message=trouble,
        fix="correct the edit, or take new pins: planlock propose --refresh",
    )


def _unread(
    document: Document, number: int, given: RunCommandInput, simulation: Simulation
) -> Iterator[Problem]:
    """Inputs of a command that no file matches: the step would fail as stale."""
    for position, glob in enumerate(given.reads):
        if not simulation.may_match(glob):
            place = document.place(("steps", number, "input", "reads", position))
            yield Problem(
                file=document.file,
                line=place.line,
                column=place.column,
                path=f"steps[{number}].input.reads[{position}]",
                code="reads_nothing",
                message=f"no file matches {glob!r}, neither at base nor from the steps before",
                fix="correct the pattern, or leave it out",
            )


def insert(document: Document, values: Mapping[Path_, str]) -> str:
    """Set scalar values in a file's text, keeping everything else as it is written.

    A new header key goes before `steps`, a new pin behind the step's `path`.
    """
    edits: list[tuple[int, int, str]] = []
    missing_header = [path for path in values if len(path) == 1 and not has(document.value, path)]
    for path, value in values.items():
        if has(document.value, path):
            start, end = document.span(path)
            edits.append((start, end, value))
        elif len(path) > 1:
            edits.append(_beside(document, (*path[:-1], "path"), f"{path[-1]}: {value}"))
    if missing_header:
        lines = "".join(f"{path[0]}: {values[path]}\n" for path in missing_header)
        start = _line_start(document.text, _key_offset(document, ("steps",)))
        edits.append((start, start, lines))
    text = document.text
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def has(value: Any, path: Path_) -> bool:
    for part in path:
        if isinstance(value, dict) and part not in value:
            return False
        value = value[part]
    return True


def _beside(document: Document, path: Path_, line: str) -> tuple[int, int, str]:
    _, end = document.span(path)
    if document.is_flow(path[:-1]):
        return end, end, f", {line}"
    end = line_end(document.text, end)  # a comment behind the value stays with it
    column = document.key_place(path).column - 1
    return end, end, f"\n{' ' * column}{line}"


def line_end(text: str, position: int) -> int:
    """The end of the line on which a value ends (block values end at the next line's start)."""
    if position > 0 and text[position - 1] == "\n":
        return position - 1
    found = text.find("\n", position)
    return len(text) if found < 0 else found


def _key_offset(document: Document, path: Path_) -> int:
    place = document.key_place(path)
    lines = document.text.split("\n")
    return sum(len(each) + 1 for each in lines[: place.line - 1]) + place.column - 1


def _line_start(text: str, offset: int) -> int:
    return text.rfind("\n", 0, offset) + 1


def commit_plan(
    project: Project, filled: PlanFile, data: bytes, path: Path | None
) -> tuple[str, bool]:
    """Commit a filled plan to its branch: the tip, and whether it is new; `path` is its file here."""
    plan, store = filled.plan, project.store
    file = evidence.plan_path(plan.id)
    tip = branches.local_tip(project, plan.id)
    base = str(plan.base)
    onto, tree = [tip or base], store.commit(tip or base).tree
    if tip is not None:
        if store.file(tree, file) == data:
            return tip, False
        onto, tree = _onto_base(project, plan.id, tip, base)
    commit = branches.commit_files(
        project,
        plan.id,
        {file: data},
        onto=onto,
        tree=tree,
        subject=f"planlock: propose {plan.id}",
        pairs=[("Plan", plan.id), ("Plan-Digest", filled.digest)],
        may_differ=[file] if _is_work_tree_file(project, path, file) else [],
    )
    return commit, True


def _onto_base(project: Project, plan: str, tip: str, base: str) -> tuple[list[str], str]:
    """Stay on the branch; where the base moved, merge it so that only the plan's folder differs."""
    store = project.store
    old = evidence.plan_at(store, tip, plan, on_branch=True)
    tree = store.commit(tip).tree
    if old is not None and old.file.plan.base == base:
        return [tip], tree
    folder = store.entry(tree, plan_folder(plan))
    kept = {plan_folder(plan): folder or Entry(mode=FOLDER, oid=store.write_tree({}))}
    return [tip, base], store.edit_tree(store.commit(base).tree, kept)


def _is_work_tree_file(project: Project, path: Path | None, file: str) -> bool:
    root = project.repository.work_tree
    return root is not None and path is not None and path.resolve() == (root / file).resolve()
