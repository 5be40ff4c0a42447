"""The tables: REBUILDABLE ones derive from git row for row, OPERATIONAL ones do not."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

VERSION_TABLE = "planlock_version"

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

agent_runs = Table(
    "agent_runs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("run_number", BigInteger, nullable=False),
    Column("plan_digest", Text, nullable=False),
    Column("goal", Text, nullable=False),
    Column("workspace_path", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("completed_at", Text),
    Column("total_cost", Text),
    Column("unpriced_calls", BigInteger, nullable=False),
    UniqueConstraint("project", "plan", "run_number"),
)

steps = Table(
    "steps",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("run_id", Text, ForeignKey(agent_runs.c.id), nullable=False),
    Column("step_number", BigInteger, nullable=False),
    Column("step_id", Text, nullable=False),
    Column("step_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("input", Text, nullable=False),
    Column("output", Text),
    Column("cost", Text),
    Column("unpriced_calls", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("executed_at", Text),
    UniqueConstraint("run_id", "step_id"),
)

approvals = Table(
    "approvals",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("repository", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("approver", Text, nullable=False),
    Column("signer", Text),
    Column("assurance", Text),
    Column("genuine", Boolean, nullable=False),
    Column("steps", Text, nullable=False),
    Column("skipped", Text, nullable=False),
    Column("supersedes", Text, nullable=False),
    Column("execution", Text, nullable=False),
    Column("made_at", Text, nullable=False),
    Column("expires_at", Text),
    Column("limit_usd", Text),
    Column("limit_runs", BigInteger),
    Column("reason", Text),
    UniqueConstraint("project", "digest"),
    Index(None, "project", "plan"),
)

model_calls = Table(
    "model_calls",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("run_id", Text, ForeignKey(agent_runs.c.id), nullable=False),
    Column("plan", Text, nullable=False),
    Column("run_number", BigInteger, nullable=False),
    Column("step_id", Text),
    Column("record_number", BigInteger, nullable=False),
    Column("call_number", BigInteger, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("day", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("answer_id", Text, nullable=False),
    Column("answer_attempt", BigInteger, nullable=False),
    Column("gen_ai_provider_name", Text, nullable=False),
    Column("gen_ai_request_model", Text, nullable=False),
    Column("gen_ai_response_model", Text, nullable=False),
    Column("gen_ai_usage_input_tokens", BigInteger, nullable=False),
    Column("gen_ai_usage_cache_read_input_tokens", BigInteger, nullable=False),
    Column("gen_ai_usage_cache_creation_input_tokens", BigInteger, nullable=False),
    Column("gen_ai_usage_output_tokens", BigInteger, nullable=False),
    Column("gen_ai_usage_reasoning_output_tokens", BigInteger, nullable=False),
    Column("usage_source", Text, nullable=False),
    Column("route_reason", Text, nullable=False),
    Column("cost_usd", Text),
    Column("cost_status", Text, nullable=False),
    Column("price_source", Text, nullable=False),
    Column("saved_usd", Text),
    Column("reservation", Text, nullable=False),
    UniqueConstraint("run_id", "record_number", "call_number"),
    Index(None, "project", "plan", "run_number"),
    Index(None, "project", "day"),
)

# Money set aside for calls that no record tells of yet; a record that does takes the row away.
reservations = Table(
    "reservations",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("plan", Text),
    Column("run_number", BigInteger),
    Column("step_id", Text),
    Column("ask", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("usd", Text),
    Column("tokens", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("settled_usd", Text),
    Column("settled_tokens", BigInteger),
    Column("made_at", Text, nullable=False),
    Index(None, "project"),
)

projected_refs = Table(
    "projected_refs",
    METADATA,
    Column("project", Text, primary_key=True),
    Column("ref", Text, primary_key=True),
    Column("commit_id", Text, nullable=False),
)

RUN_TABLES = (agent_runs, steps, model_calls)
REBUILDABLE = (*RUN_TABLES, approvals)
OPERATIONAL = (projected_refs, reservations)
