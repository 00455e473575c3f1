"""Puts the web process together: the one place where everything is made, started and stopped.

`create_app` builds the Starlette application; its lifespan opens the stores, starts the followers and closes all of it
in the opposite order. A follower that ends by itself is a bug and ends the process; the supervisor starts another.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from importlib import metadata
from typing import Protocol, TypeVar

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from app import jobs
from app.cache.cache import Cache
from app.connections import Follower, open_redis, open_store, running, timing
from app.control.rooms import RoomControl
from app.control.seat_map_warmer import SeatMapWarmer
from app.domain.ticket import TicketSigner
from app.http.accounts.credentials import visitor_of
from app.http.accounts.keyring import Keyring
from app.http.accounts.revoked_sessions import RevokedSessions
from app.http.accounts.tokens import Tokens
from app.http.events.poster_cache import PosterCache
from app.http.hot.front import Front
from app.http.kit.clock import Clock
from app.http.kit.csrf import Csrf
from app.http.kit.problems import STORE_ERRORS, Problem, on_problem
from app.http.kit.routing import on_crash, on_http_exception, on_store_error
from app.http.line.position import Extra
from app.http.line.streams import Hub
from app.http.routes import every_route
from app.http.shop.live_seats import LiveSeats
from app.http.shop.rules import member_of
from app.http.shop.seat_map import PackedMaps
from app.http.state import State
from app.lane.outcomes import Outcomes
from app.lane.seats import SeatViews
from app.lane.stream import Lane
from app.ledger import account_admin, reservations
from app.ledger import posters as posters_ledger
from app.ledger import seats as seats_ledger
from app.ledger.database import Database
from app.ledger.errors import StoreError
from app.ledger.passwords import Passwords
from app.limits.limits import Limits
from app.limits.revocations import RevocationLog
from app.metrics.web import Meters, WebMetrics, WebSources
from app.payments.wiring import make_checkout, open_providers
from app.room.errors import RoomUnavailable
from app.room.follow import Rooms
from app.room.joiner import Joiner
from app.room.presence import Presence
from app.room.scripts import RoomScripts
from config.keys import Keys, load_keys, path_of
from config.settings import Settings

VERSION = metadata.version("tiketi")

log = structlog.get_logger()


class Closable(Protocol):
    async def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


def closed_with(stack: AsyncExitStack, thing: C) -> C:
    """The same thing, which is closed when the stack is."""
    stack.push_async_callback(thing.close)
    return thing


@asynccontextmanager
async def open_state(settings: Settings, process: str, clock: Clock) -> AsyncIterator[State]:
    """Everything a web process holds, started; stopped when the block ends."""
    async with AsyncExitStack() as stack:
        redis = open_redis(settings)
        stack.push_async_callback(redis.aclose)
        db = closed_with(stack, open_store(settings))
        pool = await jobs.open_jobs(settings.redis)
        stack.push_async_callback(pool.aclose)
        cache = closed_with(stack, Cache(redis, time.monotonic, secrets.token_hex(8)))
        scripts = RoomScripts(redis, timing(settings))
        rooms = Rooms(redis, scripts)
        outcomes = Outcomes()
        seats = SeatViews(redis, lambda event_id: seats_ledger.load(db, event_id), outcomes)
        lane = Lane(redis, partial(jobs.wake_allocator, pool), outcomes, seats.open, settings.lane_wait_s)
        stack.push_async_callback(lane.close)
        presence = Presence(scripts, settings.presence_flush_s, partial(who_bought, db))
        presence.add_source(rooms.with_people_waiting)
        joiner = closed_with(stack, Joiner(scripts, secrets.SystemRandom().shuffle))
        member = member_of(seats)
        hub, live = make_hubs(rooms, seats, member, settings)
        presence.add_source(hub.here)
        revoked = await revoked_sessions(RevocationLog(redis, settings.session_s), db, clock)
        warmer = await discover(rooms, SeatMapWarmer(seats, db, lambda: live.watched, clock.now), clock.now())
        keys, keyring = read_keys(settings)
        tickets, csrf, tokens = make_signers(keys, keyring, revoked, clock)
        providers = open_providers(settings, keys, db, clock.now)
        followers: dict[str, Follower] = {"rooms": rooms, "seats": seats, "presence": presence, "hub": hub}
        followers |= {"cache": cache, "revoked": revoked, "live": live, "keyring": keyring, "warmer": warmer}
        await stack.enter_async_context(running(**{name: each.run() for name, each in followers.items()}))
        yield State(
            settings=settings,
            clock=clock,
            redis=redis,
            db=db,
            scripts=scripts,
            rooms=rooms,
            joiner=joiner,
            presence=presence,
            hub=hub,
            live=live,
            tickets=tickets,
            tokens=tokens,
            visitor_of=partial(visitor_of, tokens),
            room_control=RoomControl(redis, rooms, db, clock.now),
            lane=lane,
            seats=seats,
            packed=PackedMaps(),
            providers=providers,
            checkout=make_checkout(settings, providers, db, lane.submit, lane.send, clock.now),
            cache=cache,
            posters=PosterCache(partial(posters_ledger.read, db)),
            wake_posters=partial(wake_posters, partial(jobs.wake_poster_maker, pool)),
            passwords=closed_with(stack, Passwords(settings.hashes_at_once)),
            limits=Limits(redis),
            revoked_sessions=revoked,
            csrf=csrf,
            reservation_member=member,
            meters=Meters(),
            metrics=WebMetrics(settings, process, redis, db, rooms, clock.now),
        )


async def wake_posters(wake: Callable[[str], Awaitable[None]], upload_id: str) -> None:
    """Have a poster made of an uploaded picture at once. If that fails, the workers' next round makes it."""
    try:
        await wake(upload_id)
    except jobs.WakeUpFailed as error:
        log.warning("posters_not_woken", upload=upload_id, error=repr(error))


