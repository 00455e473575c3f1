"""Everything of ours that touches a line, made of the real parts, for the state machine to drive one step at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from redis.asyncio import Redis

from app import redis_keys
from app.control import sale_schedule
from app.control.rooms import RoomControl
from app.ledger import editing, events, room_windows, rooms
from app.ledger.database import Database
from app.room import scripts
from app.room.answers import Tick
from app.room.errors import RoomUnavailable
from app.room.follow import Rooms
from app.room.presence import Presence
from app.room.scripts import WISH_BUCKET, Now, RoomScripts, TickCall
from app.room.timing import Timing
from app.room.view import LineView
from tests.lane.world import START, spec
from tests.room.room import TIMING, Clock, nobody_bought, nobody_owns
from workers import keeper
from workers.admitter import Admitter

EVENT = "gig"
WORKERS = 3
NUMBERS_MAX = 1_000  # more than any example gives


@dataclass
class Stores:
    redis: Redis
    db: Database
    clock: Clock


class Ticked(NamedTuple):
    """A tick that a worker made, and its answer."""

    epoch: int
    steady_ms: float
    since_ms: float | None
    answer: Tick


class Ticking(RoomScripts):
    """Real scripts that keep the ticks that were made."""

    def __init__(self, redis: Redis, timing: Timing) -> None:
        super().__init__(redis, timing)
        self.ticked: list[Ticked] = []

    async def tick_all(self, calls: Sequence[TickCall], now_ms: Now = None) -> list[Tick | RoomUnavailable]:
        ticks = await super().tick_all(calls, now_ms)
        for call, tick in zip(calls, ticks, strict=True):
            assert isinstance(tick, Tick)
            self.ticked.append(Ticked(call.epoch, call.steady_ms, call.since_ms, tick))
        return ticks


class Line:
    """The stores, and everything of ours that touches them: workers, an operator, a web process."""

    def __init__(self, stores: Stores) -> None:
        self.redis, self.db, self.clock = stores.redis, stores.db, stores.clock
        self.scripts = Ticking(self.redis, TIMING)
        self.rooms = Rooms(self.redis, self.scripts)
        self.room_control = RoomControl(self.redis, self.rooms, self.db, self.now)
        self.presence = Presence(self.scripts, 5, nobody_bought, nobody_owns)
        self.workers = [self.worker() for _ in range(WORKERS)]
        self.woken: list[str] = []

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.redis_ms / 1000, UTC)

    def worker(self) -> Admitter:
        async def wake(event_id: str, entry_id: str) -> None:
            self.woken.append(entry_id)

        return Admitter(self.scripts, wake, tick_ms=100)

    async def make(self, config: dict[str, Any], opens_ms: int, closes_ms: int) -> None:
        await events.create(self.db, spec(EVENT), START)
        await rooms.set_config(self.db, EVENT, config)
        await self.sell(opens_ms, closes_ms)
        await self.keep()
        for worker in self.workers:
            await worker.refresh()

    async def sell(self, opens_ms: int, closes_ms: int) -> None:
        """The event's sale is to open and close at these times; its room is told."""
        times = {"opens_at": datetime.fromtimestamp(opens_ms / 1000, UTC)}
        times["closes_at"] = datetime.fromtimestamp(closes_ms / 1000, UTC)
        done = await editing.edit(
            self.db, EVENT, editing.Edit(values=times), events.AdminAction("ann", "event.edit", {}), START
        )
        assert isinstance(done, editing.Edited)
        await sale_schedule.sync_room_with_sale(
            self.scripts, self.db, room_windows.of_event(done.after, EVENT), self.now()
        )

    async def keep(self) -> None:
        await keeper.keep(self.redis, self.scripts, self.db, self.now())

    async def entries(self, after: bytes) -> list[tuple[bytes, dict[bytes, bytes]]]:
        found: list[tuple[bytes, dict[bytes, bytes]]] = await self.redis.xrange(
            redis_keys.room_log(EVENT), min=b"(" + after
        )
        return found

    async def follow(self) -> LineView:
        """Do what the web's follower does once, and answer its view."""
        await self.rooms.discover()
        view = self.rooms.views[EVENT]
        news = await self.entries(view.log_id)
        if news:
            await self.rooms._apply(view, news)
        await self.rooms.recheck()
        return view

    async def snapshot(self) -> LineView:
        fresh = Rooms(self.redis, self.scripts)
        await fresh.discover()
        return fresh.views[EVENT]

    async def stored(self, epoch: int) -> dict[str, Any]:
        """What Redis holds of a line, in the model's shape."""
        words, counts = (
            ("state", "reason", "message", "messages"),
            ("epoch", "number", "bound", "cursor", "opened_after", "burst", "max_active"),
        )
        room = await self.redis.hmget(
            redis_keys.room(EVENT), [*words, "rate", "tokens", "refilled_ms", "rate_limited", *counts]
        )  # type: ignore[misc]
        pipe = self.redis.pipeline()
        for bucket in range(scripts.HOLDER_BUCKETS):
            pipe.hgetall(redis_keys.of_epoch(EVENT, epoch, f"holders:{bucket}"))
        for bucket in range(NUMBERS_MAX // WISH_BUCKET + 1):
            pipe.hgetall(redis_keys.of_epoch(EVENT, epoch, f"wishes:{bucket}"))
        hashes = await pipe.execute()
        flat = [(key.decode(), value.decode()) for found in hashes for key, value in found.items()]
        sorted_sets = {}
        for name in ("returned", "admitted", "active"):
            found = await self.redis.zrange(redis_keys.of_epoch(EVENT, epoch, name), 0, -1, withscores=True)
            sorted_sets[name] = {int(number): int(score) for number, score in found}
        lane = await self.redis.xrange(redis_keys.lane(EVENT))
        return {
            "room": [
                *(word.decode() for word in room[:4]),
                *map(float, room[4:7]),
                room[7] == b"1",
                *map(int, room[8:]),
            ],
            "holders": {key: int(value) for key, value in flat if not key.isdigit()},
            "wishes": {int(key): value for key, value in flat if key.isdigit()},
            "sent": [fields[b"c"].split(b'"id":"')[1].split(b'"')[0].decode() for _, fields in lane],
            **sorted_sets,
        }


def numbers(csv: bytes) -> list[int]:
    return [int(number) for number in csv.split(b",")] if csv else []
