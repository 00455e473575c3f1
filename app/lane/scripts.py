"""The lane's Lua scripts with a Python signature each. Each script's header states its guarantees.

Every call raises LaneUnavailable when Redis cannot be reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis

from app import redis_keys
from app.lane.errors import as_lane_unavailable
from app.lua import load
from app.redis_nodes import home

LUA = Path(__file__).parent / "lua"
COMMANDS_MAX = 100_000  # waiting in one lane; further ones are refused with LaneFull
LEASE_MS = 1000
OUT_KEPT = 10_000  # entries of lane:out; a web process that is further behind reads the map from SQL


class SendStatus(StrEnum):
    """The result of sending commands."""

    wake = "wake"  # sent; no allocator has the lane, so one must be woken
    awake = "awake"  # sent; an allocator has the lane
    full = "full"  # not sent: too many commands wait


class LeaseStatus(StrEnum):
    taken = "taken"
    kept = "kept"
    lost = "lost"


class ReleaseStatus(StrEnum):
    released = "released"
    more = "more"  # commands wait, so the owner keeps the lease
    lost = "lost"


class PublishStatus(StrEnum):
    published = "published"
    lost = "lost"  # another owner has the lease, or nobody: nothing was published


class Sent(NamedTuple):
    """`oldest`: the entry id of the command that has waited longest in this lane; "" when it is full."""

    status: SendStatus
    oldest: str


class Released(NamedTuple):
    """`oldest`: the entry id of the command that has waited longest in this lane; "" if none waits."""

    status: ReleaseStatus
    oldest: str


class LaneScripts:
    """The lane's scripts over one Redis client, for all events."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._scripts = {path.stem: load(redis, path) for path in sorted(LUA.glob("*.lua"))}

    async def send(self, event_id: str, commands: Sequence[bytes]) -> Sent:
        """Put packed commands at the end of the lane, all of them or none."""
        keys = [redis_keys.lane(event_id), redis_keys.lane_lease(event_id)]
        status, oldest = await self._call("send", keys, [COMMANDS_MAX, *commands])
        return Sent(SendStatus(status.decode()), oldest.decode())

    async def take(self, event_id: str, owner: str) -> bool:
        """Take the lease for LEASE_MS unless somebody has it; returns whether `owner` took it."""
        return await self._lease(event_id, owner, "take") is LeaseStatus.taken

    async def keep(self, event_id: str, owner: str) -> bool:
        """Renew the lease to LEASE_MS from now; returns False if `owner` has lost it."""
        return await self._lease(event_id, owner, "keep") is LeaseStatus.kept

    async def release(self, event_id: str, owner: str, *, even_if_waiting: bool = False) -> Released:
        """Release the lease. If commands wait, the owner keeps it, unless `even_if_waiting`."""
        keys = [redis_keys.lane(event_id), redis_keys.lane_lease(event_id)]
        status, oldest = await self._call("release", keys, [owner, "now" if even_if_waiting else "if_empty"])
        return Released(ReleaseStatus(status.decode()), oldest.decode())

    async def publish(self, event_id: str, owner: str, published: bytes, done: Sequence[bytes] = ()) -> PublishStatus:
        """Publish a batch and delete its commands (the entry ids `done`) from the lane, if `owner` has the lease."""
        keys = [redis_keys.lane(event_id), redis_keys.lane_lease(event_id), redis_keys.lane_out(event_id)]
        status = await self._call("publish", keys, [owner, LEASE_MS, OUT_KEPT, published, *done])
        return PublishStatus(status.decode())

    async def _lease(self, event_id: str, owner: str, how: str) -> LeaseStatus:
        status = await self._call("lease", [redis_keys.lane_lease(event_id)], [owner, LEASE_MS, how])
        return LeaseStatus(status.decode())

    async def _call(self, name: str, keys: list[str], args: list[Any]) -> Any:
        with as_lane_unavailable():
            return await self._scripts[name](keys, args, client=await home(self._redis, keys[0]))
