"""Coalesces joins: everyone who arrives while the calls to Redis are under way shares the next one.

Order of arrival within a process is kept: the calls share one connection. Only those who come while a line opens are
gathered first and then asked for in random order, so that a program that is faster by milliseconds gains nothing.
Bounded: a full buffer refuses at once rather than growing.
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
CALL_TIMEOUT_S = 5.0  # nobody waits for longer: those for whom there was no call yet fail with the one before them


class JoinUnavailable(Exception):
    """Nobody can be given a number right now; asking again is safe. The text says why."""


_Waiting = tuple[str, str, asyncio.Future[tuple[RoomStatus, Joined]]]  # holder, wish and their answer


@dataclass(slots=True)
class _Door:
    epoch: int = 0
    waiting: list[_Waiting] = field(default_factory=list)
    calls: set[asyncio.Task[None]] = field(default_factory=set)
    drawn: list[tuple[str, str, asyncio.Future[tuple[RoomStatus, Joined]]]] = field(default_factory=list)


class Joiner:
    """`answers` counts people by (event id, answer); `batches` and `calls_s` are of the calls to Redis."""

    def __init__(self, scripts: RoomScripts, shuffle: Callable[[list[Any]], None]) -> None:
        self.answers: dict[tuple[str, ...], int] = {}
        self.batches = Histogram(SIZES)
        self.calls_s = Histogram(SECONDS)
        self._scripts = scripts
        self._shuffle = shuffle
        self._redis = OrderedCalls(scripts.redis)
        self._doors: dict[str, _Door] = {}

    def join(
        self, event_id: str, epoch: int, holder: str, wish: str, *, draw_in_s: float = 0.0
    ) -> asyncio.Future[tuple[RoomStatus, Joined]]:
        """A future of (room state, number given). Raises JoinUnavailable here or in the future.

        With `draw_in_s`, and as long as a draw is still to come, the number is asked for after the draw.
        """
        door = self._doors.get(event_id)
        if door is None:
            door = self._doors[event_id] = _Door()
        if len(door.waiting) + len(door.drawn) >= PENDING_MAX:
            raise JoinUnavailable("too many people are joining at once")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[RoomStatus, Joined]] = loop.create_future()
        door.epoch = epoch
        if draw_in_s > 0 or door.drawn:
            if not door.drawn:
                loop.call_later(draw_in_s, self._draw, event_id, door)
            door.drawn.append((holder, wish, future))
        else:
            door.waiting.append((holder, wish, future))
            self._call(event_id, door)
        return future

    def _draw(self, event_id: str, door: _Door) -> None:
        """The opening is over: those who came meanwhile are next, in whatever order falls to them."""
        drawn, door.drawn = door.drawn, []
        self._shuffle(drawn)
        door.waiting += drawn
        self._call(event_id, door)

    def _call(self, event_id: str, door: _Door) -> None:
        if door.waiting and len(door.calls) < CALLS_MAX:
            door.calls.add(asyncio.get_running_loop().create_task(self._serve(event_id, door)))

    @property
    def pending(self) -> int:
        """The people at the fullest door who wait for their number."""
        return max((len(door.waiting) + len(door.drawn) for door in list(self._doors.values())), default=0)

    async def _serve(self, event_id: str, door: _Door) -> None:
        try:
            while door.waiting:
                batch, door.waiting = door.waiting[:BATCH_MAX], door.waiting[BATCH_MAX:]
                await self._flush(event_id, door, batch)
        finally:  # at once: whoever comes next finds room for a call, or a call that looks for them
            door.calls.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _flush(self, event_id: str, door: _Door, batch: list[_Waiting]) -> None:
        clock = asyncio.get_running_loop().time
        began_s = clock()
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                people = [(who, wish) for who, wish, _ in batch]
                answer = await self._scripts.join(event_id, door.epoch, people, client=self._redis)
        except Exception as error:
            away = isinstance(error, RoomUnavailable | TimeoutError)
            if away:  # each call after this one would hang as long, and those who wait now would wait for all of them
                batch, door.waiting = batch + door.waiting, []
            self._count(event_id, "failed", len(batch))
            kind = error.kind if isinstance(error, RoomUnavailable) else type(error).__name__
            why = JoinUnavailable(f"the line cannot be reached: {kind}") if away else error
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
        """Let what is under way finish."""
        for event_id, door in self._doors.items():
            self._draw(event_id, door)
        await asyncio.gather(*(call for door in self._doors.values() for call in door.calls))
        await self._redis.aclose()
