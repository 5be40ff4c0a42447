"""Play a plan's edits on the base tree, in memory: what each step would see and change."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from runner.core import globs
from runner.core.plan import EditFileInput, Plan, RunCommandInput, Step, typed_input
from runner.core.plan_checks import BUILT_IN
from runner.core.text import visible
from runner.git.objects import ObjectStore
from runner.steps import registry
from runner.steps.contract import Preview


@dataclass(frozen=True, kw_only=True)
class StepPreview:
    """`certain` is False where an earlier command, or a model's draft, may have changed the file."""

    step: Step
    preview: Preview
    certain: bool


class Simulation:
    """The files as they would be after the steps so far."""

    def __init__(self, store: ObjectStore, tree: str | None) -> None:
        self._store = store
        self._tree = tree
        self._changed: dict[str, bytes | None] = {}
        self._writes: list[str] = []
        self._drafted: set[str] = set()

    def go_on_from(self, tree: str) -> None:
        """Take the files as a run has left them."""
        self._tree = tree
        self._changed, self._writes, self._drafted = {}, [], set()

    def read(self, path: str) -> bytes | None:
        if path in self._changed:
            return self._changed[path]
        return self._store.file(self._tree, path) if self._tree else None

    def certain(self, path: str | None) -> bool:
        if path is None:
            return True
        return path not in self._drafted and not any(
            globs.matches(glob, path) for glob in self._writes
        )

    def may_match(self, glob: str) -> bool:
        """Whether some file is, or an earlier command may have made one, that a pattern matches."""
        if any(globs.overlaps(glob, each) for each in self._writes):
            return True
        there = {path for path, _ in self._store.walk(self._tree)} if self._tree else set()
        for path, content in self._changed.items():
            (there.discard if content is None else there.add)(path)
        there |= self._drafted
        return any(globs.matches(glob, path) for path in there)

    def play(self, step: Step) -> StepPreview:
        """Preview one step and take over what it would change."""
        given = typed_input(step)
        if given is None or step.step_type not in BUILT_IN:
            line = f"custom step type {step.step_type}"
            return StepPreview(step=step, preview=Preview(line=line), certain=True)
        preview = registry.find(step.step_type, ()).preview(given, self.read)
        certain = self.certain(preview.path or getattr(given, "path", None))
        if preview.path and not preview.trouble:
            self._changed[preview.path] = preview.after
        if isinstance(given, RunCommandInput):
            self._writes += given.writes
        if isinstance(given, EditFileInput) and given.instruction is not None:
            self._drafted.add(given.path)
        return StepPreview(step=step, preview=preview, certain=certain)


@dataclass(frozen=True, kw_only=True)
class Reached:
    """How far a run is: so many steps are done, and these are its files."""

    done: int
    tree: str


def simulate(
    store: ObjectStore, tree: str | None, plan: Plan, reached: Reached | None = None
) -> list[StepPreview]:
    """Preview every step; those that a run has before it, on the files of the run."""
    simulation = Simulation(store, tree)
    played = []
    for number, step in enumerate(plan.steps):
        if reached is not None and number == reached.done:
            simulation.go_on_from(reached.tree)
        played.append(simulation.play(step))
    return played


def unified_diff(path: str, before: bytes | None, after: bytes | None) -> list[str]:
    """Lines of a unified diff with hidden characters made visible; a note for binary content."""
    try:
        old = visible((before or b"").decode())
        new = visible((after or b"").decode())
    except UnicodeDecodeError:
        sizes = f"{len(before or b'')} -> {len(after or b'')} bytes"
        return [f"binary file {path} changes: {sizes}"]
    source = f"a/{path}" if before is not None else "/dev/null"
    target = f"b/{path}" if after is not None else "/dev/null"
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), fromfile=source, tofile=target, lineterm=""
    )
    result = list(lines)
    if after is not None and after and not after.endswith(b"\n"):
        result.append("\\ No newline at end of file")
    return result
