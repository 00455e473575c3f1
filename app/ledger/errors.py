"""What can go wrong with the store as a whole, in sentences that are safe to show: no address, no password, no values.

A broken unique or check rule is not here: that is SQLAlchemy's IntegrityError, for whoever wrote the statement.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

REPEATABLE = ("40001", "40P01")  # serialization failure, deadlock: nothing happened, and again it may go well
_BUSY = (*REPEATABLE, "55P03", "57014", "53300")  # lock or statement out of time, too many connections
_AWAY = ("08", "57P")  # connection broken, server going down or coming up
_REFUSED = "22"  # a number out of range, a text too long, a NUL in it
_UNUSABLE = ("28", "3D", "42501", "3F")  # wrong password, no such database, not permitted


class StoreError(Exception):
    """The database could not do what it was asked to; nothing was changed."""


class StoreAway(StoreError):
    """It does not answer. It may be back at any time."""


class StoreBusy(StoreError):
    """Others were in the way for longer than we wait. To be tried again."""


class StoreUnusable(StoreError):
    """It answers, but will not have us: somebody must change a setting."""


class ValueRefused(StoreError):
    """A value does not fit into its column: asked by somebody whose input was not checked well enough."""


@contextmanager
def in_our_words() -> Iterator[None]:
    """Raise what fails inside as a StoreError where it is one; anything else goes through as it is."""
    try:
        yield
    except TimeoutError as error:  # the driver's own patience, for a server that says nothing at all
        raise StoreAway("The database took too long.") from error
    except (SQLAlchemyError, PostgresError, InterfaceError) as error:
        ours = store_error(error)
        if ours is None:
            raise
        raise ours from error


@contextmanager
def connecting() -> Iterator[None]:
    """The same while a connection is made, when the network's own errors mean the store as well."""
    try:
        with in_our_words():
            yield
    except (OSError, InternalClientError) as error:
        raise StoreAway(f"The database does not answer ({type(error).__name__}).") from error


def store_error(error: BaseException) -> StoreError | None:
    """What an error of a driver or of SQLAlchemy says about the store, if it does."""
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
    """PostgreSQL's five-character code, through any number of wrappings; empty if there is none."""
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
        return StoreBusy("Others were writing to the database for too long.")
    if "unable to open database file" in said:
        return StoreUnusable("The database's file cannot be opened. Is TIKETI_DATA_DIR the right one?")
    if "database or disk is full" in said or "disk I/O error" in said:
        return StoreUnusable("The database cannot write its file. Is the disk full?")
    if "DataError" in said:  # asyncpg refuses what it cannot encode before it sends anything
        return ValueRefused("A value does not fit into its column.")
    return _of_state(sqlstate(error))


def _of_state(code: str) -> StoreError | None:
    if code in _BUSY:
        return StoreBusy("Others were in the way in the database for too long.")
    if code.startswith(_AWAY):
        return StoreAway("The database is shutting down or starting.")
    if code.startswith(_UNUSABLE):
        return StoreUnusable("The database refuses us: the name, the password or the rights in DATABASE_URL are wrong.")
    if code.startswith(_REFUSED):
        return ValueRefused("A value does not fit into its column.")
    return None
