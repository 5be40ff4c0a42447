"""More of each model call, and money set aside before a call.

`model_calls` is made anew and empty: forgetting how far each ref was projected lets the next
command bring it back from git.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_CALL_TEXTS = (
    *("project", "run_id", "plan", "day", "status", "file", "kind", "answer_id"),
    *("gen_ai_provider_name", "gen_ai_request_model", "gen_ai_response_model"),
    *("usage_source", "route_reason", "cost_status", "price_source", "reservation"),
)
_CALL_NUMBERS = (
    *("run_number", "record_number", "call_number", "attempt", "answer_attempt"),
    *("gen_ai_usage_input_tokens", "gen_ai_usage_cache_read_input_tokens"),
    *("gen_ai_usage_cache_creation_input_tokens", "gen_ai_usage_output_tokens"),
    "gen_ai_usage_reasoning_output_tokens",
)


def upgrade() -> None:
    op.drop_table("model_calls")
    _model_calls()
    op.execute("DELETE FROM projected_refs")
    _reservations()


def _model_calls() -> None:
    op.create_table(
        "model_calls",
        sa.Column("id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _CALL_TEXTS),
        *(
            sa.Column(name, sa.Text(), nullable=True)
            for name in ("step_id", "cost_usd", "saved_usd")
        ),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _CALL_NUMBERS),
        sa.ForeignKeyConstraint(
            ["run_id"], ["agent_runs.id"], name=op.f("fk_model_calls_run_id_agent_runs")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_calls")),
        sa.UniqueConstraint(
            "run_id",
            "record_number",
            "call_number",
            name=op.f("uq_model_calls_run_id_record_number_call_number"),
        ),
    )
    name = op.f("ix_model_calls_project_plan_run_number")
    op.create_index(name, "model_calls", ["project", "plan", "run_number"], unique=False)
    name = op.f("ix_model_calls_project_day")
    op.create_index(name, "model_calls", ["project", "day"], unique=False)


def _reservations() -> None:
    op.create_table(
        "reservations",
        sa.Column("id", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("project", "ask", "model", "day", "state", "made_at")
        ),
        *(
            sa.Column(name, sa.Text(), nullable=True)
            for name in ("plan", "step_id", "usd", "settled_usd")
        ),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=True)
            for name in ("run_number", "settled_tokens")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservations")),
    )
    op.create_index(op.f("ix_reservations_project"), "reservations", ["project"], unique=False)
