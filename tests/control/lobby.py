"""A lobby on real stores, and a worker that draws it with known dice; its time passes only when told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from app import redis_keys
from app.control.opening_draw import Beacon, Drawn, make_draw, prepare
from app.control.sale_schedule import sync_room_with_sale
from app.domain import draw
from app.domain.line import DrawStage, RoomState
from app.domain.ticket import holder_text
from app.ledger import draws, rooms
from app.ledger.database import Database
from app.ledger.draws import Draw
from app.ledger.room_windows import Window
from app.room.answers import JoinStatus
from app.room.record import RoomRecord, read_record
from tests.room.room import EVENT, TIMING, Room

LOBBY_MS = 60_000
DRAW_MS = 2_000
DRAWN = replace(TIMING, draw_ms=DRAW_MS)
MINUTE_MS = 60_000
FAR = datetime(2200, 1, 1, tzinfo=UTC)


def holder(n: int) -> str:
    return holder_text(n.to_bytes(16, "big"))


@dataclass
class Lobby:
    """A room that opens a minute after its lobby, which has begun, and a worker that draws with known dice."""

    room: Room
    dice: Callable[[int], bytes]
    beacon: Beacon | None = None

    @property
    def now(self) -> datetime:
        return at(self.room.clock.redis_ms)

    async def record(self) -> RoomRecord:
        found = await read_record(self.room.redis, EVENT)
        assert found is not None
        return found

    async def commit(self) -> None:
        stores = (self.room.scripts, self.room.db)
        await prepare(*stores, EVENT, await self.record(), self.dice, self.beacon, self.now)

    async def draw(self) -> Drawn | None:
        stores, now_ms = (self.room.scripts, self.room.db), self.room.clock.redis_ms
        return await make_draw(*stores, EVENT, await self.record(), self.now, now_ms, self.beacon)

    async def tick(self) -> RoomState:
        tick = await self.room.scripts.tick(EVENT, self.room.epoch, 100, self.room.clock.redis_ms)
        assert isinstance(tick.room, RoomState), tick
        return tick.room

    async def enter(self, *numbers: int) -> list[int]:
        joined = await self.room.join(*(holder(n) for n in numbers))
        assert {each.status for each in joined} <= {JoinStatus.joined, JoinStatus.already}
        return [each.number for each in joined]

    async def opened(self) -> None:
        """The opening passes, and the order is drawn."""
        self.room.clock.pass_ms(LOBBY_MS + DRAW_MS)
        assert await self.tick() is RoomState.lobby
        await self.draw()

    async def row(self) -> Draw:
        found = await draws.get(self.room.db, EVENT, self.room.epoch)
        assert found is not None
        return found

    async def order(self) -> list[int]:
        """The numbers in the order in which they are let in, as Redis has it."""
        record = await self.record()
        table = await self.room.redis.get(redis_keys.of_epoch(EVENT, record.epoch, "order"))
        return [record.opened_after + entry for entry in draw.unpacked(table or b"")]


async def made(
    redis: Redis, ledger: Database, dice: Callable[[int], bytes], beacon: Beacon | None = None, **given: Any
) -> Lobby:
    """A lobby that has begun."""
    room = Room(redis, ledger, timing=DRAWN)
    opens_ms = room.clock.redis_ms + LOBBY_MS
    birth: dict[str, Any] = {"state": RoomState.scheduled, "opens_ms": opens_ms, "lobby_ms": LOBBY_MS}
    await room.make(**{**birth, "draw": DrawStage.ahead, **given})
    kept = {name: given[name] for name in ("max_active",) if name in given}  # for a loss of Redis
    await rooms.set_config(ledger, EVENT, {"lobby_ms": given.get("lobby_ms", LOBBY_MS), **kept})
    lobby = Lobby(room, dice, beacon)
    await lobby.commit()
    assert await lobby.tick() is RoomState.lobby
    return lobby


async def lose_redis(lobby: Lobby) -> None:
    """Redis forgets everything; the keeper makes the room again."""
    room, record = lobby.room, await lobby.record()
    await room.redis.flushall()
    window = Window(event_id=EVENT, version=1, opens_at=at(record.opens_ms), closes_at=FAR, cancelled=False)
    await sync_room_with_sale(room.scripts, room.db, window, at(room.clock.redis_ms))


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
