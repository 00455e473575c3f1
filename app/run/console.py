"""The commands that show waiting rooms and change them.

They use the same `RoomControl` as the admin page and the API, so a change is recorded in the audit log and applies from
the next tick.
"""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Sequence

from app.control.rooms import RefusedChange, RoomChange, Sample, UnknownRoom, open_room_control
from app.domain.line import RoomState
from app.room.errors import RoomUnavailable
from app.run.children import Say
from config.settings import Settings
from config.urls import shown

WATCH_EVERY_S = 1.0

COLUMNS = ("event", "state", "waiting", "in/s", "out/s", "admitted", "active", "oldest", "empty in", "rate/s", "burst")
WIDTHS = (14, 10, 8, 7, 7, 9, 13, 8, 12, 7, 6)


class ConsoleError(Exception):
    """The command cannot be carried out; the message says why in one sentence."""


class NotRunningError(ConsoleError):
    """Redis or the database cannot be reached."""


def who() -> str:
    """The user at this terminal, as the audit log names them."""
    try:
        return f"{pwd.getpwuid(os.getuid()).pw_name}@cli"
    except KeyError:  # a container may run as a user without a name
        return f"{os.getuid()}@cli"


async def change(settings: Settings, event_id: str, wanted: RoomChange, say: Say) -> None:
    try:
        async with open_room_control(settings) as control:
            changed = await control.change(event_id, who(), wanted)
    except UnknownRoom:
        raise ConsoleError(no_room(event_id)) from None
    except RefusedChange as error:
        raise ConsoleError(f"Refused: {error}.") from None
    except RoomUnavailable as error:
        raise NotRunningError(not_running(settings, error)) from error
    say(f"{event_id}: " + ", ".join(f"{name} {value}" for name, value in changed.items()))


async def status(settings: Settings, event_id: str | None, say: Say) -> None:
    """One table row for the event, or for every room."""
    await _samples(settings, event_id, say, once=True)


async def watch(settings: Settings, event_id: str, say: Say) -> None:
    """A row each second until cancelled."""
    await _samples(settings, event_id, say, once=False)


async def _samples(settings: Settings, event_id: str | None, say: Say, *, once: bool) -> None:
    try:
        async with open_room_control(settings) as control:
            wanted = [event_id] if event_id else await control.event_ids()
            widest = max(map(len, wanted), default=0)
            say(row(COLUMNS, widest))
            while True:
                for name in wanted:
                    say(row(cells(await control.sample(name)), widest))
                if once:
                    return
                await asyncio.sleep(WATCH_EVERY_S)
    except UnknownRoom as error:
        raise ConsoleError(no_room(str(error))) from None
    except RoomUnavailable as error:
        raise NotRunningError(not_running(settings, error)) from error


def cells(sample: Sample) -> tuple[str, ...]:
    eta = sample.eta_seconds
    return (
        sample.event_id,
        sample.state,
        str(sample.waiting),
        f"{sample.inflow_per_second:.1f}",
        f"{sample.outflow_per_second:.1f}",
        str(sample.admitted),
        f"{sample.active}/{sample.max_active}",
        f"{sample.oldest_wait_seconds} s",
        f"{eta['low']}-{eta['high']} s" if eta else "-",
        f"{sample.rate_per_second:g}",
        str(sample.burst),
    )


def row(values: Sequence[str], id_chars: int) -> str:
    """One line of the table; the first column is as wide as the longest id in it."""
    widths = (max(id_chars, WIDTHS[0]), *WIDTHS[1:])
    cells = [
        f"{value:<{width}}" if index < 2 else f"{value:>{width}}"
        for index, (value, width) in enumerate(zip(values, widths, strict=True))
    ]
    return " ".join(cells).rstrip()


def no_room(event_id: str) -> str:
    return f"There is no waiting room for an event {event_id!r}; `tiketi status` lists all rooms."


def not_running(settings: Settings, error: Exception) -> str:
    return f"Redis does not answer at {shown(settings.redis)} ({error}). Is Tiketi running, with the same settings?"


STATES = {
    "pause": RoomState.paused,
    "resume": RoomState.open,
    "drain": RoomState.draining,
    "close": RoomState.closed,
}
