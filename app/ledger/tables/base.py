"""What all tables share: their collection, the type for points in time, and the constraint for a fixed set of words."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    DateTime,
    Dialect,
    Index,
    MetaData,
    String,
    TextClause,
    literal_column,
    text,
)
from sqlalchemy.types import TypeDecorator

from app.domain.reservation import SeatStatus

metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """Stores time-zone-aware datetimes as UTC and returns them as UTC. Refuses datetimes without a time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The value to store. Raises ValueError for a datetime without a time zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The stored value with the time zone UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def by_bytes(length: int) -> String:
    """A text of at most `length` characters that both databases order by its bytes, whatever language they sort by."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def stored(value: datetime) -> str:
    """The text that SQLite stores for a UtcDateTime, for statements that bypass the column's type."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def has_word(column: ColumnElement[str], *words: StrEnum) -> ColumnElement[bool]:
    """SQL: the column holds one of these words, written out instead of bound.

    SQLite reads a partial index only if the statement repeats its condition: use this wherever `if_word` made one.
    """
    written: list[ColumnElement[str]] = [literal_column(_quoted(word)) for word in sorted(words)]
    return column == written[0] if len(written) == 1 else column.in_(written)


def if_word(column: str, *words: StrEnum) -> TextClause:
    """The condition of a partial index for `has_word`."""
    written = [_quoted(word) for word in sorted(words)]
    return text(f"{column} = {written[0]}" if len(written) == 1 else f"{column} IN ({', '.join(written)})")


def partial_index(name: str, *columns: str, where: TextClause, unique: bool = False) -> Index:
    """An index of the rows for which `where` holds, on both databases."""
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


def _quoted(word: StrEnum) -> str:
    return f"'{word.value}'"


def allowed_values(column: str, words: type[StrEnum] | type[SeatStatus]) -> CheckConstraint:
    """A constraint that lets the column hold only the names of the members of an enum."""
    names = ", ".join(f"'{word.name}'" for word in words)
    return CheckConstraint(f"{column} IN ({names})", name=f"{column}_known")
