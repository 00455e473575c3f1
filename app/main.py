"""Puts the web process together: the one place where everything is made, started and stopped.

`create_app` builds the Starlette application; its lifespan opens the stores, starts the followers and closes all of it
in the opposite order. A follower that ends by itself is a bug and ends the process; the supervisor starts another.
"""

from __future__ import annotations

import resource
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial

import structlog
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from app import VERSION, jobs
from app.cache.cache import Cache
from app.connections import (
    Follower,
    closed_with,
    make_processes,
    make_rooms,
    open_stores,
    running,
    shared_clock,
    until_stores_work,
)
from app.control.rooms import RoomControl
from app.control.sale_schedule import reserve_numbers
from app.control.seat_map_warmer import SeatMapWarmer
from app.domain.invited import Invited
from app.door.captcha import Captcha
from app.door.challenges import Challenges
from app.door.entrance import Entrance
from app.door.invitations import BadKeys, Invitations, remote_keys
from app.door.resume_codes import ResumeCodes
from app.door.waits import Waits
from app.http.accounts.account_macs import AccountMacs
from app.http.accounts.admins import Admins
from app.http.accounts.credentials import visitor_of
from app.http.accounts.keyring import Keyring
from app.http.accounts.revoked_sessions import RevokedSessions
from app.http.accounts.shut_out import ShutOut
from app.http.accounts.signers import make_signers
from app.http.events.poster_cache import PosterCache
from app.http.hot.connections import Connections, Shares
from app.http.hot.front import Front
from app.http.kit.clock import Clock
from app.http.kit.problems import STORE_ERRORS, Problem, on_problem
from app.http.kit.routing import on_crash, on_http_exception, on_store_error
from app.http.line.streams import Hub
from app.http.ops.readiness import Readiness
from app.http.routes import every_route
from app.http.shop.live_seats import LiveSeats
from app.http.shop.rules import member_of
from app.http.shop.seat_map import PackedMaps
from app.http.state import State
from app.identity.subject import Client, Provider
from app.lane.outcomes import Outcomes
from app.lane.seats import SeatViews
from app.lane.stream import Lane
from app.ledger import account_admin, reservations, users
from app.ledger import posters as posters_ledger
from app.ledger import seats as seats_ledger
from app.ledger.database import Database
from app.ledger.errors import StoreError
from app.ledger.passwords import Passwords
from app.limits.addresses import Addresses
from app.limits.limits import Limits
from app.limits.revocations import RevocationLog
from app.metrics.status import StatusCheck
from app.metrics.web import Meters, WebMetrics, WebSources
from app.origins.directory import known_origins
from app.outages import Outages
from app.payments.webhook_signature import WebhookSecrets
from app.payments.wiring import make_checkout, open_providers
from app.processes.shared_clock import SharedClock
from app.room.errors import RoomUnavailable
from app.room.follow import Rooms
from app.room.joiner import Joiner
from app.room.memory import RedisMemory
from app.room.presence import Presence
from config.demo import DEMO_IDS
from config.keys import KeyFingerprint, Keys, load_keys, path_of
from config.settings import Settings, SettingsError

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
        tickets, browsers, csrf, tokens, passes = make_signers(keys, keyring, revoked, clock)
        providers = open_providers(settings, webhook_secrets(keys, keyring), db, clock.now)
        connections, memory = make_connections(addresses, settings), RedisMemory(redis)
        await follow(stack, rooms, seats, presence, hub, cache, revoked, live, keyring, warmer, connections, memory)
        yield State(
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
            tickets=tickets,
            browsers=browsers,
            tokens=tokens,
            passes=passes,
            admins=Admins(partial(account_admin.get, db)),
            account_macs=AccountMacs(keys.holder_key, secrets.token_bytes),
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
            openid=make_openid(stack, settings, clock),
            origins=await stack.enter_async_context(known_origins(db, keys.holder_key, outages, rooms.on_change)),
            limits=Limits(redis),
            revoked_sessions=revoked,
            csrf=csrf,
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


async def follow(stack: AsyncExitStack, *followers: Follower) -> None:
    """Run these until the stack is closed."""
    await stack.enter_async_context(running(**{type(each).__name__: each.run() for each in followers}))


async def wake_posters(wake: Callable[[str], Awaitable[None]], upload_id: str) -> None:
    """Have a poster made of an uploaded picture at once. If that fails, the workers' next round makes it."""
    try:
        await wake(upload_id)
    except jobs.WakeUpFailed as error:
        log.warning("posters_not_woken", upload=upload_id, error=repr(error))


async def status_of(
    stack: AsyncExitStack,
    settings: Settings,
    keys: Keys,
    redis: Redis,
    db: Database,
    rooms: Rooms,
    seats: SeatViews,
    clock: Clock,
    shared: SharedClock,
    process: str,
) -> StatusCheck:
    """What finds out what is wrong, with this process among the others, and with what all share."""
    fingerprint = KeyFingerprint(path_of(settings.data_dir, settings.keys_file), keys)
    processes = closed_with(stack, make_processes(shared, process, "web", fingerprint))
    await follow(stack, processes)
    return StatusCheck(
        redis=redis,
        db=db,
        rooms=rooms,
        seats=seats,
        processes=processes,
        wait_max_s=settings.lane_wait_s,
        data_dir=settings.data_dir,
        now=clock.now,
    )


async def revoked_sessions(
    stack: AsyncExitStack, redis: Redis, db: Database, clock: Clock, settings: Settings, outages: Outages
) -> RevokedSessions:
    """Every session that is over: as Redis was told, and as SQL goes on saying of accounts that an admin shut out."""
    revocations = RevocationLog(redis, settings.session_s)
    revoked = RevokedSessions(revocations, clock, frozenset() if settings.demo else DEMO_IDS, outages)
    await revoked.load()
    shut_out = ShutOut(partial(account_admin.ended_since, db), revoked, clock, outages)
    await shut_out.load()
    await follow(stack, shut_out)
    return revoked


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


def read_keys(settings: Settings) -> tuple[Keys, Keyring]:
    """The keys there are, and what looks for more of them from now on."""
    keyring = Keyring(path_of(settings.data_dir, settings.keys_file))
    return load_keys(settings.data_dir, settings.keys_file), keyring


def webhook_secrets(keys: Keys, keyring: Keyring) -> WebhookSecrets:
    """Those that webhooks may be signed with, now and after a rotation."""
    known = WebhookSecrets(keys.webhook_secrets)
    keyring.on_change(lambda more: known.learn(more.webhook_secrets))
    return known


async def make_entrance(
    stack: AsyncExitStack, settings: Settings, addresses: Addresses, keys: Keys, keyring: Keyring, clock: Clock
) -> Entrance:
    """What is asked of people at the doors of rooms."""
    challenges = Challenges(keys.ticket_keys, keys.ticket_kid, secrets.randbelow)
    waits = Waits(keys.ticket_keys, keys.ticket_kid, secrets.token_bytes)
    keyring.on_change(lambda more: challenges.learn(more.ticket_keys))
    keyring.on_change(lambda more: waits.learn(more.ticket_keys))
    invited = Invited(keys.ticket_keys, keys.ticket_kid, keys.holder_key)
    keyring.on_change(lambda more: invited.learn(more.ticket_keys))
    invitations = make_invitations(stack, settings, clock)
    await follow(stack, invitations)
    captcha = None
    if settings.captcha_verify_url:
        asked = (settings.captcha_verify_url, settings.captcha_site_key, settings.captcha_secret)
        captcha = Captcha(*asked, settings.captcha_script_url, time.monotonic)
    return Entrance(
        addresses=addresses,
        challenges=challenges,
        waits=waits,
        captcha=captcha,
        invited=invited,
        invitations=invitations,
        resume_codes=ResumeCodes(keys.holder_key, secrets.token_bytes),
    )


def make_invitations(stack: AsyncExitStack, settings: Settings, clock: Clock) -> Invitations:
    """Raises SettingsError if the keys that invitations are signed with cannot be used."""
    remote = None
    if settings.invitation_jwks_url:
        remote, client = remote_keys(settings.invitation_jwks_url, time.monotonic)
        stack.push_async_callback(client.aclose)
    try:
        return Invitations(settings.invitation_secret, settings.invitation_jwks, clock.seconds, remote)
    except BadKeys as error:
        raise SettingsError(f"TIKETI_INVITATION_SECRET_FILE, TIKETI_INVITATION_JWKS_FILE: {error}") from error


def make_openid(stack: AsyncExitStack, settings: Settings, clock: Clock) -> Provider | None:
    """The organiser's log-in, where one is set: only there its library, which takes long, is imported."""
    if not settings.oidc_issuer:
        return None
    from app.identity.openid import OpenId

    callback = f"{settings.buyers_url}/login/openid/callback"
    client = Client(settings.oidc_client_id, settings.oidc_client_secret, callback)
    return closed_with(stack, OpenId(settings.oidc_issuer, client, clock.seconds, time.monotonic))


def make_lane(
    stack: AsyncExitStack, redis: Redis, db: Database, wake: jobs.Wake, settings: Settings, outages: Outages
) -> tuple[SeatViews, Lane]:
    """The seats in memory, and the lane that hears of them first."""
    outcomes = Outcomes()
    seats = SeatViews(redis, partial(seats_ledger.load, db), outcomes, settings.seat_maps_mb * 2**20, outages)
    return seats, closed_with(stack, Lane(redis, wake, outcomes, seats.open, settings.lane_wait_s))


def make_presence(rooms: Rooms, hub: Hub, db: Database, settings: Settings, outages: Outages) -> Presence:
    flush_s = settings.presence_flush_s
    presence = Presence(rooms.scripts, flush_s, partial(who_bought, db), partial(who_owns, db), outages)
    presence.add_source(rooms.with_people_waiting)
    presence.add_source(hub.here)
    return presence


def make_connections(addresses: Addresses, settings: Settings) -> Connections:
    """The limits of this process's connections; each of them is a descriptor."""
    return Connections(addresses, settings.connections_per_address, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


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
        connections=state["connections"],
        streams=state["hub"],
        sockets=state["live"],
        lane=state["lane"],
        cache=state["cache"],
        seats=state["seats"],
    )
    return state["metrics"].published_for(counted)


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
