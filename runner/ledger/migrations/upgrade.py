"""Running the migrations; a module of its own since Alembic costs start-up time."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def config(connection: Connection) -> Config:
    found = Config()
    folder = str(Path(__file__).parent)
    found.set_main_option("script_location", folder.replace("%", "%%"))
    found.set_main_option("path_separator", "os")
    found.attributes["connection"] = connection
    return found


def upgrade(connection: Connection) -> None:
    """Bring the database to HEAD within the transaction that the connection is in."""
    command.upgrade(config(connection), "head")
