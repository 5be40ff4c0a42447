from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core import run
from runner.core.cost import Total
from runner.core.errors import InvalidDocument
from runner.core.record import RecordFile, build_record
from runner.core.run import (
    RunFile,
    build_header,
    chain_problems,
    digest_bytes,
    run_status,
    statuses,
)
from runner.core.run_states import STEP_TRANSITIONS, check_transition

DIGEST = "sha256:" + "0" * 64
HEADER = {
    "version": 1,
    "plan": "job",
    "run": 1,
    "repository": "r",
    "plan_digest": DIGEST,
    "plan_tip": "a" * 40,
    "base": "b" * 40,
    "trusted_ref": "refs/heads/main",
    "authority": "c" * 40,
    "approvals": [],
    "runner": "runner@planlock",
    "executor": {"planlock": "0.1.0", "platform": "Linux"},
    "started_at": "2026-11-22T10:00:00Z",
}
STEPS = ("one", "two", "three")


def record(number: int, previous: str, *, at: str = "10:00:01", **changes: Any) -> RecordFile:
    """Build record `number`, of a completed first step unless told otherwise."""
    name = changes.pop("name", "one")
    value = {
        "version": 1,
        "kind": "step",
        "previous": previous,
        "started_at": f"2026-11-22T{at}Z",
        "ended_at": f"2026-11-22T{at}Z",
        "executor": HEADER["executor"],
        "step": {
            "id": name,
            "number": STEPS.index(name) + 1,
            "type": "read_file",
            "digest": DIGEST,
        },
        "status": "completed",
        **changes,
    }
    return RecordFile(
        name=run.record_name(number, name),
        record=build_record(value, file="record"),
        digest=digest_bytes(f"{number}{previous}{at}{changes}".encode()),
    )


def chained(*changes: dict[str, Any]) -> RunFile:
    """Build a run whose records follow each other."""
    header = digest_bytes(b"header")
    last, records = header, []
    for number, each in enumerate(changes, start=1):
        made = record(number, last, **each)
        records.append(made)
        last = made.digest
    return RunFile(
        header=build_header(HEADER, file="run.yaml"), header_digest=header, records=tuple(records)
    )


END: dict[str, Any] = {"kind": "end", "step": None, "status": "completed"}


class TestChain:
    def test_records_that_follow_each_other_are_sound(self) -> None:
        """Each record names the digest of the one before it, the first that of the header."""
        sound = chained({}, {"name": "two"}, END)
        assert chain_problems(sound) == ()
        assert sound.last_digest == sound.records[-1].digest
        assert chained().last_digest == chained().header_digest

    @given(st.integers(0, 3))
    def test_A25_a_missing_record_breaks_the_chain(self, gone: int) -> None:
        """Taking any record but the last away is noticed."""
        whole = chained({}, {"name": "two"}, {"name": "three"}, END)
        kept = tuple(each for number, each in enumerate(whole.records) if number != gone)
        assert bool(chain_problems(replace(whole, records=kept))) is (gone < 3)

    def test_records_out_of_order_are_told(self) -> None:
        """A record in the wrong place is named with what was expected."""
        whole = chained({}, {"name": "two"})
        mixed = replace(whole, records=whole.records[::-1])
        assert "002-two.yaml: record 1 expected" in chain_problems(mixed)

    def test_F06_time_that_runs_backwards_is_told(self) -> None:
        """Records are ordered by their chain; a clock that went back is a problem."""
        back = chained({"at": "10:00:05"}, {"name": "two", "at": "10:00:04"})
        assert chain_problems(back) == ("records go back in time",)

    def test_a_strange_file_name_has_no_number(self) -> None:
        """A file that is not named like a record is record 0, so it breaks the chain."""
        odd = replace(record(1, DIGEST), name="odd.yaml")
        assert odd.number == 0


