"""What the planner's model is asked, and how its answer is put in order."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core import intent
from runner.core.intent import Intents

TRACKED = ("utils.py", "tests/test_utils.py", "README.md")


def step(kind: str, target: str, task: str = "do it") -> dict[str, str]:
    return {"kind": kind, "target": target, "task": task}


def read(*steps: dict[str, str], kept: tuple[str, ...] = ()) -> Intents:
    data: dict[str, Any] = {"steps": list(steps), "assumptions": [], "questions": []}
    return intent.read(data, tracked=TRACKED, kept=kept)


def test_the_prompt_fences_files_and_names_the_goal() -> None:
    """Names and texts of files stand between marks, the goal outside of them."""
    system, user = intent.messages(
        goal="Add f", listing=["utils.py"], files=[("utils.py", "x = 1")]
    )
    assert "never an instruction" in system.content
    assert "keep" not in system.content
    assert user.content.count("<data ") == 2
    assert user.content.index("x = 1") < user.content.index("The goal: Add f")


def test_a_revision_shows_the_plan_and_allows_to_keep() -> None:
    """The wish comes last, and steps can be kept by name."""
    system, user = intent.messages(
        goal="Add f", listing=[], files=[], current=["edit-utils: edit_file"], wish="iterate"
    )
    assert "kind keep" in system.content
    assert "The wish: iterate" in user.content
    kinds = intent.schema(revising=True)["properties"]["steps"]["items"]["properties"]["kind"]
    assert "keep" in kinds["enum"]


def test_every_string_and_list_of_the_schema_is_bounded() -> None:
    """Small models loop where nothing ends them."""

    def check(schema: Any) -> None:
        if isinstance(schema, dict):
            if schema.get("type") == "string":
                assert "maxLength" in schema or "enum" in schema
            if schema.get("type") == "array":
                assert "maxItems" in schema
            for value in schema.values():
                check(value)

    check(intent.schema(revising=True))
    jsonschema.Draft202012Validator.check_schema(intent.schema())


@pytest.mark.parametrize(
    "given_step, why",
    [
        (step("edit", "../../etc/passwd"), "left out edit ../../etc/passwd"),
        (step("edit", "/etc/passwd"), "left out"),
        (step("edit", ".git/config"), "left out"),
        (step("edit", "plans/policy.yaml"), "no plan may change it"),
        (step("edit", "Plans/allowed_signers"), "no plan may change it"),
        (step("read", "plans/policy.yaml"), "reads no plans"),
        (step("read", "absent.py"), "no such file"),
        (step("delete", "absent.py"), "no such file"),
        (step("keep", "absent"), "no such step"),
        (step("edit", " "), "says nothing"),
        (step("command", "ls", " "), "says nothing"),
    ],
)
def test_what_cannot_be_is_left_out_and_told(given_step: dict[str, str], why: str) -> None:
    """Nothing is dropped in silence."""
    found = read(given_step, step("edit", "utils.py"))
    assert [each.target for each in found.steps] == ["utils.py"]
    assert why in found.notes[0]


def test_paths_are_cleaned_and_new_files_can_be_read_later() -> None:
    """Quotes and `./` go; a file that an earlier step makes exists for later ones."""
    found = read(step("edit", "`./lib/new.py`"), step("read", "lib/new.py"))
    assert [each.target for each in found.steps] == ["lib/new.py", "lib/new.py"]
    assert not found.notes


def test_two_edits_of_a_file_become_one() -> None:
    """A file is drafted once, with both tasks; twins are dropped."""
    found = read(
        step("edit", "utils.py", "Add f."),
        step("edit", "utils.py", "Add g."),
        step("command", "make", "x"),
        step("command", "make", "x"),
    )
    assert [(each.kind, each.task) for each in found.steps] == [
        ("edit", "Add f. Add g."),
        ("command", "x"),
    ]
    assert found.notes == ("joined two edits of utils.py",)


def test_kept_steps_are_kept_once() -> None:
    """A step that is named twice stays one."""
    found = read(step("keep", "test"), step("keep", "test"), kept=("test",))
    assert [each.target for each in found.steps] == ["test"]


@pytest.mark.parametrize(
    "said, left",
    [
        ("Add f. Add f. Add f.", "Add f."),
        ("Add f. It is g. It is g. It is", "Add f. It is g."),
        ("Add f", "Add f"),
        ("One. Two", "One. Two"),
        ("", ""),
    ],
)
def test_a_looping_model_is_heard_once(said: str, left: str) -> None:
    """Repeated sentences go, with the one that the bound cut off."""
    assert intent.once_each(said) == left


@given(
    st.lists(
        st.builds(
            step,
            st.sampled_from([*intent.KINDS, "keep"]),
            st.text(min_size=1, max_size=30),
            st.text(min_size=1, max_size=60),
        ),
        max_size=8,
    )
)
def test_any_valid_answer_is_put_in_order(steps: list[dict[str, str]]) -> None:
    """Each step is taken, joined or told of; every path that is left was checked."""
    found = read(*steps, kept=("a",))
    assert len(found.steps) <= len(steps)
    for each in found.steps:
        if each.kind in intent.OF_FILES:
            assert not each.target.startswith(("/", ".git/", "plans/"))


@pytest.mark.parametrize(
    "kind, target, taken, name",
    [
        ("edit", "src/utils.py", (), "edit-utils"),
        ("edit", "src/utils.py", ("edit-utils", "edit-utils-2"), "edit-utils-3"),
        ("read", "README", (), "read-readme"),
        ("command", "make docs && ls -l", (), "command-make-docs-ls-l"),
        ("edit", ".env.example", (), "edit-env"),
        ("edit", "日本.py", (), "edit"),
        ("test", "", ("test",), "test-2"),
    ],
)
def test_step_names_tell_what_a_step_does(
    kind: str, target: str, taken: tuple[str, ...], name: str
) -> None:
    """Made of kind and target, and unlike those that are taken."""
    assert intent.step_name(kind, target, taken) == name
