"""Values that are expensive to load and asked for often, kept in this process until they are too old or out of date.

Single-flight: however many ask for a value that is not here, it is loaded once. A load that began before a notice of a
change is never kept, and nobody who asks after the notice waits for it. Values are served only while the notices are
followed: a gap, a reconnect or a Redis that is away drops everything, so no missed notice leaves an old value behind.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.cache.notices import Notice, Notices, StreamPosition, Unreadable
from app.outages import REDIS, Outages

ENTRIES_MAX = 2_000  # the one not asked for longest makes room
LOAD_MAX_S = 10.0
WAIT_MS = 1_000  # for the next notice; then Redis's own view of the last one is checked
READ_TIMEOUT_S = 5.0  # a read that takes longer than WAIT_MS by so much has no Redis behind it
RETRY_S = 0.2

T = TypeVar("T")
log = structlog.get_logger()


class LoadTooLate(Exception):
    """What a value is made from did not answer within LOAD_MAX_S."""


@dataclass(slots=True, eq=False)
class _Entry:
    value: Any
    tags: frozenset[str]
    ends_s: float


@dataclass(slots=True, eq=False)
class _Load:
    task: asyncio.Task[Any]
    tags: frozenset[str]


class Cache:
    """Of one process, whose `name` is no other's. `hits`, `misses` (loads that were begun) and `shared` (waited for
    a load that another asker had begun) only grow: plain numbers to be read by who measures."""

    def __init__(self, redis: Redis, clock: Callable[[], float], name: str, outages: Outages | None = None) -> None:
        self._outages = outages or Outages()
        self.hits = 0
        self.misses = 0
        self.shared = 0
        self.following = False  # whether this process receives every notice from now on
        self._notices = Notices(redis, name)
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._loads: dict[str, _Load] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._unpublished: dict[str, object] = {}  # tag → which call of `invalidate` said it last

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: str, tags: Sequence[str], ttl_s: float, load: Callable[[], Awaitable[T]]) -> T:
        """The value of `key`, loaded if need be. What a load raises, everyone waiting for it gets, and nothing is kept.

        Nothing is kept of a load that finds nothing either (None): made-up names must not push real values out.
        Cancelling one who waits does not cancel the load. Raises LoadTooLate.
        """
        entry = self._entries.get(key)
        if entry is not None and entry.ends_s > self._clock():
            self.hits += 1
            self._entries.move_to_end(key)
            kept: T = entry.value
            return kept
        loading = self._loads.get(key)
        if loading is None:
            self.misses += 1
            loading = self._begin(key, frozenset(tags), ttl_s, load)
        else:
            self.shared += 1
        value: T = await asyncio.shield(loading.task)
        return value

    async def invalidate(self, *tags: str) -> None:
        """Drop everything with one of these tags, here and in every other process. Call it after the commit.

        Here it is done when this returns or waits. If Redis is away the others have dropped everything already, or will
        as soon as they notice; the notice is published when it is back.
        """
        self.drop(tags)
        self._unpublished.update(dict.fromkeys(tags, object()))
        try:
            await self._publish()
        except (RedisError, OSError) as error:
            log.warning("cache_notice_waiting", tags=sorted(self._unpublished), error=repr(error))

    def drop(self, tags: Sequence[str]) -> None:
        """Drop what has one of these tags from this process, and what is being loaded with it."""
        changed = frozenset(tags)
        for key in [key for key, entry in self._entries.items() if entry.tags & changed]:
            del self._entries[key]
        for key in [key for key, loading in self._loads.items() if loading.tags & changed]:
            del self._loads[key]  # who waits for it asked before; who asks from now on begins another

    def drop_all(self) -> None:
        self._entries.clear()
        self._loads.clear()

    async def run(self) -> None:
        """Follow the notices until cancelled. While that is impossible nothing is kept and nothing kept is served."""
        while True:
            try:
                await self._follow()
            except (RedisError, OSError, TimeoutError, Unreadable) as error:
                self._outages.failed(REDIS, "cache", error)
            finally:
                self.following = False
                self.drop_all()
            await asyncio.sleep(RETRY_S)

    async def close(self) -> None:
        """Cancel the loads under way: whoever waited for them is going too."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, key: str, tags: frozenset[str], ttl_s: float, load: Callable[[], Awaitable[Any]]) -> _Load:
        async def loaded() -> Any:
            try:
                async with asyncio.timeout(LOAD_MAX_S):
                    return await load()
            except TimeoutError as error:
                raise LoadTooLate(f"{key} was not loaded within {LOAD_MAX_S:g} s") from error

        loading = _Load(asyncio.create_task(loaded()), tags)
        self._loads[key] = loading
        self._tasks.add(loading.task)
        loading.task.add_done_callback(lambda task: self._ended(key, loading, ttl_s))
        return loading

    def _ended(self, key: str, loading: _Load, ttl_s: float) -> None:
        self._tasks.discard(loading.task)
        is_current = self._loads.get(key) is loading
        if is_current:
            del self._loads[key]
        if loading.task.cancelled():
            return
        failure = loading.task.exception()
        if failure is not None:
            log.info("cache_load_failed", key=key, error=repr(failure))  # nobody may wait any more
        elif is_current and self.following and loading.task.result() is not None:
            self._entries[key] = _Entry(loading.task.result(), loading.tags, self._clock() + ttl_s)
            self._entries.move_to_end(key)
            if len(self._entries) > ENTRIES_MAX:
                self._entries.popitem(last=False)

    async def _follow(self) -> None:
        position = await self._begin_following()
        while True:
            if self._unpublished:
                await self._publish()
            async with asyncio.timeout(WAIT_MS / 1000 + READ_TIMEOUT_S):
                notices = await self._notices.after(position, WAIT_MS)
                last = position if notices else await self._notices.last()
            if last.number < position.number:
                log.warning("cache_notices_began_anew", number=last.number, known=position.number)
                position = await self._begin_following()
            for notice in notices:
                self._take(position, notice)
                position = notice.position
            self._outages.worked("cache")

    async def _begin_following(self) -> StreamPosition:
        """The position first: what is loaded from now on is from after it, so no notice behind it can be missed."""
        async with asyncio.timeout(READ_TIMEOUT_S):
            position = await self._notices.last()
        self.drop_all()
        self.following = True
        return position

    def _take(self, position: StreamPosition, notice: Notice) -> None:
        if notice.position.number != position.number + 1:
            log.warning("cache_notice_missed", number=notice.position.number, known=position.number)
            self.drop_all()
        if notice.teller != self._notices.teller:  # our own was done when it was said: what came after it is good
            self.drop(notice.tags)

    async def _publish(self) -> None:
        """Publish the tags that wait. A tag that is invalidated again meanwhile waits on: its change may be later."""
        publishing = dict(self._unpublished)
        async with asyncio.timeout(READ_TIMEOUT_S):
            await self._notices.tell(sorted(publishing))
        for tag, said in publishing.items():
            if self._unpublished.get(tag) is said:
                del self._unpublished[tag]
