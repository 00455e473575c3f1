"""`tiketi trace`: every step of one number of a running system, in words or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from functools import partial

from app.audit import trace as tracing
from app.audit.trace import NumberNeverGiven, StoresAway, Trace, UnknownRoom
from app.connections import open_redis, open_store, timing, utc_now
from app.http.admin.trace_words import NameOf, gap_words, rows, standing_words
from app.http.kit.i18n import TEXTS, Lang
from app.ledger.errors import StoreError
from app.payments.wiring import providers_for_commands
from app.room.follow import Rooms
from app.room.scripts import RoomScripts
from app.run.console import ConsoleError, NotRunningError, no_room
from app.run.telling import Tell
from config.settings import Settings

LANG: Lang = "en"


async def trace(settings: Settings, event_id: str, number: int, tell: Tell) -> None:
    """Print every step. Raises ConsoleError; NotRunningError at the end if a store did not answer."""
    try:
        found, method_name = await _read(settings, event_id, number)
    except UnknownRoom:
        raise ConsoleError(no_room(event_id)) from None
    except NumberNeverGiven as error:
        raise ConsoleError(
            f"Number {number} of {event_id} was never given; the last one is {error.last}."
            if error.last
            else f"Number {number} of {event_id} was never given; nobody has joined the line yet."
        ) from None
    except StoresAway:
        where = settings.redis
        raise NotRunningError(
            f"Neither Redis at {where} nor the database answers. Is Tiketi running, with the same settings?"
        ) from None
    tell(found, *_words(found, method_name))
    if not found.is_whole:
        raise NotRunningError(f"Steps may be missing: a store did not answer. Redis: {settings.redis}.")


async def _read(settings: Settings, event_id: str, number: int) -> tuple[Trace, NameOf]:
    """The trace, and what names a payment method in the language of the command line."""
    async with AsyncExitStack() as stack:
        redis = open_redis(settings)
        stack.push_async_callback(redis.aclose)
        db = open_store(settings)
        stack.push_async_callback(db.close)
        with suppress(StoreError):  # the trace reports a database that cannot be reached; other tables are an error
            await db.require_tables()
        rooms = Rooms(redis, RoomScripts(redis, timing(settings)))
        method_name = partial(providers_for_commands(settings, db, utc_now).method_name, language=LANG)
        return await tracing.trace(rooms, db, event_id, number, utc_now()), method_name


def _words(found: Trace, method_name: NameOf) -> Iterator[str]:
    t = TEXTS[LANG]
    yield (f"{found.event_id}, number {found.number}: {standing_words(t, found, moment)}")
    told = rows(t, found, moment, method_name)
    widths = [max((len(row[column]) for row in told), default=0) for column in (0, 2)]
    for at, what, source in told:
        yield (f"{at:<{widths[0]}}  {source:<{widths[1]}}  {what}")
    for gap in found.gaps:
        yield (f"Missing: {gap_words(t, gap, moment)}")


def moment(at: datetime) -> str:
    """A time in UTC with milliseconds, in the format of the logs."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}Z"
