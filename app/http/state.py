"""What the lifespan hands to every request: the process's own long-lived objects, typed instead of global."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from redis.asyncio import Redis

from app.cache.cache import Cache
from app.control.rooms import RoomControl
from app.door.entrance import Entrance
from app.http.accounts.revoked_sessions import RevokedSessions
from app.http.accounts.signers import Signers
from app.http.accounts.tokens import Session
from app.http.events.poster_cache import PosterCache
from app.http.hot.connections import Connections
from app.http.kit.clock import Clock
from app.http.line.position import Extra
from app.http.line.streams import Hub
from app.http.ops.readiness import Readiness
from app.http.shop.live_seats import LiveSeats
from app.http.shop.seat_map import PackedMaps
from app.identity.subject import Provider
from app.lane.seats import SeatViews
from app.lane.stream import Lane
from app.ledger.database import Database
from app.ledger.passwords import Passwords
from app.limits.limits import Limits
from app.metrics.web import Meters, WebMetrics
from app.origins.directory import Directory
from app.payments.checkout import Checkout
from app.payments.registry import Providers
from app.room.follow import Rooms
from app.room.joiner import Joiner
from app.room.memory import RedisMemory
from app.room.presence import Presence
from app.room.scripts import RoomScripts
from config.settings import Settings


class AdminCheck(Protocol):
    """What confirms that an admin is one now (app/http/accounts/admins.py)."""

    async def check(self, session: Session) -> None: ...


class State(Signers):
    settings: Settings
    clock: Clock
    redis: Redis
    db: Database
    scripts: RoomScripts
    rooms: Rooms
    joiner: Joiner
    redis_memory: RedisMemory
    presence: Presence
    connections: Connections
    hub: Hub
    live: LiveSeats
    entrance: Entrance
    admins: AdminCheck
    room_control: RoomControl
    lane: Lane
    seats: SeatViews
    packed: PackedMaps
    checkout: Checkout
    providers: Providers
    cache: Cache
    posters: PosterCache
    wake_posters: Callable[[str], Awaitable[None]]
    passwords: Passwords
    openid: Provider | None
    origins: Directory
    limits: Limits
    revoked_sessions: RevokedSessions
    reservation_member: Extra
    meters: Meters
    readiness: Readiness
    metrics: WebMetrics
