"""What Alembic runs: the migrations, on the connection that it was handed."""

from __future__ import annotations

from alembic import context

from runner.ledger.tables import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
