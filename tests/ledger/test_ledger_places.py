"""Where a ledger lies: its URL, its file, and who may read it."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from ledger_samples import FULL_RUN, PROJECT, file_of, open_at, projected

from runner.core.errors import LedgerError
from runner.ledger.store import Ledger, sqlite_url


def test_the_database_is_for_its_owner_only(tmp_path: Path) -> None:
    """The folder and the files of a new ledger are closed to other users."""
    with open_at(tmp_path) as ledger:
        ledger.put(projected(FULL_RUN).at(PROJECT))
        made = [file_of(tmp_path).parent, *file_of(tmp_path).parent.iterdir()]
        assert len(made) > 2
        assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in made} == {0}


def test_the_database_is_durable(tmp_path: Path) -> None:
    """SQLite keeps a write-ahead log."""
    with open_at(tmp_path) as ledger:
        ledger.put(projected(FULL_RUN).at(PROJECT))
        with closing(sqlite3.connect(file_of(tmp_path))) as other:
            assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("name", ["a b", "100%", "what?", "a#b", "ä", "%20"])
def test_paths_survive_being_a_url(tmp_path: Path, name: str) -> None:
    """A file's URL names that file whatever characters its folders have."""
    with open_at(tmp_path / name):
        assert file_of(tmp_path / name).is_file()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:///a.db?mode=ro", "nonsense", "foo://x/y"]
)
def test_a_url_that_keeps_nothing_is_refused(url: str) -> None:
    """Databases in memory, options and URLs that cannot be read are refused with a hint."""
    with pytest.raises(LedgerError, match="opening the ledger") as caught:
        Ledger(url, project=PROJECT)
    assert caught.value.hint


def test_a_missing_driver_is_named() -> None:
    """Without its driver a server cannot be used; the message hides the password."""
    url = "mssql+pymssql://ada:secret@localhost/planlock"
    with pytest.raises(LedgerError, match=r"pymssql") as caught:
        Ledger(url, project=PROJECT)
    assert caught.value.hint == "pip install pymssql"
    assert "secret" not in caught.value.message


def test_a_url_round_trips(tmp_path: Path) -> None:
    """The ledger names its place as the path of its file."""
    with open_at(tmp_path) as ledger:
        assert ledger.place == str(file_of(tmp_path))
        assert sqlite_url(file_of(tmp_path)).startswith("sqlite:///")
