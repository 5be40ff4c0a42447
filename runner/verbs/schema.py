"""`schema`: the public schemas, and the plan's with the step types that the policy's plugins add."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from runner import schemas
from runner.project import Project
from runner.steps import registry
from runner.steps.contract import StepType


def composed_plan_schema(project: Project) -> Mapping[str, Any]:
    """The plan's schema with an `if/then` for each step type of a plugin that the policy lists."""
    return compose(schemas.load("plan"), registry.custom(project.authority().policy.plugins))


def compose(plan: Mapping[str, Any], types: Mapping[str, StepType]) -> dict[str, Any]:
    """Add the input schemas of further step types."""
    schema = copy.deepcopy(dict(plan))
    step = schema["$defs"]["step"]
    for name, step_type in types.items():
        made = step_type.model.model_json_schema(ref_template=f"#/$defs/{name}_{{model}}")
        for inner, definition in made.pop("$defs", {}).items():
            schema["$defs"][f"{name}_{inner}"] = definition
        schema["$defs"][f"{name}_input"] = made
        step.setdefault("allOf", []).append(
            {
                "if": {"properties": {"step_type": {"const": name}}, "required": ["step_type"]},
                "then": {"properties": {"input": {"$ref": f"#/$defs/{name}_input"}}},
            }
        )
    return schema
