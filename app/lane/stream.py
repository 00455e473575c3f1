"""The door of the lane: sends commands, wakes an allocator if none is awake, waits for the answer.

Everything submitted in one turn of the event loop, or while a flush is in flight, goes to Redis in one call. A command
that was sent may be carried out even if its caller gave up: ask again with the same id to learn what became of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app import redis_keys
from app.histogram import SECONDS, HistogramsByKey
from app.jobs import Wake, WakeUpFailed
from app.lane.commands import Command, Outcome, Published, pack
from app.lane.outcomes import Outcomes
from app.lane.scripts import OUT_KEPT, LaneScripts, Sent

SEND_MAX = 500  # commands per call to Redis
KINDS_MAX = 20  # of commands, whose waits are told apart
PENDING_MAX = 10_000  # commands waiting to be sent by this process, all events together

Watch = Callable[[str], Awaitable[object]]  # be told of an event's outcomes from now on


class LaneBusy(Exception):
    """No answer in time, or no room for the question. Asking again with the same command id is safe."""


class Lane:
    """The lanes of all events, from one process. `wait_s` bounds every submit. `waits_s` are the waits for answers by
    kind of command, `busy` counts those that came too late."""

    def __init__(self, redis: Redis, wake: Wake, outcomes: Outcomes, watch: Watch, wait_s: float) -> None:
        self.waits_s: HistogramsByKey[str] = HistogramsByKey(SECONDS, KINDS_MAX, "other")
        self.busy = 0
        self._redis = redis
        self._scripts = LaneScripts(redis)
        self._wake = wake
        self._outcomes = outcomes
        self._watch = watch
        self._wait_s = wait_s
        self._pending: dict[str, deque[tuple[bytes, asyncio.Future[Outcome]]]] = {}
        self._flushes: dict[str, asyncio.Task[None]] = {}

    async def submit(self, event_id: str, command: Command) -> Outcome:
        """Send one command and wait for its outcome. Raises LaneBusy, and what `watch` raises for an unknown event."""
        began_s = time.perf_counter()
        if self.pending >= PENDING_MAX:
            self.busy += 1
            raise LaneBusy(f"{PENDING_MAX} commands are waiting to be sent")
        try:
            async with asyncio.timeout(self._wait_s):
                await self._watch(event_id)
                with self._outcomes.expected(event_id, command.id) as answer:
                    self._enqueue(event_id, pack(command), answer)
                    outcome = await answer
            self.waits_s.add(type(command).__name__.lower(), time.perf_counter() - began_s)
            return outcome
        except TimeoutError as error:
            self.busy += 1
            raise LaneBusy(f"no answer to {command.id} within {self._wait_s} s") from error
        except (RedisError, OSError) as error:
            self.busy += 1
            raise LaneBusy(f"Redis is away: {error}") from error

    async def outcome(self, event_id: str, command_id: str, wait_s: float) -> Outcome | None:
        """The answer to a command somebody else sent, if it comes within `wait_s`."""
        try:
            with self._outcomes.expected(event_id, command_id) as answer:
                async with asyncio.timeout(wait_s):
                    return await answer
        except TimeoutError:
            return None

    def expected(self, event_id: str, command_id: str) -> AbstractContextManager[asyncio.Future[Outcome]]:
        """The answer to a command that somebody else is about to put on the lane, for as long as the block lasts."""
        return self._outcomes.expected(event_id, command_id)

    async def hurry(self, event_id: str, entry_id: str, answer: asyncio.Future[Outcome], wait_s: float) -> None:
        """Wake an allocator for a command that is on the lane already, and wait for its answer, `wait_s` at most. It is
        carried out all the same if neither comes about.
        """
        with suppress(TimeoutError, WakeUpFailed):
            async with asyncio.timeout(wait_s):
                await self._wake(event_id, entry_id)
                await answer

    async def send(self, event_id: str, commands: Sequence[Command]) -> None:
        """Send commands whose outcome nobody waits for. Raises LaneBusy if they may not have arrived."""
        try:
            async with asyncio.timeout(self._wait_s):
                await send(self._scripts, self._wake, event_id, [pack(command) for command in commands])
        except (RedisError, WakeUpFailed, OSError) as error:
            raise LaneBusy(f"Redis is away: {error}") from error

    async def announce(self, event_id: str, version: int) -> None:
        """Tell every web process that the whole map is another, after that was committed. Whoever misses it is told by
        the next allocator, which finds that the last thing told is not of the map's version.
        """
        told: dict[Any, Any] = {"o": pack(Published(version=version, reload=True))}
        await self._redis.xadd(redis_keys.lane_out(event_id), told, maxlen=OUT_KEPT, approximate=True)

    @property
    def pending(self) -> int:
        return sum(len(queue) for queue in self._pending.values())

    async def close(self) -> None:
        """Send what is still pending, then stop."""
        await asyncio.gather(*self._flushes.values())

    def _enqueue(self, event_id: str, packed: bytes, answer: asyncio.Future[Outcome]) -> None:
        self._pending.setdefault(event_id, deque()).append((packed, answer))
        if event_id not in self._flushes:
            self._flushes[event_id] = asyncio.create_task(self._flush(event_id))

    async def _flush(self, event_id: str) -> None:
        """Send until nothing is pending. While a call is in flight the next batch gathers."""
        queue = self._pending[event_id]
        try:
            while queue:
                batch = [queue.popleft() for _ in range(min(len(queue), SEND_MAX))]
                wanted = [(packed, answer) for packed, answer in batch if not answer.done()]
                if wanted:
                    await self._send_batch(event_id, wanted)
        finally:
            del self._pending[event_id], self._flushes[event_id]

    async def _send_batch(self, event_id: str, batch: list[tuple[bytes, asyncio.Future[Outcome]]]) -> None:
        try:
            await send(self._scripts, self._wake, event_id, [packed for packed, _ in batch])
        except (LaneBusy, RedisError, WakeUpFailed, OSError) as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(LaneBusy(str(error)))


async def send(scripts: LaneScripts, wake: Wake, event_id: str, packed: Sequence[bytes]) -> None:
    """Send packed commands in order, and wake an allocator if nobody will see them otherwise."""
    for start in range(0, len(packed), SEND_MAX):
        sent, oldest = await scripts.send(event_id, packed[start : start + SEND_MAX])
        match sent:
            case Sent.full:
                raise LaneBusy(f"the lane of {event_id} is full")
            case Sent.wake:
                await wake(event_id, oldest)
            case Sent.awake:
                pass


async def oldest_wait_s(redis: Redis, event_ids: Sequence[str]) -> float:
    """How long the command has waited that has waited longest in these lanes, by Redis's clock; 0.0 if none waits.

    More than a request waits for an answer means that nothing is sold: no worker, or one that cannot write.
    """
    pipe = redis.pipeline(transaction=False)
    pipe.time()
    for event_id in event_ids:
        pipe.xrange(redis_keys.lane(event_id), count=1)
    async with pipe:  # cancelled, it would keep its connection
        (seconds, microseconds), *lanes = await pipe.execute()
    sent_ms = [int(entries[0][0].partition(b"-")[0]) for entries in lanes if entries]
    return max(0.0, seconds + microseconds / 1_000_000 - min(sent_ms) / 1000) if sent_ms else 0.0
