"""The whole product in one event loop: web processes on real sockets, a worker, Redis and SQLite.

A few events are made before anything starts, as on a real start; each test then makes those that it needs.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx2
import uvicorn
from redis.asyncio import Redis

from app import connections as process
from app.connections import timing
from app.control.rooms import RoomChange
from app.control.sale_schedule import sync_room_with_sale
from app.http.events.cache import changed
from app.http.hot.fast import FastProtocol
from app.http.hot.guarded import GuardedProtocol
from app.http.hot.sockets import SOCKETS
from app.http.state import State
from app.ledger import events, room_windows, users
from app.ledger.database import Database, open_database
from app.main import create_app
from app.room.follow import Rooms
from app.room.scripts import RoomScripts
from config.settings import Settings
from tests.lane import world
from tests.waiting import WAIT_MAX_S, wait_until
from workers.main import build

ADMIN = ("boss@example.com", "boss-password")
BUYER = ("buyer@example.com", "buyer-password")
ROOM = {"state": "open", "rate_per_s": 1000.0, "burst": 1000, "max_active": 1000}
STARTS_IN = timedelta(days=30)


class Server(uvicorn.Server):
    """uvicorn that leaves the test run's signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class Web:
    """One web process, as far as anybody outside can tell."""

    server: Server
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def state(self) -> State:
        return cast(State, self.server.lifespan.state)

    def client(self, **options: Any) -> httpx2.AsyncClient:
        """A browser, or a program, that nobody has seen before; it loads no certificates."""
        return httpx2.AsyncClient(base_url=self.url, timeout=WAIT_MAX_S, verify=False, **options)


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Web]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            create_app(settings),
            http=FastProtocol if settings.fast_path else GuardedProtocol,
            **SOCKETS,
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies,
        )
        server = Server(config)
        task = asyncio.create_task(server.serve([listening]))

        async def has_started() -> bool:
            assert not task.done(), "the web process ended"
            return server.started

        await wait_until(has_started, description="the web process serves")
        web = Web(server, listening.getsockname()[1])
        try:
            yield web
        finally:
            for stream in web.state["hub"].streams:
                stream.ends_s = 0.0
            server.should_exit = True
            await task


@asynccontextmanager
async def working(settings: Settings, wall_s: Callable[[], float] = time.time) -> AsyncIterator[None]:
    worker = build(settings, wall_s=wall_s)
    task = asyncio.create_task(worker.async_run())
    try:
        yield
        if task.done():
            # Cancelled: a follower of this loop ended, and the signal it then sends reached arq.
            why = None if task.cancelled() else task.exception()
            raise AssertionError(f"the worker ended by itself; followers that did: {process.failed}") from why
    finally:
        assert worker.main_task is not None
        # Cancelled while it asks Redis, arq leaves its connections open: first let it come to rest.
        worker.allow_pick_jobs = False
        rested = asyncio.Event()

        async def rest() -> None:
            rested.set()

        worker.heart_beat = rest  # type: ignore[method-assign]

        async def is_at_rest() -> bool:
            return task.done() or (rested.is_set() and all(job.done() for job in worker.tasks.values()))

        await wait_until(is_at_rest, description="the worker's jobs are done")
        worker.main_task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            await worker.close()  # arq still calls redis-py's close


Working = Callable[[Settings], AbstractAsyncContextManager[None]]


@dataclass
class System:
    settings: Settings
    redis: Redis
    store: Database
    web: Web
    stack: AsyncExitStack
    loop: asyncio.AbstractEventLoop
    tokens: dict[str, str] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def state(self) -> State:
        return self.web.state

    @property
    def db(self) -> Database:
        """The tables. A write from another loop would wait for one that stands still half-way through a write."""
        assert asyncio.get_running_loop() is self.loop, 'a fixture needs loop_scope="module"'
        return self.store

    async def event(self) -> str:
        """A new event, which the web knows when this returns."""
        event_id, now = f"event-{next(self._numbers)}", datetime.now(UTC)
        await events.create(self.db, event_spec(event_id, now), now)
        made = await events.get(self.db, event_id)
        assert made is not None, "it was just made"
        await sync_room_with_sale(self.state["scripts"], self.db, room_windows.of_event(made, event_id), now)
        await self.state["rooms"].reload(event_id)
        await self.state["seats"].open(event_id)
        await changed(self.state, event_id)
        return event_id

    async def change(self, event_id: str, **wanted: Any) -> None:
        """What an admin does; felt by the web when this returns."""
        await self.state["room_control"].change(event_id, "test", RoomChange(**wanted))
        await self.state["rooms"].reload(event_id)

    async def another_web(self, **changed: Any) -> Web:
        """One more web process, until the system stops."""
        return await self.stack.enter_async_context(serving(replace(self.settings, **changed)))

    async def bearer(self, who: tuple[str, str] = ADMIN) -> dict[str, str]:
        """The header of somebody logged in."""
        email, password = who
        if email not in self.tokens:
            async with self.web.client() as client:
                answer = await client.post("/api/auth/login", json={"email": email, "password": password})
            self.tokens[email] = answer.json()["token"]
        return {"authorization": f"Bearer {self.tokens[email]}"}

    def browser(self) -> dict[str, str]:
        """The cookie of a browser that was here before."""
        return {"tiketi_holder": self.state["browsers"].new().cookie}

    async def last_number(self, event_id: str) -> int:
        """The last number the room gave."""
        number = await self.redis.hget(f"tiketi:{{{event_id}}}:room", "number")  # type: ignore[misc]
        return int(number or 0)


def event_spec(event_id: str, now: datetime, **changed: Any) -> events.EventSpec:
    """Two rows of six: row 0 is grade R for 100, row 1 grade S for 50."""
    times = {"opens_at": now - timedelta(hours=1), "starts_at": now + STARTS_IN}
    return replace(world.spec(event_id), **{"room": ROOM, **times, **changed})


async def _fill(db: Database) -> None:
    """`event-0` has an open room, `direct` has none, and the sale of `later` has not begun."""
    now = datetime.now(UTC)
    await db.create_all()
    await events.create(db, event_spec("event-0", now), now)
    await events.create(db, event_spec("direct", now, admission="open", room={}), now)
    later = now + timedelta(hours=1)
    await events.create(db, event_spec("later", now, opens_at=later, room={**ROOM, "state": "scheduled"}), now)
    for user_id, (email, password), role in (("u_1", ADMIN, "admin"), ("u_2", BUYER, "buyer")):
        await users.create(
            db,
            user_id=user_id,
            email=email,
            name=user_id,
            password=password,
            role="admin" if role == "admin" else "buyer",
            now=now,
        )


@asynccontextmanager
async def running_system(settings: Settings, redis: Redis, worker: Working = working) -> AsyncIterator[System]:
    async with AsyncExitStack() as stack:
        settings.data_dir.mkdir(exist_ok=True)
        db = open_database(settings.database)
        stack.push_async_callback(db.close)
        await _fill(db)
        await stack.enter_async_context(worker(settings))
        rooms = Rooms(redis, RoomScripts(redis, timing(settings)))

        async def rooms_are_made() -> bool:
            await rooms.discover()
            return rooms.views.keys() == {"event-0", "later"}

        await wait_until(rooms_are_made, description="the worker has made the rooms")
        web = await stack.enter_async_context(serving(settings))
        async with AsyncExitStack() as more:
            yield System(settings, redis, db, web, more, asyncio.get_running_loop())
