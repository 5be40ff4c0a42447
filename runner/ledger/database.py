"""Opening databases by URL, transactions, and errors with their cause."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from runner.core.errors import LedgerError
from runner.ledger import migrations

BUSY_TIMEOUT_S = 5.0
PAUSE_S = 0.02
# Options of a connection's next transaction.
WRITING, REBUILDABLE = "planlock_writing", "planlock_rebuildable"

REBUILD = "planlock ledger rebuild"
CHECK = "planlock ledger check"
ELSEWHERE = "git config planlock.ledgerUrl sqlite:////path/to/ledger.sqlite"

DAMAGED = ("SQLITE_NOTADB", "SQLITE_CORRUPT")
CAUSES: Mapping[str, tuple[str, str]] = {
    "SQLITE_BUSY": ("another process has locked it", CHECK),
    "SQLITE_NOTADB": ("the file is damaged or no SQLite database", REBUILD),
    "SQLITE_CORRUPT": ("the file is damaged", REBUILD),
    "SQLITE_READONLY": ("it cannot be written", ELSEWHERE),
    "SQLITE_CANTOPEN": ("the file cannot be opened", ELSEWHERE),
    "SQLITE_FULL": ("the disk is full", "df -h"),
    "SQLITE_IOERR": ("the disk refused", "df -h"),
}
STATES: Mapping[migrations.State, tuple[str, str]] = {
    "newer": ("a newer planlock has written it", "pip install --upgrade planlock"),
    "foreign": ("the database belongs to another program", ELSEWHERE),
    "broken": ("it is half migrated or lacks tables", REBUILD),
}


def parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        raise LedgerError("opening the ledger: its URL cannot be read", hint=ELSEWHERE) from error
    if _is_sqlite(parsed) and (parsed.query or parsed.database in {None, "", ":memory:"}):
        raise LedgerError(
            "opening the ledger: a SQLite URL names a file and takes no options", hint=ELSEWHERE
        )
    return parsed


def sqlite_url(path: Path) -> str:
    return URL.create("sqlite", database=str(path)).render_as_string()


def place_of(url: URL) -> str:
    """The database as messages name it, without a password."""
    return str(url.database) if _is_sqlite(url) else url.render_as_string(hide_password=True)


def open_engine(url: URL, *, busy_timeout_s: float) -> Engine:
    """Make the database where it is missing and migrate it; safe for openers at the same time."""
    if _is_sqlite(url):
        _make_file(Path(str(url.database)))
    with ExitStack() as undo:
        engine = _engine(url, busy_timeout_s)
        undo.callback(engine.dispose)
        _bring_up_to_date(engine)
        undo.pop_all()
    return engine


@contextmanager
def writing(engine: Engine, *, rebuildable: bool = False) -> Iterator[Connection]:
    """One transaction, which takes SQLite's write lock at its start and never half way.

    What git can bring back does not wait for SQLite's disk: a power cut may take the last such
    transactions, whole and newest first, and never one that came before a durable one.
    """
    options = {WRITING: True, REBUILDABLE: rebuildable}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def explained(activity: str, place: str) -> Iterator[None]:
    """Turn what databases and drivers raise into LedgerError."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        cause, hint = _explain(error)
        raise LedgerError(f"{activity} the ledger {place}: {cause}", hint=hint) from error
    except ImportError as error:
        raise LedgerError(
            f"{activity} the ledger {place}: its driver is not installed: {error.name}",
            hint=f"pip install {error.name}",
        ) from error


def set_aside(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Path | None:
    """Move a damaged or half migrated SQLite ledger out of the way, and say where it is now.

    None where it can be opened or is no file; what belongs to another program stays.
    """
    parsed = parse(url)
    path = Path(str(parsed.database))
    if not _is_sqlite(parsed) or not path.exists():
        return None
    with explained("checking", place_of(parsed)):
        return _move(path) if _is_damaged(parsed, busy_timeout_s) else None


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _make_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def _engine(url: URL, busy_timeout_s: float) -> Engine:
    if not _is_sqlite(url):
        return create_engine(url, hide_parameters=True)
    # Without an isolation level the driver leaves BEGIN to us, for DDL and reads too.
    arguments = {"isolation_level": None, "timeout": 0}
    engine = create_engine(url, hide_parameters=True, connect_args=arguments)

    def prepare(connection: sqlite3.Connection, _: object) -> None:
        _use_wal(connection, attempts=1 + int(busy_timeout_s / PAUSE_S))
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA busy_timeout={int(busy_timeout_s * 1000)}")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _use_wal(connection: sqlite3.Connection, *, attempts: int) -> None:
    """SQLite does not wait for this lock by itself: two first openers would collide."""
    for left in reversed(range(attempts)):
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
        except sqlite3.OperationalError as error:
            if not _name(error).startswith("SQLITE_BUSY") or left == 0:
                raise
            time.sleep(PAUSE_S)
        else:
            return


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(WRITING):
        synchronous = "NORMAL" if options.get(REBUILDABLE) else "FULL"
        connection.exec_driver_sql(f"PRAGMA synchronous={synchronous}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(WRITING) else "BEGIN")


def _bring_up_to_date(engine: Engine) -> None:
    found = _state(engine)
    if found == "current":
        return
    if found in STATES:
        cause, hint = STATES[found]
        raise LedgerError(f"opening the ledger {place_of(engine.url)}: {cause}", hint=hint)
    from runner.ledger.migrations.upgrade import upgrade

    try:
        with writing(engine) as connection:
            if migrations.state(connection) != "current":
                upgrade(connection)
    except DBAPIError:
        # A server has no lock for a table that is not there yet: another opener may have won.
        if _state(engine) != "current":
            raise


def _state(engine: Engine) -> migrations.State:
    with engine.connect() as connection:
        return migrations.state(connection)


def _is_damaged(url: URL, busy_timeout_s: float) -> bool:
    engine = _engine(url, busy_timeout_s)
    try:
        with engine.connect() as connection:
            sound = connection.exec_driver_sql("PRAGMA quick_check").scalar() == "ok"
            return not sound or migrations.state(connection) == "broken"
    except DBAPIError as error:
        if _name(error.orig).startswith(DAMAGED):
            return True
        raise
    finally:
        engine.dispose()


def _move(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.broken-{number}") for number in range(1, 1000))
    target = next(name for name in names if not name.exists())
    # The log goes first: left behind, it would be replayed into the new file.
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{target}{suffix}")
    return target


def _explain(error: Exception) -> tuple[str, str]:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    if isinstance(cause, OSError):
        return cause.strerror or str(cause), ELSEWHERE
    name = _name(cause)
    known = next((CAUSES[prefix] for prefix in CAUSES if name.startswith(prefix)), None)
    return known or (" ".join(str(cause).split()), CHECK)


def _name(error: BaseException | None) -> str:
    return getattr(error, "sqlite_errorname", "")
