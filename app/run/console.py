"""The commands that show waiting rooms and change them.

They use the same `RoomControl` as the admin page and the API, so a change is recorded in the audit log and applies from
the next tick.
"""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from app.control.rooms import RefusedChange, RoomChange, Sample, UnknownRoom, open_room_control
from app.domain.line import DrawStage, RoomState
from app.room.errors import RoomUnavailable
from app.run.telling import Tell
from config.settings import Settings

WATCH_EVERY_S = 1.0

Sure = Callable[[str], bool]  # says what it costs, and whether to go on

COLUMNS = (
    *("event", "state", "waiting", "in/s", "out/s", "admitted", "active", "oldest", "empty in", "rate/s", "burst"),
    "opening",
)
WIDTHS = (14, 10, 8, 7, 7, 9, 13, 8, 12, 7, 6, 14)
IN_MINUTES_FROM_S, IN_HOURS_FROM_S = 300, 3 * 3600  # how precisely the time until an opening is shown


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


async def change(settings: Settings, event_id: str, wanted: RoomChange, tell: Tell, sure: Sure) -> None:
    """Change a room; tells what is changed. `sure` is asked before people lose their place. Raises ConsoleError,
    StoreError."""
    try:
        async with open_room_control(settings) as control:
            if wanted.state is RoomState.closed:
                here = await control.sample(event_id)
                people = here.waiting + here.admitted + here.active
                if people and not sure(f"In line and inside of {event_id}: {people}. They lose their place."):
                    raise ConsoleError(f"Nothing was changed. To end the line: tiketi close {event_id} --yes")
            changed = await control.change(event_id, who(), wanted)
    except UnknownRoom:
        raise ConsoleError(no_room(event_id)) from None
    except RefusedChange as error:
        raise ConsoleError(f"Refused: {error}.") from None
    except RoomUnavailable as error:
        raise NotRunningError(not_running(settings, error)) from error
    tell(changed, f"{event_id}: " + ", ".join(f"{name} {_in_words(value)}" for name, value in changed.items()))


def _in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name} {inner}" for name, inner in value.items()) or "none"
    return str(value)


async def status(settings: Settings, event_id: str | None, tell: Tell) -> None:
    """One table row for the event, or for every room."""
    await _samples(settings, event_id, tell, once=True)


async def watch(settings: Settings, event_id: str, tell: Tell) -> None:
    """A row each second until cancelled."""
    await _samples(settings, event_id, tell, once=False)


async def _samples(settings: Settings, event_id: str | None, tell: Tell, *, once: bool) -> None:
    try:
        async with open_room_control(settings) as control:
            wanted = [event_id] if event_id else await control.event_ids()
            widest = max(map(len, wanted), default=0)
            tell.words(row(COLUMNS, widest))
            while True:
                for name in wanted:
                    sample = await control.sample(name)
                    tell(sample, row(cells(sample, control.now()), widest))
                if once:
                    return
                await asyncio.sleep(WATCH_EVERY_S)
    except UnknownRoom as error:
        raise ConsoleError(no_room(str(error))) from None
    except RoomUnavailable as error:
        raise NotRunningError(not_running(settings, error)) from error


def cells(sample: Sample, now: datetime) -> tuple[str, ...]:
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
        opening(sample, now),
    )


def opening(sample: Sample, now: datetime) -> str:
    """How far a room's opening is: when it is, that it is being drawn, or how many were drawn."""
    if sample.draw is DrawStage.closed:
        return "being drawn"
    if sample.state in (RoomState.scheduled, RoomState.lobby) and sample.opens_at is not None:
        left_s = round((sample.opens_at - now).total_seconds())
        if left_s <= 0:
            return "now"
        if left_s < IN_MINUTES_FROM_S:
            return f"in {left_s} s"
        return f"in {left_s // 60} min" if left_s < IN_HOURS_FROM_S else f"in {left_s // 3600} h"
    return f"{sample.drawn} drawn" if sample.drawn else "-"


def row(values: Sequence[str], id_chars: int) -> str:
    """One line of the table; the first column is as wide as the longest id in it."""
    widths = (max(id_chars, WIDTHS[0]), *WIDTHS[1:])
    cells = [
        f"{value:<{width}}" if index < 2 else f"{value:>{width}}"
        for index, (value, width) in enumerate(zip(values, widths, strict=True))
    ]
    return " ".join(cells).rstrip()


def limit_of(error: str) -> str:
    """The limit of a value in words, from msgspec's sentence ("Expected `float` >= 0.1 - at `$.ratePerSecond`")."""
    said = error.split(" - at")[0]
    for sign, words in ((">=", "the minimum is"), ("length <=", "the maximum length is"), ("<=", "the maximum is")):
        if sign in said:
            limit = said.rpartition(" ")[2]
            return f"{words} {limit}{' characters' if 'length' in sign else ''}"
    return said


def no_room(event_id: str) -> str:
    return f"There is no waiting room for an event {event_id!r}; `tiketi status` lists all rooms."


def not_running(settings: Settings, error: Exception) -> str:
    return f"Redis does not answer at {settings.redis} ({error}). Is Tiketi running, with the same settings?"


STATES = {
    "pause": RoomState.paused,
    "resume": RoomState.open,
    "drain": RoomState.draining,
    "close": RoomState.closed,
}
