"""The errors of the database as a whole, with messages that are safe to show: no address, no password, no values.

A violated unique or check constraint is not among them: that stays SQLAlchemy's IntegrityError, for the caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

REPEATABLE = ("40001", "40P01")  # serialization failure, deadlock: rolled back, and a repeat may succeed
_BUSY = (*REPEATABLE, "55P03", "57014", "53200", "53300")  # lock or statement timeout, no memory, too many connections
_AWAY = ("08", "57P")  # connection broken, server going down or coming up
_READ_ONLY = "25006"  # a standby, or a server that somebody has made read-only
_FULL = ("53100", "58030")  # no space left on its disk, or the disk fails
_REFUSED = "22"  # a number out of range, a text too long, a NUL in it
_UNUSABLE = ("28", "3D", "42501", "3F")  # wrong password, no such database, not permitted


class StoreError(Exception):
    """The database could not carry out a transaction. Nothing was changed."""


class StoreAway(StoreError):
    """The database cannot be reached or does not answer. A later attempt may succeed."""


class StoreBusy(StoreError):
    """Other transactions were in the way: a deadlock, or no free lock or connection in time. A repeat may succeed."""


class StoreUnusable(StoreError):
    """The database refuses access or cannot write. A person must change a setting or free space."""


class ValueRefused(StoreError):
    """A value is too long or out of range for its column: the validation of input should have refused it."""


@contextmanager
def as_store_errors() -> Iterator[None]:
    """Turn errors of the database inside the block into a StoreError; other errors pass unchanged."""
    try:
        yield
    except TimeoutError as error:  # the driver's own time limit, for a server that does not answer at all
        raise StoreAway("The database took too long.") from error
    except (SQLAlchemyError, PostgresError, InterfaceError) as error:
        ours = store_error(error)
        if ours is None:
            raise
        raise ours from error


@contextmanager
def connecting() -> Iterator[None]:
    """`as_store_errors` for opening a connection: network errors become StoreAway too."""
    try:
        with as_store_errors():
            yield
    except (OSError, InternalClientError) as error:
        raise StoreAway(f"The database does not answer ({type(error).__name__}).") from error


def store_error(error: BaseException) -> StoreError | None:
    """The StoreError for an error of a driver or of SQLAlchemy, or None if it does not concern the database itself."""
    if isinstance(error, PoolTimeoutError):
        return StoreBusy("Every connection to the database is in use.")
    if isinstance(error, DBAPIError):
        return _of_driver(error)
    if isinstance(error, PostgresError):
        return _of_state(getattr(error, "sqlstate", None) or "")
    if isinstance(error, InterfaceError):
        return StoreAway("The connection to the database broke.")
    return None


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's five-character error code, also of a wrapped error; empty if there is none."""
    at: BaseException | None = error
    while at is not None:
        code = getattr(getattr(at, "orig", at), "sqlstate", None)
        if code:
            return str(code)
        at = at.__cause__
    return ""


def _of_driver(error: DBAPIError) -> StoreError | None:
    if error.connection_invalidated:
        return StoreAway("The connection to the database broke.")
    said = str(error.orig)
    if "database is locked" in said:
        return StoreBusy("The database stayed locked by another writer for too long.")
    if "unable to open database file" in said:
        return StoreUnusable("The database file cannot be opened. Check TIKETI_DATA_DIR and DATABASE_URL.")
    if "database or disk is full" in said or "disk I/O error" in said:
        return StoreUnusable("The database cannot write its file. Is the disk full?")
    if "readonly database" in said:
        return StoreUnusable("The database cannot write its file, which is read-only.")
    if "DataError" in said:  # asyncpg refuses what it cannot encode before it sends anything
        return ValueRefused("A value does not fit into its column.")
    return _of_state(sqlstate(error))


def _of_state(code: str) -> StoreError | None:
    if code in _BUSY:
        return StoreBusy("The database was busy with other transactions for too long.")
    if code.startswith(_AWAY):
        return StoreAway("The database is shutting down or starting.")
    if code == _READ_ONLY:
        return StoreAway("The database takes no writes: it is a standby, or was made read-only.")
    if code in _FULL:
        return StoreUnusable("The database cannot write its files. Is the disk full?")
    if code.startswith(_UNUSABLE):
        return StoreUnusable("The database refuses access: check database, user, password and rights in DATABASE_URL.")
    if code.startswith(_REFUSED):
        return ValueRefused("A value does not fit into its column.")
    return None
