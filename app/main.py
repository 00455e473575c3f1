"""Puts the web process together: the one place where everything is made, started and stopped.

`create_app` builds the Starlette application; its lifespan opens the stores, starts the followers and closes all of it
in the opposite order. A follower that ends by itself is a bug and ends the process; the supervisor starts another.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from app import VERSION, jobs
from app.cache.cache import Cache
from app.connections import closed_with, follow, make_rooms, open_stores, shared_clock, until_stores_work
from app.control.rooms import RoomControl
from app.control.sale_schedule import reserve_numbers
from app.control.seat_map_warmer import SeatMapWarmer
from app.http.accounts.admins import Admins
from app.http.accounts.signers import make_signers
from app.http.events.poster_cache import PosterCache
from app.http.hot.front import Front
from app.http.kit.clock import Clock
from app.http.kit.problems import STORE_ERRORS, Problem, on_problem
from app.http.kit.routing import on_crash, on_http_exception, on_store_error
from app.http.ops.readiness import Readiness
from app.http.routes import every_route
from app.http.shop.rules import member_of
from app.http.shop.seat_map import PackedMaps
from app.http.state import State
from app.ledger import account_admin
from app.ledger import posters as posters_ledger
from app.ledger.passwords import Passwords
from app.limits.addresses import Addresses
from app.limits.limits import Limits
from app.metrics.web import Meters, WebMetrics
from app.origins.directory import known_origins
from app.outages import Outages
from app.payments.wiring import make_checkout, open_providers
from app.room.joiner import Joiner
from app.room.memory import RedisMemory
from app.wiring.accounts import make_openid, read_keys, revoked_sessions, webhook_secrets
from app.wiring.door import make_entrance
from app.wiring.line import discover, make_connections, make_hubs, make_lane
from app.wiring.metrics import measured, status_of
from config.settings import Settings

log = structlog.get_logger()


@asynccontextmanager
async def open_state(settings: Settings, process: str, given: Clock | None) -> AsyncIterator[State]:
    """Everything a web process holds, started; stopped when the block ends."""
    async with AsyncExitStack() as stack:
        outages, (redis, db, pool) = Outages(), await stack.enter_async_context(open_stores(settings))
        cache = closed_with(stack, Cache(redis, time.monotonic, secrets.token_hex(8), outages))
        shared = await stack.enter_async_context(shared_clock(redis, outages))
        clock = given or Clock(shared.seconds)
        scripts, rooms = make_rooms(redis, settings, clock.seconds, outages)
        seats, lane = make_lane(stack, redis, db, partial(jobs.wake_allocator, pool), settings, outages)
        addresses = Addresses(settings.trusted_proxies, settings.door_free_networks)
        hub, live, presence = make_hubs(rooms, seats, settings, addresses, db, outages)
        revoked = await revoked_sessions(stack, redis, db, clock, settings, outages)
        warmer = await discover(rooms, SeatMapWarmer(seats, db, clock.now, outages), clock.now())
        keys, keyring = read_keys(settings)
        status = await status_of(stack, settings, keys, redis, db, rooms, seats, clock, shared, process)
        signers = make_signers(keys, keyring, revoked, clock)
        providers = open_providers(settings, webhook_secrets(keys, keyring), db, clock.now)
        connections, memory = make_connections(addresses, settings), RedisMemory(redis)
        await follow(stack, rooms, seats, presence, hub, cache, revoked, live, keyring, warmer, connections, memory)
        yield State(
            **signers,
            settings=settings,
            clock=clock,
            redis=redis,
            db=db,
            scripts=scripts,
            rooms=rooms,
            joiner=closed_with(stack, Joiner(scripts, partial(reserve_numbers, scripts, db))),
            redis_memory=memory,
            presence=presence,
            connections=connections,
            hub=hub,
            live=live,
            entrance=await make_entrance(stack, settings, addresses, keys, keyring, clock),
            admins=Admins(partial(account_admin.get, db)),
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
            openid=make_openid(stack, settings, clock),
            origins=await stack.enter_async_context(known_origins(db, keys.holder_key, outages, rooms.on_change)),
            limits=Limits(redis),
            revoked_sessions=revoked,
            reservation_member=member_of(seats),
            meters=Meters(),
            readiness=Readiness(),
            metrics=WebMetrics(settings, process, status, shared),
        )


@asynccontextmanager
async def open_state_when_stores_work(settings: Settings, process: str, clock: Clock | None) -> AsyncIterator[State]:
    """The same, however long its stores are away: the log says so."""
    async with AsyncExitStack() as stack:
        yield await until_stores_work(
            Outages(), lambda: stack.enter_async_context(open_state(settings, process, clock))
        )


async def wake_posters(wake: Callable[[str], Awaitable[None]], upload_id: str) -> None:
    """Have a poster made of an uploaded picture at once. If that fails, the workers' next round makes it."""
    try:
        await wake(upload_id)
    except jobs.WakeUpFailed as error:
        log.warning("posters_not_woken", upload=upload_id, error=repr(error))


def create_app(settings: Settings, process: str = "web", clock: Clock | None = None) -> Front:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        async with open_state_when_stores_work(settings, process, clock) as state, measured(state):
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
