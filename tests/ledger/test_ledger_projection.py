from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from ledger_samples import (
    DIGEST,
    FULL_RUN,
    OTHER,
    PROJECT,
    STEPS,
    approval,
    approved,
    call,
    cut,
    output,
    projected,
    record,
)

from runner.core.cost import Total
from runner.core.run import RecordedFork, statuses
from runner.ledger.projection import Row, Rows, approval_row, known_usd, row_id, run_rows
from runner.ledger.tables import METADATA, OPERATIONAL, REBUILDABLE


def rows_of(*records: dict[str, object]) -> Rows:
    return projected(records).rows(PROJECT)


def step(rows: Rows, name: str) -> Row:
    return next(each for each in rows.steps if each["step_id"] == name)


def test_a_run_becomes_a_row() -> None:
    """The run's row tells goal, workspace, status, times and what the run cost."""
    row = projected(FULL_RUN).rows(PROJECT).run
    assert row == {
        "id": row_id(PROJECT, "add-factorial", 1),
        "project": PROJECT,
        "plan": "add-factorial",
        "run_number": 1,
        "plan_digest": projected(FULL_RUN).plan.digest,
        "goal": "Add a factorial function",
        "workspace_path": "planlock/work/add-factorial/1",
        "status": "completed",
        "created_at": "2026-11-22T09:59:58Z",
        "completed_at": "2026-11-23T00:00:02Z",
        "total_cost": "1.300754",
        "unpriced_calls": 1,
    }


@pytest.mark.parametrize(
    "length,status", [(0, "pending"), (1, "running"), (2, "failed"), (6, "completed")]
)
def test_a_run_that_goes_on_is_not_completed(length: int, status: str) -> None:
    """Until the closing record there is a status, but no end."""
    row = cut(projected(FULL_RUN), length).rows(PROJECT).run
    assert row["status"] == status
    assert (row["completed_at"] is None) == (length < 6)


def test_every_step_of_the_plan_has_a_row() -> None:
    """Steps that no record names yet are pending, have no output and cost nothing so far."""
    rows = rows_of(FULL_RUN[0])
    assert [(row["step_number"], row["step_id"]) for row in rows.steps] == list(
        enumerate(STEPS, start=1)
    )
    waiting = step(rows, "edit")
    assert (waiting["status"], waiting["attempts"], waiting["cost"]) == ("pending", 0, "0.00")
    assert waiting["output"] is None
    assert waiting["executed_at"] is None


def test_a_step_has_the_status_of_its_latest_record() -> None:
    """Attempts add up in cost and count; status, output and time are those of the last one."""
    edit = step(rows_of(*FULL_RUN), "edit")
    assert (edit["status"], edit["attempts"], edit["output"]) == ("completed", 2, "done")
    assert edit["executed_at"] == "2026-11-22T10:00:07Z"
    assert (edit["cost"], edit["unpriced_calls"]) == ("0.20", 1)
    assert edit["input"] == '{"command":"echo edit","timeout_s":5}'


def test_statuses_agree_with_the_rules() -> None:
    """The rows' statuses are those that the core derives from the records."""
    for length in range(len(FULL_RUN) + 1):
        part = cut(projected(FULL_RUN), length)
        found = {row["step_id"]: row["status"] for row in part.rows(PROJECT).steps}
        assert found == statuses(part.run, STEPS)


def test_a_skip_is_no_attempt() -> None:
    """A skipped step keeps what its failed attempt left, and was executed then."""
    failed = record("test", "failed", ended_at="2026-11-22T10:00:01Z", exit_code=1)
    skip = record("test", "skipped", kind="skip", ended_at="2026-11-22T10:05:00Z")
    row = step(rows_of(failed, skip), "test")
    assert (row["status"], row["attempts"]) == ("skipped", 1)
    assert row["executed_at"] == "2026-11-22T10:00:01Z"


def test_P6_every_call_belongs_to_a_step() -> None:
    """Each model call is a row that names its run, step, record, attempt and UTC day."""
    calls = projected(FULL_RUN).rows(PROJECT).calls
    places = [(row["step_id"], row["record_number"], row["call_number"]) for row in calls]
    assert places == [
        ("read", 1, 1),
        ("read", 1, 2),
        ("edit", 2, 1),
        ("edit", 3, 1),
        ("sum-up", 5, 1),
    ]
    assert [row["attempt"] for row in calls] == [1, 1, 1, 2, 1]
    assert [row["day"] for row in calls] == ["2026-11-22"] * 4 + ["2026-11-23"]


def test_P6_what_a_draft_cost_belongs_to_its_step() -> None:
    """A model that wrote the step's text is paid by the step, though that has not run yet."""
    draft = {"step": "edit", "number": 2, "before": DIGEST, "after": DIGEST}
    paid = record(None, kind="amendment", calls=[call("0.30")], draft=draft)
    rows = rows_of(FULL_RUN[0], paid)
    edit = step(rows, "edit")
    assert (edit["status"], edit["attempts"], edit["cost"]) == ("pending", 0, "0.30")
    assert [row["step_id"] for row in rows.calls] == ["read", "read", "edit"]


