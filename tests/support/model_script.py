"""Scripts of the scripted model: what it answers to which words of a question."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runner.core.documents import dump

PLANNING = "Answer with the plan as JSON."


def drafting(path: str) -> str:
    """The words by which the question for a draft of a file is known."""
    return f"Your task in {path}:"


def intents(
    *steps: tuple[str, str, str],
    assumptions: tuple[str, ...] = (),
    questions: tuple[str, ...] = (),
) -> str:
    """The planner's first answer: (kind, target, task) of each step."""
    value: dict[str, Any] = {
        "steps": [{"kind": kind, "target": target, "task": task} for kind, target, task in steps],
        "assumptions": list(assumptions),
        "questions": list(questions),
    }
    return json.dumps(value)


def code(text: str) -> str:
    """A draft as models write it."""
    return f"Here it is:\n\n```python\n{text}```\n"


def write_script(path: Path, *answers: tuple[str, str], cost: str = "0.001") -> dict[str, str]:
    """Write a script and give the environment that makes it the only model."""
    value = {
        "version": 1,
        "answers": [
            {
                "match": match,
                "answer": answer,
                "tokens": {"input": 100, "output": 20},
                "cost_usd": cost,
            }
            for match, answer in answers
        ],
    }
    path.write_bytes(dump(value))
    return {"PLANLOCK_MODEL_SCRIPT": str(path)}
