"""What the lifespan hands to every request: the process's own long-lived objects, typed instead of global."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypedDict

from redis.asyncio import Redis

from app.cache.cache import Cache
from app.control.rooms import RoomControl
from app.domain.ticket import TicketSigner
from app.http.accounts.revoked_sessions import RevokedSessions
from app.http.accounts.tokens import Session, Tokens
from app.http.events.poster_cache import PosterCache
from app.http.kit.clock import Clock
from app.http.kit.cookies import Headers
from app.http.kit.csrf import Csrf
from app.http.line.position import Extra
from app.http.line.streams import Hub
from app.http.shop.live_seats import LiveSeats
from app.http.shop.seat_map import PackedMaps
from app.lane.seats import SeatViews
from app.lane.stream import Lane
from app.ledger.database import Database
from app.ledger.passwords import Passwords
from app.limits.limits import Limits
from app.metrics.web import Meters, WebMetrics
from app.payments.checkout import Checkout
from app.payments.registry import Providers
from app.room.follow import Rooms
from app.room.joiner import Joiner
from app.room.presence import Presence
from app.room.scripts import RoomScripts
from config.settings import Settings


class State(TypedDict):
    settings: Settings
    clock: Clock
    redis: Redis
    db: Database
    scripts: RoomScripts
    rooms: Rooms
    joiner: Joiner
    presence: Presence
    hub: Hub
    live: LiveSeats
    tickets: TicketSigner
    tokens: Tokens
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
    limits: Limits
    revoked_sessions: RevokedSessions
    csrf: Csrf
    reservation_member: Extra
    meters: Meters
    metrics: WebMetrics