def test_a_call_has_the_names_of_opentelemetry() -> None:
    """Provider, model and tokens stand in columns named after `gen_ai.*`."""
    told = {"response_model": "small-1-001", "cache_read_input_tokens": 512}
    told |= {"cache_creation_input_tokens": 7, "reasoning_output_tokens": 96}
    row = rows_of(record("read", calls=[call(None, **told)])).calls[0]
    named = {key: value for key, value in row.items() if key.startswith("gen_ai_")}
    assert named == {
        "gen_ai_provider_name": "openai",
        "gen_ai_request_model": "small-1",
        "gen_ai_response_model": "small-1-001",
        "gen_ai_usage_input_tokens": 812,
        "gen_ai_usage_cache_read_input_tokens": 512,
        "gen_ai_usage_cache_creation_input_tokens": 7,
        "gen_ai_usage_output_tokens": 204,
        "gen_ai_usage_reasoning_output_tokens": 96,
    }
    assert (row["cost_usd"], row["cost_status"]) == (None, "unknown")


def test_an_unknown_cost_is_not_zero() -> None:
    """A cost is null where no call has a price, and counts what it lacks where some have."""
    unknown = rows_of(record("read", calls=[call(None), call(None)]))
    assert (unknown.run["total_cost"], unknown.run["unpriced_calls"]) == (None, 2)
    assert step(unknown, "read")["cost"] is None
    some = rows_of(record("read", calls=[call(None), call("0.30")]))
    assert (some.run["total_cost"], some.run["unpriced_calls"]) == ("0.30", 1)
    assert known_usd(Total()) == 0


def test_money_adds_up_exactly() -> None:
    """A tenth and two tenths are three tenths."""
    rows = rows_of(record("read", calls=[call("0.1"), call("0.2")]))
    assert rows.run["total_cost"] == "0.30"


def test_ids_follow_from_the_place() -> None:
    """Ids are UUIDs of version 5, equal wherever they are made, different for every row."""
    rows, again = (projected(FULL_RUN).rows(PROJECT) for _ in range(2))
    other = projected(FULL_RUN).rows(OTHER)
    assert rows == again
    ids = [str(row["id"]) for each in (rows, other) for row in (each.run, *each.steps, *each.calls)]
    assert len(set(ids)) == len(ids)
    assert {uuid.UUID(each).version for each in ids} == {5}


def test_misnamed_records_keep_their_rows_apart() -> None:
    """Records whose files bear the same number do not overwrite each other's calls."""
    run = projected([record("read", calls=[call()])]).run
    doubled = projected(FULL_RUN)
    twice = type(run)(
        header=run.header, header_digest=DIGEST, records=(run.records[0], run.records[0])
    )
    rows = run_rows(repository=PROJECT, plan=doubled.plan, run=twice)
    assert len({row["id"] for row in rows.calls}) == 2


def test_rows_fit_the_tables() -> None:
    """Every row has exactly the columns of its table, and every table is listed."""
    rows = {**projected(FULL_RUN).rows(PROJECT).tables(), "approvals": (approved(),)}
    for table in REBUILDABLE:
        for row in rows[table.name]:
            assert row.keys() == set(table.columns.keys())
    assert {*REBUILDABLE, *OPERATIONAL} == set(METADATA.tables.values())


def test_an_approval_becomes_a_row() -> None:
    """The row tells what was decided, about what, by whom, until when and for how much."""
    row = approved()
    assert row["decision"] == "approve"
    assert row["steps"] == f'{{"edit":"{DIGEST}"}}'
    assert (row["limit_usd"], row["limit_runs"]) == ("0.50", 2)
    assert (row["skipped"], row["supersedes"]) == ("[]", "[]")
    assert (row["expires_at"], row["reason"]) == (None, None)


@pytest.mark.parametrize("signer", [None, "mallory@example.com"])
def test_a_forged_approval_is_not_genuine(signer: str | None) -> None:
    """A record that names a person who did not sign it is listed, but not as theirs."""
    row = approval_row(
        repository=PROJECT,
        record=approval(approver="bob@example.com"),
        digest=DIGEST,
        signer=signer,
        assurance=None,
    )
    assert row["genuine"] is False
    assert approved()["genuine"] is True


def test_steps_done_before_a_fork_are_done_in_its_rows() -> None:
    """They have their output, but neither attempts nor costs of this run."""
    origin = projected(FULL_RUN).run
    fork = projected([], n=2)
    header = fork.run.header.model_copy(
        update={"fork": RecordedFork(run=1, step="test", commit="d" * 40)}
    )
    forked = replace(fork, run=replace(fork.run, header=header, origin=origin))
    rows = forked.rows(PROJECT)
    edit, original = step(rows, "edit"), step(rows_of(*FULL_RUN), "edit")
    assert (edit["status"], edit["attempts"], edit["cost"]) == ("completed", 0, "0.00")
    assert {name: edit[name] for name in ("output", "executed_at")} == {
        name: original[name] for name in ("output", "executed_at")
    }
    assert step(rows, "test")["status"] == "pending"
    assert (rows.calls, rows.run["total_cost"]) == ((), "0.00")


def test_an_undo_is_no_attempt_and_a_rollback_takes_steps_back() -> None:
    """The step's row tells what it did, and that it no longer counts; the run is over."""
    rollback = {
        "step": "edit",
        "number": 2,
        "commit": "d" * 40,
        "steps": [{"id": "edit", "number": 2, "undo": "done"}],
    }
    rows = rows_of(
        record("edit", output=output("edited")),
        record("edit", kind="undo", output=output("taken back")),
        record(None, "rolled_back", kind="rollback", rollback=rollback),
    )
    edit = step(rows, "edit")
    assert (edit["status"], edit["attempts"], edit["output"]) == ("rolled_back", 1, "edited")
    assert (rows.run["status"], rows.run["completed_at"]) == (
        "rolled_back",
        "2026-11-22T10:00:07Z",
    )
