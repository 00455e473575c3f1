"""Sends commands to the lanes, wakes an allocator if none has the lane, and waits for the outcomes.

Commands submitted in one pass of the event loop, or while a call to Redis is in progress, are sent in one call. A
command may be carried out after its caller has stopped waiting: send it again with the same id to get its outcome.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, suppress
from contextvars import Context

from redis.asyncio import Redis

from app.histogram import SECONDS, HistogramsByKey
from app.jobs import Wake, WakeUpFailed
from app.lane.commands import Command, Outcome, kind_of, pack
from app.lane.errors import LaneFull, LaneUnavailable, as_lane_unavailable
from app.lane.outcomes import Outcomes
from app.lane.scripts import LaneScripts, SendStatus
from app.lane.streams import LaneStreams

SEND_MAX = 500  # commands per call to Redis
KINDS_MAX = 20  # kinds of commands with a histogram of their own
PENDING_MAX = 10_000  # commands that this process has not sent yet, all events together

Watch = Callable[[str], Awaitable[object]]  # (event_id): begin to receive the event's outcomes


class Lane:
    """The lanes of all events, from one process. `wait_s` bounds every submit. `waits_s` has the seconds waited for
    outcomes by kind of command; `busy` counts submits that raised LaneUnavailable."""

    def __init__(self, redis: Redis, wake: Wake, outcomes: Outcomes, watch: Watch, wait_s: float) -> None:
        self.waits_s: HistogramsByKey[str] = HistogramsByKey(SECONDS, KINDS_MAX, "other")
        self.busy = 0
        self._scripts = LaneScripts(redis)
        self._streams = LaneStreams(redis)
        self._wake = wake
        self._outcomes = outcomes
        self._watch = watch
        self._wait_s = wait_s
        self._pending: dict[str, deque[tuple[bytes, asyncio.Future[Outcome]]]] = {}
        self._flushes: dict[str, asyncio.Task[None]] = {}

    async def submit(self, event_id: str, command: Command) -> Outcome:
        """Send one command and wait for its outcome.

        Raises LaneUnavailable, and for an unknown event what `watch` raises.
        """
        began_s = time.perf_counter()
        if self.pending >= PENDING_MAX:
            self.busy += 1
            raise LaneUnavailable(f"{PENDING_MAX} commands are waiting to be sent")
        try:
            async with asyncio.timeout(self._wait_s):
                await self._watch(event_id)
                with self._outcomes.expected(event_id, command.id) as answer:
                    self._enqueue(event_id, pack(command), answer)
                    outcome = await answer
            self.waits_s.add(kind_of(command), time.perf_counter() - began_s)
            return outcome
        except TimeoutError as error:
            self.busy += 1
            raise LaneUnavailable(f"no answer to {command.id} within {self._wait_s} s") from error
        except LaneUnavailable:
            self.busy += 1
            raise

    async def outcome(self, event_id: str, command_id: str, wait_s: float) -> Outcome | None:
        """The outcome of a command that was sent elsewhere; None if it is not published within `wait_s`."""
        try:
            with self._outcomes.expected(event_id, command_id) as answer:
                async with asyncio.timeout(wait_s):
                    return await answer
        except TimeoutError:
            return None

    def expected(self, event_id: str, command_id: str) -> AbstractContextManager[asyncio.Future[Outcome]]:
        """A future for the outcome of a command that is about to be sent elsewhere, valid while the block runs."""
        return self._outcomes.expected(event_id, command_id)

    async def hurry(self, event_id: str, entry_id: str, answer: asyncio.Future[Outcome], wait_s: float) -> None:
        """Wake an allocator for a command that is on the lane already, and wait up to `wait_s` for its outcome. The
        command will be carried out even if this fails or times out.
        """
        with suppress(TimeoutError, WakeUpFailed):
            async with asyncio.timeout(wait_s):
                await self._wake(event_id, entry_id)
                await answer

    async def wake(self, event_id: str, entry_id: str) -> None:
        """Wake an allocator for what is on the lane already. If this fails, the workers' next round comes to it."""
        with suppress(TimeoutError, WakeUpFailed):
            async with asyncio.timeout(self._wait_s):
                await self._wake(event_id, entry_id)

    async def send(self, event_id: str, commands: Sequence[Command]) -> None:
        """Send commands without waiting for their outcomes. Raises LaneUnavailable if they may not have arrived."""
        with as_lane_unavailable():
            async with asyncio.timeout(self._wait_s):
                await send(self._scripts, self._wake, event_id, [pack(command) for command in commands])

    async def announce(self, event_id: str, version: int) -> None:
        """Tell every web process that the whole map was replaced; see LaneStreams. Raises LaneUnavailable."""
        await self._streams.announce(event_id, version)

    @property
    def pending(self) -> int:
        return sum(len(queue) for queue in self._pending.values())

    async def close(self) -> None:
        """Send all pending commands."""
        await asyncio.gather(*self._flushes.values())

    def _enqueue(self, event_id: str, packed: bytes, answer: asyncio.Future[Outcome]) -> None:
        self._pending.setdefault(event_id, deque()).append((packed, answer))
        if event_id not in self._flushes:
            self._flushes[event_id] = asyncio.create_task(
                self._flush(event_id), context=Context()
            )  # of nobody's request

    async def _flush(self, event_id: str) -> None:
        """Send until nothing is pending. Commands submitted during a call form the next batch."""
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
        except LaneUnavailable as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(type(error)(str(error)))  # one each, because awaiting it extends its traceback


async def send(scripts: LaneScripts, wake: Wake, event_id: str, packed: Sequence[bytes]) -> None:
    """Send packed commands in order, and wake an allocator if none has the lane.

    Raises LaneFull, or LaneUnavailable if they may not have arrived or no allocator could be woken.
    """
    for start in range(0, len(packed), SEND_MAX):
        status, oldest = await scripts.send(event_id, packed[start : start + SEND_MAX])
        match status:
            case SendStatus.full:
                raise LaneFull(f"the lane of {event_id} is full")
            case SendStatus.wake:
                await _wake(wake, event_id, oldest)
            case SendStatus.awake:
                pass


async def _wake(wake: Wake, event_id: str, oldest: str) -> None:
    try:
        await wake(event_id, oldest)
    except WakeUpFailed as error:
        raise LaneUnavailable(f"no allocator could be woken: {error}") from error
