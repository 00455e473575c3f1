"""What the lifespan hands to every request: the process's own long-lived objects, typed instead of global."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypedDict

from redis.asyncio import Redis

from app.cache.cache import Cache
from app.control.rooms import RoomControl
from app.domain.browser import Browsers
from app.domain.ticket import TicketSigner
from app.door.entrance import Entrance
from app.http.accounts.account_macs import AccountMacs
from app.http.accounts.revoked_sessions import RevokedSessions
from app.http.accounts.tokens import Session, Tokens
from app.http.events.poster_cache import PosterCache
from app.http.hot.connections import Connections
from app.http.kit.clock import Clock
from app.http.kit.cookies import Headers
from app.http.kit.csrf import Csrf
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
from app.origins.passes import Passes
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


class State(TypedDict):
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
    tickets: TicketSigner
    browsers: Browsers
    tokens: Tokens
    admins: AdminCheck
    account_macs: AccountMacs
    visitor_of: Callable[[Headers], Session | None]
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
    passes: Passes
    limits: Limits
    revoked_sessions: RevokedSessions
    csrf: Csrf
    reservation_member: Extra
    meters: Meters
    readiness: Readiness
    metrics: WebMetrics
