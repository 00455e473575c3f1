"""Makes what follows the line and the seats, and tells browsers and shops of them."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial

from redis.asyncio import Redis

from app import jobs
from app.connections import closed_with
from app.control.seat_map_warmer import SeatMapWarmer
from app.http.hot.connections import Connections, Shares
from app.http.line.streams import Hub
from app.http.shop.live_seats import LiveSeats
from app.lane.outcomes import Outcomes
from app.lane.seats import SeatViews
from app.lane.stream import Lane
from app.ledger import reservations, users
from app.ledger import seats as seats_ledger
from app.ledger.database import Database
from app.ledger.errors import StoreError
from app.limits.addresses import Addresses
from app.outages import Outages
from app.room.errors import RoomUnavailable
from app.room.follow import Rooms
from app.room.presence import Presence
from config.settings import Settings


def make_lane(
    stack: AsyncExitStack, redis: Redis, db: Database, wake: jobs.Wake, settings: Settings, outages: Outages
) -> tuple[SeatViews, Lane]:
    """The seats in memory, and the lane that hears of them first."""
    outcomes = Outcomes()
    seats = SeatViews(redis, partial(seats_ledger.load, db), outcomes, settings.seat_maps_mb * 2**20, outages)
    return seats, closed_with(stack, Lane(redis, wake, outcomes, seats.open, settings.lane_wait_s))


def make_hubs(
    rooms: Rooms, seats: SeatViews, settings: Settings, addresses: Addresses, db: Database, outages: Outages
) -> tuple[Hub, LiveSeats, Presence]:
    """Those who tell the browsers: of their place in line, and of the seats; and who notes that they are here."""
    streams = Shares(addresses, settings.streams_per_address)
    hub = Hub(rooms, settings.stream_life_s, settings.streams_max, streams)
    seats.on_outcome(hub.answered)
    live = LiveSeats(
        seats,
        life_s=settings.stream_life_s,
        sockets_max=settings.sockets_max,
        shares=Shares(addresses, settings.sockets_per_address),
        origins=settings.own_origins,
        clock=time.monotonic,
    )
    seats.watched = lambda: live.watched
    return hub, live, make_presence(rooms, hub, db, settings, outages)


def make_presence(rooms: Rooms, hub: Hub, db: Database, settings: Settings, outages: Outages) -> Presence:
    flush_s = settings.presence_flush_s
    presence = Presence(rooms.scripts, flush_s, partial(who_bought, db), partial(who_owns, db), outages)
    presence.add_source(rooms.with_people_waiting)
    presence.add_source(hub.here)
    return presence


def make_connections(addresses: Addresses, settings: Settings) -> Connections:
    """The limits of this process's connections; each of them is a descriptor."""
    return Connections(addresses, settings.connections_per_address, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


async def discover(rooms: Rooms, warmer: SeatMapWarmer, now: datetime) -> SeatMapWarmer:
    """Know every room there is and the seat maps of sales that are near, before the first request."""
    await rooms.discover()
    await warmer.warm(now)
    return warmer


async def who_bought(db: Database, event_id: str, epoch: int, numbers: Sequence[int]) -> set[int]:
    """Those of these places for which something was bought. Raises RoomUnavailable while the shop cannot tell."""
    try:
        return await reservations.served(db, event_id, epoch, numbers)
    except StoreError as error:
        raise RoomUnavailable(type(error).__name__, str(error)) from error


async def who_owns(db: Database, holders: Iterable[str]) -> dict[str, str]:
    """The account of each holder that one took over. Raises RoomUnavailable while the shop cannot tell."""
    try:
        return await users.owners_of(db, holders)
    except StoreError as error:
        raise RoomUnavailable(type(error).__name__, str(error)) from error