class TestStates:
    def test_the_latest_record_of_a_step_counts(self) -> None:
        """A retried step has the status of its last attempt; others are pending."""
        tried = chained({"status": "failed"}, {"status": "completed"})
        assert statuses(tried, STEPS) == {"one": "completed", "two": "pending", "three": "pending"}

    def test_a_step_without_a_record_has_no_latest_one(self) -> None:
        """The newest record of a step is found, whatever its kind."""
        tried = chained({"status": "failed"}, {"kind": "skip", "status": "skipped"})
        assert tried.latest("one") == tried.records[1].record
        assert tried.latest("two") is None

    def test_skips_are_told_in_plan_order(self) -> None:
        """The steps whose latest record is a skip, by their number."""
        skip = {"kind": "skip", "status": "skipped"}
        skips = chained({"name": "three", **skip}, {"status": "failed"}, skip, END)
        assert skips.skipped() == ("one", "three")

    @pytest.mark.parametrize(
        "changes,expected",
        [
            ([], "pending"),
            ([{}], "running"),
            ([{"status": "failed"}], "failed"),
            ([{"status": "interrupted"}], "failed"),
            ([{}, END], "completed"),
            ([{}, {**END, "status": "cancelled"}], "cancelled"),
        ],
    )
    def test_the_state_of_a_run_follows_from_its_records(
        self, changes: list[dict[str, Any]], expected: str
    ) -> None:
        """An end record tells the state; else failed steps do."""
        made = chained(*changes)
        assert run_status(made, STEPS) == expected
        assert made.ended is (expected in {"completed", "cancelled"})

    def test_the_last_moment_is_that_of_the_last_record(self) -> None:
        """Before the first record it is when the run started."""
        assert chained().last_moment == HEADER["started_at"]
        assert chained({"at": "11:00:00"}).last_moment == "2026-11-22T11:00:00Z"

    @pytest.mark.parametrize("before", STEP_TRANSITIONS)
    def test_only_listed_transitions_are_legal(self, before: str) -> None:
        """What the table does not list raises."""
        for after in STEP_TRANSITIONS:
            if after in STEP_TRANSITIONS[before]:
                check_transition(before, after)
            else:
                with pytest.raises(ValueError, match=f"from {before} to {after}"):
                    check_transition(before, after)

    def test_every_state_but_the_last_leads_somewhere(self) -> None:
        """Each state can be reached from `pending`, and only `rolled_back` is final."""
        reached, todo = {"pending"}, ["pending"]
        while todo:
            fresh = STEP_TRANSITIONS[todo.pop()] - reached
            reached |= fresh
            todo += fresh
        assert reached == set(STEP_TRANSITIONS)
        assert [each for each, ways in STEP_TRANSITIONS.items() if not ways] == ["rolled_back"]


class TestFiles:
    def test_costs_of_all_records_are_summed(self) -> None:
        """A run costs what its records' calls cost."""
        call = {
            "provider": "p",
            "model": "m",
            "status": "ok",
            "input_tokens": 1,
            "output_tokens": 2,
            "cost_usd": None,
            "cost_status": "unknown",
            "file": "f",
        }
        both = chained({"calls": [call]}, {"name": "two", "calls": [call]})
        assert both.cost == Total(input_tokens=2, output_tokens=4, calls=2, unpriced=2)

    @pytest.mark.parametrize("kind", ["step", "skip", "end"])
    def test_A44_only_an_amendment_has_a_draft(self, kind: str) -> None:
        """A record that does a step cannot pass for a draft, nor a draft for a step."""
        draft = {"step": "one", "number": 1, "before": DIGEST, "after": DIGEST}
        with pytest.raises(InvalidDocument, match="only an amendment has a draft"):
            record(1, DIGEST, kind=kind, draft=draft)
        with pytest.raises(InvalidDocument, match="an amendment names no step"):
            record(1, DIGEST, kind="amendment", draft=draft)
        made = record(1, DIGEST, kind="amendment", step=None, draft=draft).record
        assert made.about == "one"
        assert made.model_copy(update={"kind": kind}).about is None

    def test_broken_files_are_refused_with_their_problems(self) -> None:
        """Header and record are typed strictly, every problem told."""
        for build in (build_header, build_record):
            with pytest.raises(InvalidDocument) as caught:
                build({"version": 2}, file="x.yaml")
            assert len(caught.value.problems) > 5

    def test_names_of_refs_and_folders(self) -> None:
        """Where a run lies is told by plan and number alone."""
        assert run.run_branch("job", 2) == "refs/heads/planlock/job/2"
        assert run.run_tag("job", 2) == "refs/tags/planlock-run/job/2"
        assert run.lease_ref("job", 2) == "refs/planlock/leases/job/2"
        assert run.plan_branch("job") == "refs/heads/plan/job"
        assert run.run_folder("job", 2) == f"{run.plan_folder('job')}/runs/2"
