from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any, Final

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from runner import schemas
from runner.core import documents, plan, plan_checks
from runner.core.errors import InvalidDocument
from runner.core.plan import PlanFile
from runner.core.validation import read_plan

EXAMPLES: Final = Path(__file__).parents[2] / "plans/examples"
EDIT: Final = {"search": "a", "replace": "b"}
DIGEST: Final = "sha256:" + "a" * 64


def value_of(*inputs: dict[str, Any], step_type: str = "custom") -> dict[str, Any]:
    steps = [
        {"id": f"s{number}", "step_type": step_type, "description": "Do it", "input": given}
        for number, given in enumerate(inputs)
    ]
    return {"version": 1, "id": "example", "goal": "Try it", "steps": steps}


def found(value: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidDocument) as caught:
        plan.build(value, file="plan.yaml")
    return [(each.code, each.path) for each in caught.value.problems]


def oracle(value: dict[str, Any]) -> tuple[str, ...]:
    """The digests as design section 4 defines them, with another library's canonical JSON."""
    header: dict[str, Any] = {
        key: value[key] for key in ("version", "id", "goal", "base", "author") if key in value
    }
    last = hashlib.sha256(b"planlock/plan/v1\n" + rfc8785.dumps(header)).hexdigest()
    digests = []
    for step in value["steps"]:
        data = f"planlock/step/v1\nsha256:{last}\n".encode() + rfc8785.dumps(step)
        last = hashlib.sha256(data).hexdigest()
        digests.append(f"sha256:{last}")
    return tuple(digests)


# Of the characters that a document may hold; the others are refused before.
TEXTS: Final = st.text(st.sampled_from("abz AZ09-_.:/'\"\\\n\tß€😀é"), min_size=1, max_size=20)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
INPUTS: Final = st.dictionaries(TEXTS, VALUES, max_size=3)


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """Valid plans of custom steps, whose input is any mapping."""
    value = value_of(*draw(st.lists(INPUTS, min_size=1, max_size=5)))
    value["goal"] = draw(TEXTS)
    if draw(st.booleans()):
        value["base"] = draw(st.text("0123456789abcdef", min_size=40, max_size=40))
        value["author"] = "ada@example.com"
    return value


def read(value: dict[str, Any]) -> PlanFile:
    """Go the whole way: write YAML, parse it strictly, ask schema and model."""
    data = documents.dump(value)
    return read_plan(data, file="plan.yaml", schema=schemas.load("plan"))[1]


@given(plans())
def test_digests_are_those_of_another_canonical_json(value: dict[str, Any]) -> None:
    """What is written, read back and digested equals the definition over rfc8785."""
    assert read(value).digests == oracle(value)


@given(plans(), st.data())
def test_editing_a_step_changes_its_digest_and_all_later_ones(
    value: dict[str, Any], data: st.DataObject
) -> None:
    """Approvals of earlier steps stay, those of the step and the later ones are void."""
    edited = copy.deepcopy(value)
    k = data.draw(st.integers(0, len(value["steps"]) - 1))
    edited["steps"][k]["description"] += "!"
    before, after = read(value).digests, read(edited).digests
    assert after[:k] == before[:k]
    assert all(a != b for a, b in zip(after[k:], before[k:], strict=True))


@given(plans(), INPUTS)
def test_appending_a_step_keeps_all_digests(
    value: dict[str, Any], step_input: dict[str, Any]
) -> None:
    """The plan's own digest, which is the last one, is new."""
    longer = copy.deepcopy(value)
    longer["steps"].append({**value["steps"][0], "id": "last", "input": step_input})
    before, after = read(value), read(longer)
    assert after.digests[:-1] == before.digests
    assert after.digest not in before.digests


@pytest.mark.parametrize(
    "field, given_value",
    [
        ("planner", {"model": "m", "request": DIGEST, "tokens": {"input": 1, "output": 2}}),
        ("budget", {"usd": "0.50"}),
        ("assumptions", ["it works"]),
        ("questions", ["does it?"]),
    ],
)
def test_what_stands_outside_the_digests_changes_none(field: str, given_value: object) -> None:
    """Planner, budget, assumptions and questions bind nobody."""
    value = value_of({})
    assert read({**value, field: given_value}).digests == read(value).digests


@pytest.mark.parametrize(
    "field, given_value",
    [("goal", "Other"), ("id", "other"), ("base", "a" * 40), ("author", "eve"), ("base", None)],
)
def test_the_header_is_under_every_digest(field: str, given_value: object) -> None:
    """A change of the header voids all approvals; null is not the same as left out."""
    value = value_of({}, {})
    before, after = read(value).digests, read({**value, field: given_value}).digests
    assert not set(before) & set(after)


def test_digests_cover_the_document_as_written_before_defaults() -> None:
    """A default written out is other content."""
    short = value_of({"path": "a"}, step_type="read_file")
    long = value_of({"path": "a", "max_bytes": 200_000}, step_type="read_file")
    assert read(short).plan.steps[0].input != read(long).plan.steps[0].input
    assert plan.typed_input(read(short).plan.steps[0]) == plan.typed_input(read(long).plan.steps[0])
    assert read(short).digests != read(long).digests


