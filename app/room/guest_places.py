"""Gives accounts the positions of guests: what a log-in takes over in each line. merge.lua says what is kept of two."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from app import redis_keys
from app.room.answers import Merged, MergeStatus
from app.room.epochs import EPOCH_KEPT_S
from app.room.errors import as_room_unavailable
from app.room.scripts import LOG_ENTRIES_MAX, WISH_BUCKET, Now, RoomScripts, holder_bucket


class GuestPlace(NamedTuple):
    """A line, and the browser id of the guest whose position in it an account takes over; "" if there is no guest."""

    event_id: str
    epoch: int
    browser: str


async def merge(scripts: RoomScripts, places: Sequence[GuestPlace], account: str, now_ms: Now = None) -> list[Merged]:
    """Give the account the guest's position in each of these lines, in one round trip; the results are in their order.

    Raises RoomUnavailable.
    """
    with as_room_unavailable():
        async with scripts.redis.pipeline(transaction=False) as pipe:
            for place in places:
                await scripts.call("merge", *_merging(place, account, now_ms), client=pipe)
            return [Merged(MergeStatus(status.decode()), number) for status, number in await pipe.execute()]


def _merging(place: GuestPlace, account: str, now_ms: Now) -> tuple[list[str], list[Any]]:
    """The keys and arguments of the command."""
    event_id, epoch, browser = place
    of_epoch = partial(redis_keys.of_epoch, event_id, epoch)
    keys = [redis_keys.room(event_id), *map(of_epoch, ("gone", "returned", "admitted", "active"))]
    keys += [redis_keys.room_log(event_id), *map(of_epoch, ("holders:", "wishes:", "taken", "ranks"))]
    args: list[Any] = ["" if now_ms is None else now_ms, epoch, holder_bucket(browser), browser]
    args += [holder_bucket(account), account, LOG_ENTRIES_MAX, WISH_BUCKET, EPOCH_KEPT_S]
    return keys, args
