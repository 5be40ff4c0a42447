from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runner.core.cost import Total
from runner.core.record import Record, RecordFile, build_record
from runner.core.run import RunFile, build_header, digest_bytes, run_status, statuses
from runner.core.run_states import DONE

DIGEST = "sha256:" + "0" * 64
AUTHORITIES = ("a" * 40, "b" * 40)
STEPS = ("one", "two", "three", "four")
EXECUTOR = {"planlock": "0.1.0", "platform": "Linux"}
CALL = {
    "provider": "p",
    "model": "m",
    "status": "ok",
    "input_tokens": 1,
    "output_tokens": 2,
    "cost_usd": "0.25",
    "cost_status": "computed",
    "file": "f",
}


def record(kind: str = "step", name: str | None = "one", **changes: Any) -> Record:
    step = name and {
        "id": name,
        "number": STEPS.index(name) + 1,
        "type": "read_file",
        "digest": DIGEST,
    }
    value = {
        "version": 1,
        "kind": kind,
        "previous": DIGEST,
        "started_at": "2026-11-22T10:00:00Z",
        "ended_at": "2026-11-22T10:00:01Z",
        "executor": EXECUTOR,
        "step": step,
        "status": "completed",
        **changes,
    }
    return build_record(value, file="record")


def rollback(*names: str) -> Record:
    steps = [{"id": each, "number": STEPS.index(each) + 1, "undo": "none"} for each in names]
    told = {"step": names[-1], "number": 1, "commit": "d" * 40, "steps": steps}
    return record("rollback", None, status="rolled_back", rollback=told)


def run(*records: Record, number: int = 1, **changes: Any) -> RunFile:
    header = {
        "version": 1,
        "plan": "job",
        "run": number,
        "repository": "r",
        "plan_digest": DIGEST,
        "plan_tip": "a" * 40,
        "base": "b" * 40,
        "trusted_ref": "refs/heads/main",
        "authority": "c" * 40,
        "approvals": [DIGEST],
        "runner": "runner@planlock",
        "executor": EXECUTOR,
        "started_at": "2026-11-22T10:00:00Z",
        **changes,
    }
    files = [file(place, each) for place, each in enumerate(records, start=1)]
    return RunFile(
        header=build_header(header, file="run.yaml"), header_digest=DIGEST, records=tuple(files)
    )


def file(place: int, each: Record) -> RecordFile:
    return RecordFile(name=f"{place:03d}-x.yaml", record=each, digest=DIGEST)


def forked(origin: RunFile, step: str, *records: Record) -> RunFile:
    fork = {"run": origin.header.run, "step": step, "commit": "e" * 40}
    number = origin.header.run + 1
    return replace(run(*records, number=number, fork=fork), origin=origin)


RECORDS = st.one_of(
    st.builds(
        record,
        name=st.sampled_from(STEPS),
        status=st.sampled_from(["completed", "failed", "interrupted"]),
        calls=st.lists(st.just(CALL), max_size=2),
        changes=st.lists(
            st.builds(
                lambda path, size: {"path": path, "before": None, "after": DIGEST, "size": size},
                st.sampled_from(["a", "b", "c"]),
                st.integers(0, 9),
            ),
            max_size=2,
        ),
        gate=st.none()
        | st.builds(
            lambda authority, approval: {
                "authority": authority,
                "plan_tip": "f" * 40,
                "approvals": [digest_bytes(approval)],
                "approvers": [],
            },
            st.sampled_from(AUTHORITIES),
            st.binary(max_size=1),
        ),
    ),
    st.builds(record, st.just("skip"), st.sampled_from(STEPS), status=st.just("skipped")),
    st.builds(
        record,
        st.just("undo"),
        st.sampled_from(STEPS),
        status=st.sampled_from(["completed", "failed"]),
    ),
    st.builds(
        record,
        st.just("amendment"),
        st.none(),
        plan_digest=st.binary(max_size=1).map(digest_bytes),
        draft=st.none() | st.just({"step": "one", "number": 1, "before": DIGEST}),
    ),
    st.builds(
        record, st.just("end"), st.none(), status=st.sampled_from(["completed", "cancelled"])
    ),
    st.lists(st.sampled_from(STEPS), min_size=1, unique=True).map(lambda each: rollback(*each)),
)


@given(st.lists(RECORDS, max_size=12))
def test_an_extended_run_tells_what_one_read_anew_tells(records: list[Record]) -> None:
    """Record by record or all at once: the index is the same, and no shorter run changes."""
    grown = run()
    seen = [grown]
    for place, each in enumerate(records, start=1):
        grown = grown.with_record(file(place, each))
        seen.append(grown)
    assert grown == run(*records)
    for length, each_run in enumerate(seen):
        assert each_run.index == run(*records[:length]).index


