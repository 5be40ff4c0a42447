"""What a draft may change of a plan, and how it is written into the plan's file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from gate_cases import READ, make_plan, step
from hypothesis import example, given
from hypothesis import strategies as st

from runner.core import amendment, documents
from runner.core.amendment import carried, drafted, is_draft, rewrite, strayed, with_inputs
from runner.core.plan import PlanFile, Step
from runner.core.record import RecordedDraft

PIN = "sha256:" + "0" * 64
WISH = step("edit", "edit_file", path="a.py", instruction="Do it", mode="0755")
TEXT = {"path": "a.py", "replaces": PIN, "new_content": "x = 1\n", "mode": "0755"}
READ_AGAIN = {**READ, "id": "again"}
OTHER = {**WISH, "id": "other"}
OWN = make_plan(READ, {**WISH, "input": TEXT}, {**OTHER, "input": TEXT})
# Each as it was when it was its turn.
ASKED = replace(
    OWN,
    digests=(
        OWN.digests[0],
        make_plan(READ, WISH).digests[1],
        make_plan(READ, {**WISH, "input": TEXT}, OTHER).digests[2],
    ),
)
BLOCK = """\
version: 1
id: job   # the job
steps:
  - id: edit
    step_type: edit_file
    description: Edit   # see below
    input:
      path: a.py   # the module
      instruction: |
        Do it
        well
  # the last one
  - {id: read, step_type: read_file, description: Look, input: {path: a.py}}
"""
FLOW = """\
version: 1
steps:
  - {id: edit, step_type: edit_file, description: D, input: {path: a.py, instruction: Do}}   # one
