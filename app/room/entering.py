"""Lets people straight into a room whom nobody is before: a number, an admission and a pass in one step, or nothing.

The rule is that of the admission tick; the process that asks counts the time it saw pass since it last knew the bucket,
as a worker does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from app import redis_keys
from app.domain.admission import LATE_MAX_MS
from app.room.ordered import OrderedCalls
from app.room.person import Person
from app.room.scripts import LOG_ENTRIES_MAX, Now, RoomScripts, TickCall, holder_bucket, keys_of


class Entered(NamedTuple):
    """`numbers`: of those who were asked for, in their order; 0 of whom has to join. `expires_ms`: when the passes end.
    `refilled_ms`: up to when time has become tokens, for the next call."""

    numbers: list[int]
    expires_ms: int
    refilled_ms: float


async def enter(
    scripts: RoomScripts,
    call: TickCall,
    people: Sequence[Person],
    now_ms: Now = None,
    *,
    made_in: int,
    pass_s: int,
    client: OrderedCalls | None = None,
) -> Entered:
    """Let in as many of them as may come, in their order. `made_in`: as of a join. Raises RoomUnavailable."""
    event_id, epoch, steady_ms, since_ms = call
    flat = [part for one in people for part in (holder_bucket(one.holder), one.holder, one.network, one.proof)]
    networks = list(dict.fromkeys(one.network for one in people if one.network))
    names = keys_of(event_id, epoch, "gone", "holders:", "returned", "admitted", "active", "door:")
    names.append(redis_keys.room_log(event_id))
    args: list[Any] = ["" if now_ms is None else now_ms, epoch, "" if since_ms is None else since_ms, steady_ms]
    args += [msgspec.msgpack.encode(flat), scripts.limits.packed(), msgspec.msgpack.encode(networks)]
    args += [LOG_ENTRIES_MAX, pass_s * 1000, LATE_MAX_MS, scripts.high_water.remembered(event_id), made_in]
    _, refilled_ms, expires_ms, *numbers = await scripts.call("enter", names, args, client=client)
    last = max(numbers, default=0)
    if last:
        scripts.high_water.see(event_id, last, last)
    return Entered(numbers or [0] * len(people), expires_ms, float(refilled_ms))
