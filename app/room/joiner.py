"""Batches joins: everyone who arrives while calls to Redis are under way shares the next call.

Order of arrival within a process is kept, since the calls share one connection. Only those who come while a line opens
are gathered first and then asked for in random order, so that a program that is faster by milliseconds gains nothing.
Bounded: a full buffer refuses at once instead of growing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from app.histogram import SECONDS, SIZES, Histogram
from app.room.answers import Joined, JoinStatus, RoomStatus
from app.room.errors import RoomUnavailable
from app.room.ordered import OrderedCalls
from app.room.scripts import RoomScripts

BATCH_MAX = 500  # people per call: about 2 ms of Redis
CALLS_MAX = 2  # under way per room: one is carried out and written to disk while the other is on its way
PENDING_MAX = 20_000  # people waiting for a number in one process and room
CALL_TIMEOUT_S = 5.0  # of one call; whoever still waits for a call when one fails is refused with it


class JoinUnavailable(Exception):
    """No number can be given right now; asking again is safe. The text says why."""


_Waiting = tuple[str, str, asyncio.Future[tuple[RoomStatus, Joined]]]  # holder, wish and their answer


@dataclass(slots=True)
class _RoomJoins:
    epoch: int = 0
    waiting: list[_Waiting] = field(default_factory=list)
    calls: set[asyncio.Task[None]] = field(default_factory=set)
    drawn: list[tuple[str, str, asyncio.Future[tuple[RoomStatus, Joined]]]] = field(default_factory=list)


class Joiner:
    """Gives numbers. `answers` counts people by (event id, answer); `batches` and `calls_s` measure calls to Redis."""

    def __init__(self, scripts: RoomScripts, shuffle: Callable[[list[Any]], None]) -> None:
        self.answers: dict[tuple[str, ...], int] = {}
        self.batches = Histogram(SIZES)
        self.calls_s = Histogram(SECONDS)
        self._scripts = scripts
        self._shuffle = shuffle
        self._redis = OrderedCalls(scripts.redis)
        self._rooms: dict[str, _RoomJoins] = {}

    def join(
        self, event_id: str, epoch: int, holder: str, wish: str, *, draw_in_s: float = 0.0
    ) -> asyncio.Future[tuple[RoomStatus, Joined]]:
        """A future of the room's state and the number given. Raises JoinUnavailable, here or in the future.

        With `draw_in_s` the number is asked for when so many seconds have passed, in random order with everyone who
        joined until then.
        """
        room = self._rooms.get(event_id)
        if room is None:
            room = self._rooms[event_id] = _RoomJoins()
        if len(room.waiting) + len(room.drawn) >= PENDING_MAX:
            raise JoinUnavailable("too many people are joining at once")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[RoomStatus, Joined]] = loop.create_future()
        room.epoch = epoch
        if draw_in_s > 0 or room.drawn:
            if not room.drawn:
                loop.call_later(draw_in_s, self._draw, event_id, room)
            room.drawn.append((holder, wish, future))
        else:
            room.waiting.append((holder, wish, future))
            self._call(event_id, room)
        return future

    def _draw(self, event_id: str, room: _RoomJoins) -> None:
        """Ask for the numbers of everyone who was gathered, in random order."""
        drawn, room.drawn = room.drawn, []
        self._shuffle(drawn)
        room.waiting += drawn
        self._call(event_id, room)

    def _call(self, event_id: str, room: _RoomJoins) -> None:
        if room.waiting and len(room.calls) < CALLS_MAX:
            room.calls.add(asyncio.get_running_loop().create_task(self._send_batches(event_id, room)))

    @property
    def pending(self) -> int:
        """How many people wait for their number in the room where most do."""
        return max((len(room.waiting) + len(room.drawn) for room in list(self._rooms.values())), default=0)

    async def _send_batches(self, event_id: str, room: _RoomJoins) -> None:
        try:
            while room.waiting:
                batch, room.waiting = room.waiting[:BATCH_MAX], room.waiting[BATCH_MAX:]
                await self._flush(event_id, room, batch)
        finally:  # at once, so that whoever comes next starts a call or is taken by one
            room.calls.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _flush(self, event_id: str, room: _RoomJoins, batch: list[_Waiting]) -> None:
        clock = asyncio.get_running_loop().time
        began_s = clock()
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                people = [(who, wish) for who, wish, _ in batch]
                answer = await self._scripts.join(event_id, room.epoch, people, client=self._redis)
        except Exception as error:
            unreachable = isinstance(error, RoomUnavailable | TimeoutError)
            if unreachable:  # each call after this one would hang as long, one after another
                batch, room.waiting = batch + room.waiting, []
            self._count(event_id, "failed", len(batch))
            kind = error.kind if isinstance(error, RoomUnavailable) else type(error).__name__
            why = JoinUnavailable(f"the line cannot be reached: {kind}") if unreachable else error
            for _, _, future in batch:
                if not future.done():
                    future.set_exception(why)  # a bug of ours too: nobody may wait for ever
            return
        self.calls_s.add(clock() - began_s)
        self.batches.add(len(batch))
        refused = Joined(JoinStatus.refused, 0)
        for index, (_, _, future) in enumerate(batch):
            one = answer.joined[index] if answer.joined else refused
            self._count(event_id, one.status, 1)
            if not future.done():
                future.set_result((answer.room, one))

    def _count(self, event_id: str, answer: str, people: int) -> None:
        self.answers[event_id, answer] = self.answers.get((event_id, answer), 0) + people

    async def close(self) -> None:
        """Ask at once for those who are still gathered, and let the calls under way finish."""
        for event_id, room in self._rooms.items():
            self._draw(event_id, room)
        await asyncio.gather(*(call for room in self._rooms.values() for call in room.calls))
        await self._redis.aclose()
