"""`new`: write a commented draft of a plan into the work tree."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path

from runner.core import documents
from runner.core.errors import RepositoryUnsuitable, UsageError
from runner.core.values import PLAN_ID
from runner.git.checkouts import write_file
from runner.project import Project

RESERVED = frozenset({"examples"})
DRAFT = """\
# A draft. Edit the steps, then: planlock propose {id}
# Reading and thinking are free; edits and commands need a person's approval.
# `propose` fills in `base`, `author` and the `replaces` pins.
version: 1
id: {id}
goal: {goal}
steps:
  - id: read
    step_type: read_file
    description: See what is there today
    input: {{path: README.md}}
  # - id: change
  #   step_type: edit_file            # one of: new_content, edits, delete
  #   description: Say what changes and why
  #   input:
  #     path: src/example.py
  #     edits:
  #       - search: |
  #           the exact text to replace, which must occur once
  #         replace: |
  #           the new text
  # - id: test
  #   step_type: run_command          # confined; changes only what `writes` lists
  #   description: Run the tests
  #   input: {{command: python -m pytest -q, timeout_s: 600}}
"""


def slug(goal: str) -> str:
    """Make a plan id of a goal: of its Latin words, else of its digest.

    Raises UsageError where nothing is in it.
    """
    plain = unicodedata.normalize("NFKD", goal).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    name = "-".join(words[:8])[:64].strip("-")
    if not any(char.isalnum() for char in goal):
        raise UsageError(f"making a plan id of {goal!r}: no letters in it", hint="give --id NAME")
    return name or f"plan-{hashlib.sha256(goal.encode()).hexdigest()[:8]}"


def check_id(name: str) -> str:
    if not re.fullmatch(PLAN_ID, name) or name in RESERVED:
        message = f"plan id {name!r}: lower-case letters, digits and dashes, at most 64"
        raise UsageError(message if name not in RESERVED else f"plan id {name!r} is reserved")
    return name


def draft(project: Project, goal: str, *, plan_id: str | None) -> Path:
    """Write plans/<id>/plan.yaml; an existing file is never overwritten."""
    work_tree = project.repository.work_tree
    if work_tree is None:
        raise RepositoryUnsuitable("writing a draft: this repository has no work tree")
    name = check_id(plan_id or slug(goal))
    path = work_tree / "plans" / name / "plan.yaml"
    if path.exists():
        raise UsageError(f"writing {path}: it exists already", hint="edit it, or give --id NAME")
    line = documents.dump({"goal": goal}).decode().removeprefix("goal: ").rstrip("\n")
    write_file(path, DRAFT.format(id=name, goal=line).encode())
    return path