@given(st.lists(RECORDS, max_size=12))
def test_the_index_tells_what_the_records_tell(records: list[Record]) -> None:
    """Each answer is what a walk over all records gives."""
    found = run(*records)
    tries = [each for each in records if each.step and each.kind != "undo"]
    latest = {each.step.id: each for each in tries if each.step}
    gone = {step.id for each in records if each.rollback for step in each.rollback.steps}
    for name in STEPS:
        last = latest.get(name)
        assert found.latest(name) is last
        wanted = "rolled_back" if name in gone else last.status if last else "pending"
        assert found.status(name) == wanted
        undos = [each for each in records if each.kind == "undo" and each.step.id == name]  # type: ignore[union-attr]  # an undo names its step
        assert found.latest_undo(name) is (undos[-1] if undos else None)
    skipped = [name for name in STEPS if name in latest and latest[name].status == "skipped"]
    assert found.skipped() == tuple(skipped)
    assert found.drafts == tuple(each for each in records if each.draft)
    gates = [each.gate for each in records if each.gate]
    assert found.authority == (gates[-1].authority if gates else found.header.authority)
    used = {digest for gate in gates for digest in gate.approvals}
    assert found.approvals == used | {DIGEST}
    changes = [change for each in records for change in each.changes]
    assert found.index.changed == {each.path for each in changes}
    assert found.index.changed_bytes == sum(each.size for each in changes)
    assert found.cost == sum((each.cost for each in records), Total())
    plans = [each.plan_digest for each in records if each.kind == "amendment" and not each.draft]
    assert found.source == (plans[-1] if plans else DIGEST)


class TestRolledBack:
    def test_the_steps_that_a_rollback_names_are_rolled_back(self) -> None:
        """They keep their records, but no longer count; the run has that state and is over."""
        done = run(record(), record(name="two"), rollback("two"))
        assert statuses(done, STEPS[:3]) == {
            "one": "completed",
            "two": "rolled_back",
            "three": "pending",
        }
        assert (run_status(done, STEPS), done.ended) == ("rolled_back", True)
        assert done.latest("two") == done.records[1].record

    def test_a_run_whose_rollback_has_begun_is_still_what_it_was(self) -> None:
        """An undo changes no step, and does not open again what had ended."""
        begun = run(record(), record("end", None), record("undo"))
        assert (run_status(begun, STEPS), begun.ended) == ("completed", True)
        assert begun.status("one") == "completed"
        open_run = run(record(), record("undo", status="failed"))
        assert (run_status(open_run, STEPS), open_run.ended) == ("running", False)
        assert open_run.latest_undo("one") == open_run.records[1].record


class TestFork:
    ORIGIN = run(
        record(calls=[CALL], changes=[{"path": "a", "before": None, "after": DIGEST, "size": 3}]),
        record("skip", "two", status="skipped"),
        record(name="three", status="failed"),
    )

    def test_what_was_done_before_a_fork_is_done_in_it(self) -> None:
        """Completed and skipped steps count with their records; a failed one does not."""
        fork = forked(self.ORIGIN, "three")
        assert fork.latest("one") == self.ORIGIN.records[0].record
        assert statuses(fork, STEPS[:3]) == {
            "one": "completed",
            "two": "skipped",
            "three": "pending",
        }
        assert fork.skipped() == ("two",)
        assert [each.id for each in fork.recorded_steps] == ["one", "two"]
        assert run_status(fork, STEPS) == "pending"

    def test_the_step_at_which_it_forked_is_done_anew(self) -> None:
        """Also where the other run has a record of it."""
        fork = forked(self.ORIGIN, "one", record(status="failed"))
        assert fork.status("one") == "failed"
        assert forked(self.ORIGIN, "one").status("one") == "pending"
        assert forked(self.ORIGIN, "two").skipped() == ()

    def test_a_fork_costs_what_it_did_itself(self) -> None:
        """Approvals are consumed anew, money is not; the files that differ from the base count."""
        fork = forked(self.ORIGIN, "three", record(name="three"))
        assert fork.cost == Total()
        assert fork.approvals == {DIGEST}
        assert fork.index.changed == {"a"}
        assert fork.index.changed_bytes == 3

    def test_what_was_rolled_back_there_is_not_done_here(self) -> None:
        """A rolled back step of the other run is pending in the fork."""
        gone = self.ORIGIN.with_record(file(4, rollback("one")))
        assert forked(gone, "four").status("one") == "pending"

    def test_a_fork_of_a_fork_knows_the_steps_of_both(self) -> None:
        """What the first run did is done in the third, unless it forked before that."""
        middle = forked(self.ORIGIN, "three", record(name="three"))
        last = forked(middle, "four")
        assert {name for name, each in statuses(last, STEPS).items() if each in DONE} == {
            "one",
            "two",
            "three",
        }
        assert forked(middle, "two").status("one") == "completed"