async def revoked_sessions(revocations: RevocationLog, db: Database, clock: Clock) -> RevokedSessions:
    """Every session that is over: as Redis was told, and as SQL says of accounts that an admin shut out."""
    revoked = RevokedSessions(revocations, clock)
    await revoked.load()
    found = await account_admin.ended_since(db, clock.now() - timedelta(seconds=revoked.session_s))
    await revoked.learn({user_id: at.timestamp() for user_id, at in found.items()})
    return revoked


async def who_bought(db: Database, event_id: str, epoch: int, numbers: Sequence[int]) -> set[int]:
    """Those of these places for which something was bought. Raises RoomUnavailable while the shop cannot tell."""
    try:
        return await reservations.served(db, event_id, epoch, numbers)
    except StoreError as error:
        raise RoomUnavailable(type(error).__name__, str(error)) from error


def read_keys(settings: Settings) -> tuple[Keys, Keyring]:
    """The keys there are, and what looks for more of them from now on."""
    keyring = Keyring(path_of(settings.data_dir, settings.keys_file))
    return load_keys(settings.data_dir, settings.keys_file), keyring


def make_signers(
    keys: Keys, keyring: Keyring, revoked: RevokedSessions, clock: Clock
) -> tuple[TicketSigner, Csrf, Tokens]:
    """Those who sign with the newest of the keys, and check with all that there are and will be."""
    tickets, csrf = TicketSigner(keys.ticket_keys, keys.ticket_kid), Csrf(keys.ticket_keys, keys.ticket_kid)
    tokens = Tokens(keys.signing_keys, keys.signing_kid, revoked.is_over, clock)
    keyring.on_change(lambda more: tickets.learn(more.ticket_keys))
    keyring.on_change(lambda more: csrf.learn(more.ticket_keys))
    keyring.on_change(lambda more: tokens.learn(more.signing_keys))
    return tickets, csrf, tokens


def make_hubs(rooms: Rooms, seats: SeatViews, member: Extra, settings: Settings) -> tuple[Hub, LiveSeats]:
    """Those who tell the browsers: of their place in line, and of the seats."""
    hub = Hub(rooms, member, settings.stream_life_s, settings.streams_max)
    seats.on_outcome(hub.answered)
    live = LiveSeats(
        seats,
        life_s=settings.stream_life_s,
        sockets_max=settings.sockets_max,
        origins=settings.own_origins,
        clock=time.monotonic,
    )
    return hub, live


async def discover(rooms: Rooms, warmer: SeatMapWarmer, now: datetime) -> SeatMapWarmer:
    """Know every room there is and the seat maps of sales that are near, before the first request."""
    await rooms.discover()
    await warmer.warm(now)
    return warmer


def measured(state: State) -> AbstractAsyncContextManager[None]:
    """The metrics of this process, served while the block runs."""
    counted = WebSources(
        meters=state["meters"],
        joiner=state["joiner"],
        streams=state["hub"],
        sockets=state["live"],
        lane=state["lane"],
        cache=state["cache"],
    )
    return state["metrics"].published_for(counted)


def create_app(settings: Settings, process: str = "web", clock: Clock | None = None) -> Front:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        async with open_state(settings, process, clock or Clock()) as state, measured(state):
            yield state

    app = Starlette(
        routes=every_route(VERSION),
        exception_handlers={
            Problem: on_problem,
            HTTPException: on_http_exception,
            **dict.fromkeys(STORE_ERRORS, on_store_error),
            Exception: on_crash,
        },
        lifespan=lifespan,
    )
    return Front(app, settings.public_url)
