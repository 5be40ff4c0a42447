"""A model whose answers are written down: it plans and drafts what a test wants."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SPENT = {"tokens": {"input": 100, "output": 20}, "cost_usd": "0.001"}


def intent(kind: str, target: str, task: str = "as the goal says") -> dict[str, str]:
    return {"kind": kind, "target": target, "task": task}


def written(
    folder: Path, steps: Sequence[Mapping[str, str]], drafts: Mapping[str, str]
) -> dict[str, str]:
    """Write a script that plans these steps and drafts these files; gives the environment.

    A draft goes first: the material that it shows may itself ask for a plan.
    """
    plan = {"steps": list(steps), "assumptions": [], "questions": []}
    answers: list[dict[str, Any]] = [
        {"match": f"Your task in {path}:", "answer": f"```\n{text}```\n", **SPENT}
        for path, text in drafts.items()
    ]
    answers.append(
        {"match": "Answer with the plan as JSON", "answer": json.dumps(plan), **SPENT},
    )
    path = folder / "answers.yaml"
    path.write_text(json.dumps({"version": 1, "answers": answers}), encoding="utf-8")
    return {"PLANLOCK_MODEL_SCRIPT": str(path)}
