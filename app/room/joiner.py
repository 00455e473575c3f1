"""Batches joins: everyone who arrives while calls to Redis are under way shares the next call.

Order of arrival within a process is kept, since the calls share one connection. Numbers are reserved ahead of those who
will come. Who got none because the call broke, or because they had run out all the same, is asked for again in the same
order: join.lua gives whoever has a number the same one again. Bounded: a full buffer refuses at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import structlog
from redis.asyncio import Redis

from app import redis_keys
from app.domain.line import RoomState
from app.domain.numbers import Demand
from app.histogram import SECONDS, SIZES, Histogram
from app.redis_nodes import home
from app.room.answers import Joined, JoinStatus, RoomStatus
from app.room.entering import enter
from app.room.errors import RoomUnavailable, as_room_unavailable
from app.room.ordered import OrderedCalls
from app.room.person import Person, StraightIn
from app.room.scripts import RoomScripts, TickCall

BATCH_MAX = 500  # people per call: about 2 ms of Redis
CALLS_MAX = 3  # under way per room: one carried out, one written to disk, one on its way
PENDING_MAX = 20_000  # people waiting for a number in one process and room
CALL_TIMEOUT_S = 5.0  # of one call; whoever still waits for a call when one fails is refused with it
TRIES_MAX = 3  # calls that one person is in
RETRY_S = 0.1  # after a call that broke, until the next one
RESERVE_TIMEOUT_S = 5.0  # for more numbers; if there are none left, those who join wait meanwhile
RESERVE_GAP_S = 0.5  # between two reservations ahead of need, if the first did not work
TIMED_OUT = ("TimeoutError", "RedisLate")  # how RoomUnavailable calls one that hung: the next would hang as long
STRAIGHT_IN = "straight_in"  # how those are counted who needed no line
STALL_S = 0.5  # a call that was given up so much too late hung in this process, not at Redis

Reserve = Callable[[str, int], Awaitable[int]]  # (event id, up to which number) → up to which they are reserved; or 0

log = structlog.get_logger()


class JoinUnavailable(Exception):
    """No number can be given right now; asking again is safe. The text says why."""


class _Waiting(NamedTuple):
    """`came`: as which one in this room; `made_in`: the generation in which whoever asked saw it made; `straight`:
    they go straight in if they may; `tries`: calls that they were in without an answer that settles it."""

    came: int
    person: Person
    future: asyncio.Future[tuple[RoomStatus, Joined]]
    made_in: int
    straight: StraightIn | None = None
    tries: int = 0


@dataclass(slots=True)
class _RoomJoins:
    """`calls`: those under way. None is made while the room `rests`, until numbers are reserved, or is `pausing` after
    one that broke. `reserved_s`: when numbers were asked for, by the event loop. `bucket`: when people were let in
    straight the last time, and up to when time had become tokens by then, as a worker remembers it between ticks."""

    epoch: int = 0
    waiting: list[_Waiting] = field(default_factory=list)
    calls: set[asyncio.Task[None]] = field(default_factory=set)
    came: int = 0
    made_in: int = 0
    demand: Demand = field(default_factory=Demand)
    reserving: asyncio.Task[None] | None = None
    reserved_s: float = float("-inf")
    rests: bool = False
    pausing: asyncio.Task[None] | None = None
    bucket: tuple[float, float | None] = (0.0, None)


class Joiner:
    """Gives numbers. `answers` counts people by (event id, answer); `batches` and `calls_s` measure calls to Redis.
    `reserve` has more numbers reserved where no loss of Redis can reach them."""

    def __init__(self, scripts: RoomScripts, reserve: Reserve | None = None) -> None:
        self.answers: dict[tuple[str, ...], int] = {}
        self.batches = Histogram(SIZES)
        self.calls_s = Histogram(SECONDS)
        self._scripts = scripts
        self._reserve = reserve
        self._calls: dict[Redis, OrderedCalls] = {}  # by the node that they go to
        self._rooms: dict[str, _RoomJoins] = {}

    def join(
        self,
        event_id: str,
        epoch: int,
        holder: str,
        wish: str,
        network: str = "",
        proof: str = "",
        verified: bool = False,
        made_in: int = 0,
        straight: StraightIn | None = None,
    ) -> asyncio.Future[tuple[RoomStatus, Joined]]:
        """A future of the room's state and the number given. Raises JoinUnavailable, here or in the future.

        With `straight` whoever is next in line and finds rate and capacity free is let in by the same step.

        To who saw the room made in an earlier generation (0: in any) it is missing, and to who is asked for with them.
        """
        room = self._rooms.get(event_id)
        if room is None:
            room = self._rooms[event_id] = _RoomJoins()
        if len(room.waiting) >= PENDING_MAX:
            raise JoinUnavailable("too many people are joining at once")
        future: asyncio.Future[tuple[RoomStatus, Joined]] = asyncio.get_running_loop().create_future()
        room.epoch = epoch
        room.came += 1
        person = Person(holder, wish, network, proof, verified)
        room.waiting.append(_Waiting(room.came, person, future, made_in, straight))
        self._call(event_id, room)
        return future

    def _call(self, event_id: str, room: _RoomJoins) -> None:
        """Make one more call, if somebody waits for one and one may be made."""
        if room.waiting and len(room.calls) < CALLS_MAX and not room.rests and room.pausing is None:
            room.calls.add(asyncio.get_running_loop().create_task(self._send_batch(event_id, room)))

    def _go_on(self, event_id: str, room: _RoomJoins) -> None:
        for _ in range(CALLS_MAX):
            self._call(event_id, room)

    @property
    def pending(self) -> int:
        """How many people wait for their number in the room where most do."""
        return max((len(room.waiting) for room in list(self._rooms.values())), default=0)

    async def _send_batch(self, event_id: str, room: _RoomJoins) -> None:
        try:
            batch, room.waiting = room.waiting[:BATCH_MAX], room.waiting[BATCH_MAX:]
            if batch:  # nobody else took them since
                await self._flush(event_id, room, batch)
        finally:
            self._next_call(event_id, room)

    def _next_call(self, event_id: str, room: _RoomJoins) -> None:
        """Make the next call in place of this one, which has its answer."""
        room.calls.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        self._call(event_id, room)

    async def _flush(self, event_id: str, room: _RoomJoins, batch: list[_Waiting]) -> None:
        clock = asyncio.get_running_loop().time
        began_s = clock()
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                batch = await self._let_in(event_id, room, batch)
                if not batch:
                    return
                people = [each.person for each in batch]
                made_in = min(each.made_in for each in batch)
                calls = await self._calls_to(event_id)
                answer = await self._scripts.join(event_id, room.epoch, people, client=calls, made_in=made_in)
        except Exception as error:
            if _may_ask_again(error, clock() - began_s) and all(each.tries + 1 < TRIES_MAX for each in batch):
                self._ask_again(room, batch)
                if room.pausing is None:
                    room.pausing = asyncio.get_running_loop().create_task(self._pause(event_id, room))
            else:
                self._fail(event_id, room, batch, error)
            return
        now_s = clock()
        self.calls_s.add(now_s - began_s)
        self.batches.add(len(batch))
        if made_in != room.made_in:  # numbers that were skipped since are no pace
            room.made_in, room.demand = made_in, Demand()
        room.demand.see(now_s, answer.last_number)
        joined = answer.joined or [Joined(JoinStatus.refused, 0)] * len(batch)
        short = [each for each, one in zip(batch, joined, strict=True) if self._is_short(each, one)]
        if short:
            self._ask_again(room, short)
            room.rests = True
        is_low = bool(answer.joined) and room.demand.is_low(answer.left)
        if short or (is_low and now_s - room.reserved_s >= RESERVE_GAP_S):
            self._start_reserving(event_id, room, answer.last_number)
        self._next_call(event_id, room)  # first: Redis works on it while these people are answered
        for each, one in zip(batch, joined, strict=True):
            if self._is_short(each, one):
                continue
            self._count(event_id, one.status, 1)
            if not each.future.done():
                each.future.set_result((answer.room, one))

    def _is_short(self, each: _Waiting, one: Joined) -> bool:
        """Whether there was no number for them, and there may be one once more are reserved."""
        return one.status is JoinStatus.full and self._reserve is not None and each.tries + 1 < TRIES_MAX

    async def _let_in(self, event_id: str, room: _RoomJoins, batch: list[_Waiting]) -> list[_Waiting]:
        """Let those straight in who asked for it and may; the others, who join. For whoever wanted nothing else and is
        not waited for any more, nobody asks. Raises RoomUnavailable."""
        batch = [each for each in batch if not (each.future.done() and each.straight and each.straight.or_nothing)]
        asked = [(each, each.straight) for each in batch if each.straight is not None]
        if not asked:
            return batch
        now_s, (known_s, since_ms) = asyncio.get_running_loop().time(), room.bucket
        call = TickCall(event_id, room.epoch, (now_s - known_s) * 1000 if since_ms is not None else 0.0, since_ms)
        people, made_in = [each.person for each, _ in asked], min(each.made_in for each, _ in asked)
        how: dict[str, Any] = {"made_in": made_in, "pass_s": asked[0][1].pass_s}
        entered = await enter(self._scripts, call, people, client=await self._calls_to(event_id), **how)
        room.bucket = (now_s, entered.refilled_ms) if entered.refilled_ms else (0.0, None)
        for (each, straight), number in zip(asked, entered.numbers, strict=True):
            if number:
                straight.expires_ms = entered.expires_ms
                self._count(event_id, STRAIGHT_IN, 1)
            status = JoinStatus.joined if number else JoinStatus.refused
            if (number or straight.or_nothing) and not each.future.done():
                each.future.set_result((RoomState.open, Joined(status, number)))
        return [each for each in batch if not each.future.done()]

    async def _calls_to(self, event_id: str) -> OrderedCalls:
        """The connection to the node that has this room. Raises RoomUnavailable."""
        with as_room_unavailable():
            node = await home(self._scripts.redis, redis_keys.room(event_id))
        if node not in self._calls:
            self._calls[node] = OrderedCalls(node)
        return self._calls[node]

    def _ask_again(self, room: _RoomJoins, people: list[_Waiting]) -> None:
        """Put them back where they were, before everybody who came after them."""
        again = [each._replace(tries=each.tries + 1) for each in people]
        room.waiting = sorted(again + room.waiting, key=lambda each: each.came)

    async def _pause(self, event_id: str, room: _RoomJoins) -> None:
        """Wait until nobody is under way and Redis may be there again."""
        if room.calls:
            await asyncio.wait(room.calls)
        await asyncio.sleep(RETRY_S)
        room.pausing = None
        self._go_on(event_id, room)

    def _fail(self, event_id: str, room: _RoomJoins, batch: list[_Waiting], error: Exception) -> None:
        unreachable = isinstance(error, RoomUnavailable | TimeoutError)
        if unreachable:  # each call after this one would hang as long, one after another
            batch, room.waiting = batch + room.waiting, []
        self._count(event_id, "failed", len(batch))
        kind = error.kind if isinstance(error, RoomUnavailable) else type(error).__name__
        why = JoinUnavailable(f"the line cannot be reached: {kind}") if unreachable else error
        for each in batch:
            if not each.future.done():
                each.future.set_exception(why)  # a bug of ours too: nobody may wait for ever

    def _start_reserving(self, event_id: str, room: _RoomJoins, last_number: int) -> None:
        if self._reserve is not None and room.reserving is None:
            room.reserved_s = asyncio.get_running_loop().time()
            reserving = self._reserve_more(event_id, room, self._reserve, last_number + room.demand.ahead)
            room.reserving = asyncio.get_running_loop().create_task(reserving)

    async def _reserve_more(self, event_id: str, room: _RoomJoins, reserve: Reserve, up_to: int) -> None:
        """Have more numbers reserved, while calls go on if there are some left. If none can be, those who wait for one
        hear so from the next call."""
        try:
            async with asyncio.timeout(RESERVE_TIMEOUT_S):
                reserved = await reserve(event_id, up_to)
                room.rests = True  # else a later call could get numbers for which an earlier one came too soon
                if room.calls:
                    await asyncio.wait(room.calls)
                if reserved:
                    bound = await self._scripts.reserve(event_id, reserved)
                    log.info("numbers_reserved", event_id=event_id, wanted=up_to, bound=bound)
        except (RoomUnavailable, TimeoutError) as error:
            log.warning("numbers_not_reserved", event_id=event_id, error=f"{type(error).__name__}: {error}")
        finally:
            room.reserving, room.rests = None, False
            self._go_on(event_id, room)

    def _count(self, event_id: str, answer: str, people: int) -> None:
        self.answers[event_id, answer] = self.answers.get((event_id, answer), 0) + people

    async def close(self) -> None:
        """Let what is under way finish, and those who wait have their answers."""
        rooms = self._rooms.values()
        while tasks := [task for room in rooms for task in (*room.calls, room.reserving, room.pausing) if task]:
            await asyncio.wait(tasks)
        for calls in self._calls.values():
            await calls.aclose()


def _may_ask_again(error: Exception, took_s: float) -> bool:
    """Whether a call that failed after so long may go well at once. One that hung would hang again, unless this process
    stood still meanwhile: then the answer may have come, and nobody had read it."""
    if isinstance(error, TimeoutError) or (isinstance(error, RoomUnavailable) and error.kind in TIMED_OUT):
        return took_s > CALL_TIMEOUT_S + STALL_S
    return isinstance(error, RoomUnavailable)