def test_digests_never_change() -> None:
    """These values are what people signed: version 1 gives them for ever."""
    data = (EXAMPLES / "add-factorial.yaml").read_bytes()
    _, file = read_plan(data, file="plan.yaml", schema=schemas.load("plan"))
    assert file.digests == (
        "sha256:664701d717e283e5ae8d81234cda9bbe69e13080dc42513146160b81dc87ee6e",
        "sha256:73e03a151bff4c7040d8d21f3bc386fa8ac35ef800e1f89954e2bbe45cf1423e",
        "sha256:c5dd3f65036569a57a89c5df844fa55b00ca5ee2007852502a6baf1dee1bd97e",
    )
    assert file.index("test") == 2
    assert file.index("deploy") is None


@pytest.mark.parametrize(
    "path, code",
    [
        ("/etc/passwd", "path_absolute"),
        ("../x", "path_parent"),
        (".git/config", "path_git_dir"),
        ("a//b", "path_empty_component"),
        ("a\\b", "path_separator"),
    ],
)
@pytest.mark.parametrize("step_type", ["read_file", "edit_file"])
def test_a_step_may_not_name_a_path_outside(step_type: str, path: str, code: str) -> None:
    """Paths are refused by name when the plan is read, not when it runs."""
    extra = {"delete": True} if step_type == "edit_file" else {}
    value = value_of({"path": path, **extra}, step_type=step_type)
    assert found(value) == [(code, "steps[0].input.path")]


def test_a_command_may_not_declare_paths_outside() -> None:
    """Its folder and its globs are judged with wildcards taken for names."""
    given_input = {
        "command": "make",
        "working_dir": "..",
        "reads": ["**/*.py", "/etc/*"],
        "writes": ["build/**", "?/../*"],
    }
    assert found(value_of(given_input, step_type="run_command")) == [
        ("path_parent", "steps[0].input.working_dir"),
        ("path_absolute", "steps[0].input.reads[1]"),
        ("path_parent", "steps[0].input.writes[1]"),
    ]


def test_a_command_runs_at_the_root_by_default() -> None:
    """`.` is no name of a file, but it is a folder to work in."""
    value = value_of({"command": "make"}, {"command": "make", "working_dir": "."})
    for step in value["steps"]:
        step["step_type"] = "run_command"
    assert len(plan.build(value, file="plan.yaml").digests) == 2


def test_context_names_earlier_steps_only() -> None:
    """Neither the step itself, nor a later one, nor one that does not exist."""
    ask = {"instruction": "Compare", "context": ["s0", "s1", "s2", "none"]}
    value = value_of(ask, ask, ask, step_type="analyze")
    assert [path for _, path in found(value)] == [
        *(f"steps[0].input.context[{n}]" for n in (0, 1, 2, 3)),
        *(f"steps[1].input.context[{n}]" for n in (1, 2, 3)),
        *(f"steps[2].input.context[{n}]" for n in (2, 3)),
    ]


def test_a_step_id_stands_once() -> None:
    """Each further use is a problem."""
    value = value_of({}, {}, {})
    for step in value["steps"]:
        step["id"] = "same"
    assert found(value) == [("duplicate_step", "steps[1].id"), ("duplicate_step", "steps[2].id")]


@pytest.mark.parametrize(
    "ways", [{}, {"delete": True, "instruction": "x"}, {"new_content": "", "edits": [EDIT]}]
)
def test_an_edit_is_of_one_kind(ways: dict[str, Any]) -> None:
    """Even an empty new content is one."""
    value = value_of({"path": "a", **ways}, step_type="edit_file")
    assert found(value) == [("exactly_one", "steps[0].input")]


def test_an_empty_new_content_is_a_content() -> None:
    """An edit may empty a file."""
    value = value_of({"path": "a", "new_content": ""}, step_type="edit_file")
    assert plan.build(value, file="plan.yaml").plan.steps[0].input["new_content"] == ""


@pytest.mark.parametrize("wrong", [False, 1, "true"])
def test_delete_is_true_or_left_out(wrong: object) -> None:
    """`delete: false` could be read as an edit that does nothing."""
    value = value_of({"path": "a", "delete": wrong}, step_type="edit_file")
    assert [code for code, _ in found(value)] == ["schema"]


def test_the_typed_input_of_a_custom_or_wrong_step_is_none() -> None:
    """Callers treat such a step as unknown, and unknown as refused."""
    step = plan.Step(id="a", step_type="custom", description="d", input={"path": "x"})
    assert plan.typed_input(step) is None
    assert plan.typed_input(step.model_copy(update={"step_type": "run_command"})) is None


@pytest.mark.parametrize("broken", [None, [], "x", {"steps": 1}, {"steps": [1, {"id": []}]}])
def test_checks_between_steps_take_broken_plans(broken: object) -> None:
    """They run beside the schema, so nothing about the value may be taken for granted."""
    assert list(plan_checks.cross_checks(broken)) == []


def test_checks_between_steps_take_inputs_of_any_type() -> None:
    """What is of a wrong type is the schema's to refuse."""
    step_types: tuple[Any, ...] = (*plan_checks.BUILT_IN, 5, None, [])
    for step_type in step_types:
        for odd in (None, 5, [], [5], {"a": 1}):
            keys = ("path", "context", "edits", "reads", "writes", "working_dir", "delete", "mode")
            step = {"id": "a", "step_type": step_type, "input": dict.fromkeys(keys, odd)}
            codes = {code for code, *_ in plan_checks.cross_checks({"steps": [step]})}
            assert codes <= {"exactly_one", "delete_mode"}