"""


def as_step(value: dict[str, Any], **changes: Any) -> Step:
    return Step.model_validate({**value, **changes})


def parsed(text: str) -> documents.Document:
    return documents.parse(text.encode(), file="plan.yaml")


class TestDrafted:
    def test_only_an_edit_with_an_instruction_is_a_draft(self) -> None:
        """A step with its text is none, nor is one of another type that has an instruction."""
        assert is_draft(as_step(WISH))
        assert not is_draft(as_step(WISH, input=TEXT))
        assert not is_draft(as_step(step("ask", "analyze", instruction="Why?")))

    @pytest.mark.parametrize("way", [{"new_content": "x"}, {"edits": [{"search": "a"}]}])
    def test_the_text_takes_the_place_of_the_instruction(self, way: dict[str, Any]) -> None:
        """With the pin of the file; what else the input says stays, and the path is its own."""
        made = drafted(WISH["input"], {**way, "path": "other.py", "mode": None}, pin=PIN)
        assert made == {"path": "a.py", "replaces": PIN, **way, "mode": "0755"}


class TestStrayed:
    def test_a_text_for_the_instruction_is_in_order(self) -> None:
        """Nothing is said of a draft that changed what it was to change."""
        assert strayed(as_step(WISH), as_step(WISH, input=TEXT)) == ""

    @pytest.mark.parametrize(
        "changes,said",
        [
            ({"description": "Other"}, "more of the step"),
            ({"id": "other"}, "more of the step"),
            ({"input": {**TEXT, "path": "b.py"}}, "more of the input"),
            ({"input": {**TEXT, "mode": "0644"}}, "more of the input"),
            ({"input": {**TEXT, "instruction": "Do it"}}, "no text"),
            ({"input": {**TEXT, "edits": [{"search": "a", "replace": "b"}]}}, "no text"),
            ({"input": {"path": "a.py", "delete": True, "replaces": PIN}}, "no text"),
            ({"input": {k: v for k, v in TEXT.items() if k != "replaces"}}, "not pinned"),
            ({"input": WISH["input"]}, "no text"),
        ],
    )
    def test_what_else_a_draft_changes_is_told(self, changes: dict[str, Any], said: str) -> None:
        """Every other field, way or pin is one too many or too few."""
        assert said in strayed(as_step(WISH), as_step(WISH, **{"input": TEXT, **changes}))

    def test_a_pin_that_was_there_stays(self) -> None:
        """An instruction for one file is not filled in for another."""
        wish = as_step(WISH, input={**WISH["input"], "replaces": "absent"})
        assert "not pinned" in strayed(wish, as_step(WISH, input=TEXT))

    def test_what_had_no_instruction_is_not_amended(self) -> None:
        """A text does not come in the place of another one."""
        assert strayed(as_step(WISH, input=TEXT), as_step(WISH, input=TEXT)) == (
            "the step had no instruction"
        )


class TestCarried:
    def kept(self, newer: PlanFile, *names: str) -> dict[int, dict[str, Any]]:
        drafts = [
            RecordedDraft(step=name, number=n, before=ASKED.digests[n], after=OWN.digests[n])
            for n, name in enumerate(("read", "edit", "other"))
            if name in names
        ]
        value = newer.plan.model_dump(exclude_unset=True)
        return carried(value, OWN, drafts)

    def test_drafts_of_what_is_still_asked_for_are_carried_over(self) -> None:
        """By their place in the newer plan; others are left for a model."""
        assert self.kept(make_plan(READ, WISH, OTHER, READ_AGAIN), "edit") == {1: TEXT}
        assert self.kept(make_plan(READ, WISH), "edit") == {1: TEXT}
        assert self.kept(make_plan(READ, WISH, OTHER), "edit", "other") == {1: TEXT, 2: TEXT}

    @pytest.mark.parametrize(
        "newer",
        [
            make_plan(READ, {**WISH, "description": "Else"}, OTHER),
            make_plan(READ, {**WISH, "input": {**WISH["input"], "instruction": "Else"}}, OTHER),
            make_plan(READ_AGAIN, WISH, OTHER),
            make_plan(WISH, READ, OTHER),
            make_plan(READ, {**WISH, "input": TEXT}, OTHER),
        ],
    )
    def test_A44_a_draft_of_something_else_is_dropped(self, newer: PlanFile) -> None:
        """What people ask for now, or after other steps, is not what the model wrote."""
        assert self.kept(newer, "edit") == {}


class TestRewrite:
    def test_what_people_wrote_around_it_stays(self) -> None:
        """Comments, layout and other steps are as they were."""
        done = rewrite(parsed(BLOCK), {0: {**TEXT, "new_content": "x\n\ny\n"}}).decode()
        assert done == BLOCK.replace(
            "path: a.py   # the module\n      instruction: |\n        Do it\n        well\n",
            f"path: a.py\n      replaces: {PIN}\n      new_content: |\n        x\n\n        y\n"
            '      mode: "0755"\n',
        )

    def test_a_step_on_one_line_stays_on_one_line(self) -> None:
        """Braces stay braces, and the comment behind them stays."""
        done = rewrite(parsed(FLOW), {0: TEXT}).decode()
        assert done.count("\n") == FLOW.count("\n")
        assert done.endswith("# one\n")
        assert parsed(done).value == with_inputs(parsed(FLOW).value, {0: TEXT})

    @given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn"))))
    @example("\xa0")
    @example("a\n\u3000")
    def test_the_file_says_exactly_the_draft(self, text: str) -> None:
        """Whatever the text, the plan read back has it, and nothing else is changed."""
        for layout in (BLOCK, FLOW):
            before = parsed(layout)
            inputs = {0: {**TEXT, "new_content": f"{text}\n"}}
            try:
                done = rewrite(before, inputs)
            except ValueError:
                continue  # a text that no document can hold
            assert parsed(done.decode()).value == with_inputs(before.value, inputs)

    @pytest.mark.parametrize("text", ["a\u202eb", "a\x1bb", "a\u200bb"])
    def test_B03_hidden_characters_of_a_model_come_into_no_plan(self, text: str) -> None:
        """What a reviewer could not see is not written."""
        for layout in (BLOCK, FLOW):
            with pytest.raises(ValueError, match="a text holds"):
                rewrite(parsed(layout), {0: {**TEXT, "new_content": text}})


def test_the_ways_of_a_text_are_those_of_an_edit() -> None:
    """A deletion is not a text that a model may write."""
    assert set(amendment.WAYS) == {"new_content", "edits"}
