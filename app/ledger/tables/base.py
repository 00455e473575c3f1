"""What all tables share: their collection, the type for points in time, and the constraint for a fixed set of words."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, DateTime, Dialect, MetaData
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


def stored(value: datetime) -> str:
    """The text that SQLite stores for a UtcDateTime, for statements that bypass the column's type."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def allowed_values(column: str, words: type[StrEnum] | type[SeatStatus]) -> CheckConstraint:
    """A constraint that lets the column hold only the names of the members of an enum."""
    names = ", ".join(f"'{word.name}'" for word in words)
    return CheckConstraint(f"{column} IN ({names})", name=f"{column}_known")
