"""Local times of a venue: read into moments in UTC, and shown again as the same wall clock.

The one place where a local time becomes a moment. A time with an offset is a moment already; one without is read by the
clock on the wall of its zone, and refused where that clock jumps over it or shows it twice.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ZONE_CHARS_MAX = 64
MOMENT_CHARS_MAX = 40
MOMENT = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?$"
YEAR_MIN, YEAR_MAX = 1970, 2999  # far from the ends of what a datetime holds, so no conversion leaves it
EXAMPLE = "2026-05-01T09:00 or 2026-05-01T09:00:00+09:00"
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")
_MOMENT = re.compile(MOMENT, re.ASCII)


class BadTime(ValueError):
    """Not a time that can be meant; the text says why, and `code` for programs."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name. Raises BadTime; a name is never read as a path."""
    if len(name) > ZONE_CHARS_MAX or _ZONE.fullmatch(name) is None or name.startswith(("posix", "right", "localtime")):
        raise BadTime("zone_unknown", f"{name[:ZONE_CHARS_MAX]!r} is not an IANA time zone such as Asia/Seoul")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadTime("zone_unknown", f"{name!r} is not a time zone we know") from None


def moment_of(text: str, zone: str) -> datetime:
    """The moment in UTC, to the millisecond, that `text` means: ISO 8601, with an offset or by the clock of `zone`.

    Raises BadTime for anything else, for a local time that the clock skips and for one that it shows twice.
    """
    if len(text) > MOMENT_CHARS_MAX or _MOMENT.fullmatch(text) is None:
        raise BadTime(
            "time_invalid",
            f"{text[:MOMENT_CHARS_MAX]!r} is not a time such as {EXAMPLE}",
        )
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadTime("time_invalid", f"{text!r} is no time: {error}") from None
    if not YEAR_MIN <= given.year <= YEAR_MAX:
        raise BadTime("time_invalid", f"the year {given.year} is not between {YEAR_MIN} and {YEAR_MAX}")
    given = given.replace(microsecond=given.microsecond // 1000 * 1000)  # rooms count in milliseconds
    return _unambiguous(given, zone) if given.tzinfo is None else given.astimezone(UTC)


def _unambiguous(local: datetime, zone: str) -> datetime:
    first = local.replace(tzinfo=zone_of(zone), fold=0)
    second = first.replace(fold=1)
    shown = local.isoformat(sep=" ", timespec="minutes")
    if first.utcoffset() == second.utcoffset():
        return first.astimezone(UTC)
    if first.astimezone(UTC).astimezone(first.tzinfo).replace(tzinfo=None) != local:
        why = f"{shown} does not exist in {zone}: the clock is set forward over it"
        raise BadTime("time_skipped", f"{why}. Choose another time")
    offsets = " or ".join(_offset(each.utcoffset()) for each in (first, second))
    why = f"{shown} happens twice in {zone}: the clock is set back then"
    raise BadTime("time_twice", f"{why}. Add the offset that is meant, {offsets}")


def _offset(offset: timedelta | None) -> str:
    minutes = int((offset or timedelta()).total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def local_text(moment: datetime, zone: str) -> str:
    """The wall clock of `zone` at a moment, as a `datetime-local` input takes it; seconds only where there are any."""
    local = moment.astimezone(zone_of(zone)).replace(tzinfo=None, microsecond=0)
    return local.isoformat(timespec="seconds" if local.second else "minutes")
