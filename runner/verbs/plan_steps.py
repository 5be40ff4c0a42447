"""The planner's second phase: turn intents into concrete steps, every edit drafted and tried."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.core import intent
from runner.core.errors import Refused
from runner.core.intent import Intent
from runner.core.model_call import Answer, CallContext
from runner.core.plan import EditFileInput, Step, typed_input
from runner.models.contract import Models
from runner.steps import edit_file
from runner.verbs.drafting import DraftWish, draft
from runner.verbs.plan_files import ProjectFiles, Sent, secret_in
from runner.verbs.planning import Progress, Wish

# What a draft sees of other files, in characters.
MATERIAL = 12_000
TEST = "test"
LONGEST_LINE = 120
OF_FILES = {"edit": "edit_file", "delete": "edit_file", "read": "read_file"}
STEP_TYPES = {
    **OF_FILES,
    "command": "run_command",
    "analyze": "analyze",
    "summarize": "summarize",
}


@dataclass
class Workshop:
    """The plan as it grows: steps so far, files as they would be, answers, complaints."""

    models: Models
    files: ProjectFiles
    sent: Sent
    wish: Wish
    tell: Progress
    changed: dict[str, str | None] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)

    def build(self, intents: Sequence[Intent], old: Sequence[Step] = ()) -> list[dict[str, Any]]:
        """Make a step of each intent, and one that checks them all; raises ModelError."""
        known = {step.id: step for step in old}
        for number, each in enumerate(intents, start=1):
            if each.kind == intent.KEEP:
                self._keep(known[each.target])
                continue
            self.tell("phase", f"step {number} of {len(intents)}: {each.kind} {each.target}")
            self._add(each, self._make(each, old), old)
        self._check()
        return self.steps

    def read(self, path: str) -> str | None:
        """A file as the plan leaves it so far."""
        return self.changed[path] if path in self.changed else self.files.text(path)

    def _keep(self, step: Step) -> None:
        self.steps.append(step.model_dump(exclude_unset=True))
        given = typed_input(step)
        if isinstance(given, EditFileInput) and given.instruction is None:
            self.changed[given.path] = _applied(given, self.read(given.path))

    def _add(self, each: Intent, given: Mapping[str, Any], old: Sequence[Step]) -> None:
        taken = {step["id"] for step in self.steps}
        same = next((step for step in old if _does(step, each) and step.id not in taken), None)
        undo = same.model_dump(exclude_unset=True, include={"undo"}) if same else {}
        self.steps.append(
            {
                "id": same.id if same else intent.step_name(each.kind, each.target, taken),
                "step_type": STEP_TYPES[each.kind],
                "description": _line(each.task),
                "input": dict(given),
                **undo,
            }
        )

    def _make(self, each: Intent, old: Sequence[Step]) -> dict[str, Any]:
        if each.kind == "edit":
            return self._edit(each, old)
        if each.kind == "delete":
            self.changed[each.target] = None
            return {"path": each.target, "delete": True}
        if each.kind == "read":
            return {"path": each.target}
        if each.kind == "command":
            return {"command": each.target, **_writes(each, self.files.tracked)}
        return {"instruction": each.target if each.target == each.task else _question(each)}

    def _edit(self, each: Intent, old: Sequence[Step]) -> dict[str, Any]:
        before = self._before(each.target, old)
        why = self.files.why_not(each.target) or secret_in(before or "")
        if why:
            raise Refused(
                f"drafting {each.target}: it may not be sent to a model: {why}",
                hint="write this edit by hand: planlock new GOAL",
            )
        wish = DraftWish(
            goal=self.wish.whole,
            path=each.target,
            instruction=each.task,
            before=before,
            material=self._material(each.target),
            model=self.wish.model,
            tier=self.wish.tier,
            timeout_s=self.wish.timeout_s,
            cache=self.wish.cache,
            context=CallContext(project=self.wish.project),
        )
        made = draft(self.models, wish)
        self.answers += made.answers
        self.complaints += made.complaints
        self.changed[each.target] = made.after
        return self._against_base(made.input, made.after, before)

    def _before(self, path: str, old: Sequence[Step]) -> str | None:
        """What a draft begins from: the plan's own text of the file, where it has one."""
        if path in self.changed:
            return self.changed[path]
        text = self.files.text(path)
        for step in old:
            given = typed_input(step)
            if isinstance(given, EditFileInput) and given.path == path and not given.instruction:
                return _applied(given, text)
        return text

    def _against_base(
        self, given: dict[str, Any], after: str, before: str | None
    ) -> dict[str, Any]:
        """Blocks fit the text that they were written for; in the plan they must fit the base's."""
        path = given["path"]
        stands = self.files.text(path)
        if "edits" not in given or before == stands:
            return given
        return {"path": path, "new_content": after}

    def _material(self, path: str) -> list[tuple[str, str]]:
        """Files of the steps so far, newest first, then those that fit the goal best; bounded."""
        names = [step["input"].get("path") for step in reversed(self.steps)]
        names += [name for name, _ in self.sent.files]
        left, found = MATERIAL, []
        for name in dict.fromkeys(each for each in names if each and each != path):
            text = self.read(name)
            if not text or len(text) > left or secret_in(text):
                continue
            if not self.files.why_not(name):
                found.append((name, text))
                left -= len(text)
        return found

    def _check(self) -> None:
        """End with the project's tests, unless some step runs them already."""
        drafted = {path: text for path, text in self.changed.items() if text is not None}
        command = self.files.check_command(drafted)
        if command is None or not self.changed:
            return
        said = [step["input"].get("command") for step in self.steps]
        if command not in said:
            taken = {step["id"] for step in self.steps}
            self.steps.append(
                {
                    "id": TEST if TEST not in taken else intent.step_name(TEST, "", taken),
                    "step_type": "run_command",
                    "description": "Run the tests",
                    "input": {"command": command},
                }
            )


def _applied(given: EditFileInput, text: str | None) -> str | None:
    """A file's text as an edit leaves it; None where there is none."""
    after = edit_file.apply(given, None if text is None else text.encode())
    return None if after is None else after.decode()


def _does(step: Step, each: Intent) -> bool:
    """Whether a step of the old plan is about the same thing as an intent."""
    if each.kind in OF_FILES:
        same = step.step_type == OF_FILES[each.kind]
        return same and step.input.get("path") == each.target
    return step.input.get("command") == each.target


def _question(each: Intent) -> str:
    return f"{each.target}\n{each.task}"


def _line(text: str) -> str:
    """The first sentence, on one line."""
    line = re.split(r"(?<=[.!?])\s", " ".join(text.split()))[0].rstrip(".")
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"


def _writes(each: Intent, tracked: Sequence[str]) -> dict[str, Any]:
    """The files that a command is said to change: only names that are paths of the project."""
    known = set(tracked)
    named = [word.strip("`'\",;") for word in each.task.split()]
    found = sorted({word for word in named if word in known})
    return {"writes": found} if found else {}
