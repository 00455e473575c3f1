"""The lane's Lua commands with a Python signature each. Their guarantees are written in the files themselves."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from redis.asyncio import Redis

from app import redis_keys
from app.lua import load

LUA = Path(__file__).parent / "lua"
COMMANDS_MAX = 100_000  # waiting in one lane; more are refused at the door
LEASE_MS = 1000
OUT_KEPT = 10_000  # entries of lane:out; a web process further behind reloads


class Sent(StrEnum):
    wake = "wake"
    awake = "awake"
    full = "full"


class Lease(StrEnum):
    taken = "taken"
    kept = "kept"
    lost = "lost"


class Released(StrEnum):
    released = "released"
    more = "more"
    lost = "lost"


class LaneScripts:
    """One set per Redis client."""

    def __init__(self, redis: Redis) -> None:
        self._send = load(redis, LUA / "send.lua")
        self._lease = load(redis, LUA / "lease.lua")
        self._release = load(redis, LUA / "release.lua")
        self._publish = load(redis, LUA / "publish.lua")

    async def send(self, event_id: str, commands: Sequence[bytes]) -> tuple[Sent, str]:
        """What became of them, and the id of the oldest command waiting."""
        args = [COMMANDS_MAX, *commands]
        status, oldest = await self._send([redis_keys.lane(event_id), redis_keys.lane_lease(event_id)], args)
        return Sent(status.decode()), oldest.decode()

    async def take(self, event_id: str, owner: str) -> bool:
        """Whether `owner` now has the lane."""
        return await self._leased(event_id, owner, "take") is Lease.taken

    async def keep(self, event_id: str, owner: str) -> bool:
        """Whether `owner` still has the lane, for another LEASE_MS."""
        return await self._leased(event_id, owner, "keep") is Lease.kept

    async def _leased(self, event_id: str, owner: str, how: str) -> Lease:
        return Lease((await self._lease([redis_keys.lane_lease(event_id)], [owner, LEASE_MS, how])).decode())

    async def release(self, event_id: str, owner: str, *, even_if_waiting: bool = False) -> tuple[Released, str]:
        """What became of the lease, and the id of the oldest command waiting ("" if none is)."""
        args = [owner, "now" if even_if_waiting else "if_empty"]
        status, oldest = await self._release([redis_keys.lane(event_id), redis_keys.lane_lease(event_id)], args)
        return Released(status.decode()), oldest.decode()

    async def publish(self, event_id: str, owner: str, published: bytes, done: Sequence[bytes] = ()) -> bool:
        """Publish and delete the `done` entries; False if the lease was lost (then nothing happened)."""
        names = [redis_keys.lane(event_id), redis_keys.lane_lease(event_id), redis_keys.lane_out(event_id)]
        answer = await self._publish(names, [owner, LEASE_MS, OUT_KEPT, published, *done])
        return bool(answer == b"published")
