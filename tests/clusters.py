"""A cluster of three Redis servers, each with a replica, all real processes, to see nodes fail and take over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.crc import key_slot

from app import redis_keys
from tests.ports import kept_port
from tests.room.server import Server
from tests.waiting import wait_until

SHARDS = 3
SLOTS = 16_384
NODE_TIMEOUT_MS = 2_000


@dataclass(frozen=True, slots=True)
class Member:
    """One server, where it listens, and what the others call it."""

    server: Server
    port: int
    bus: int
    id: str

    async def say(self, *command: Any) -> Any:
        async with self.server.client() as client:
            return await client.execute_command("CLUSTER", *command)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Clustered:
    """`primaries` and `replicas` as they begin, one of each for every shard."""

    primaries: Sequence[Member]
    replicas: Sequence[Member]

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(f'127.0.0.1:{each.port}' for each in self.primaries)}"

    def shard_of(self, event_id: str) -> int:
        return key_slot(redis_keys.room(event_id).encode()) * SHARDS // SLOTS

    @property
    def shared(self) -> int:
        """The shard that has the keys which all events share."""
        return key_slot(redis_keys.SHARED.encode()) * SHARDS // SLOTS

    async def until_copied(self, shard: int) -> None:
        """The replica has everything that its primary has."""
        async with self.primaries[shard].server.client() as primary, self.replicas[shard].server.client() as replica:

            async def is_whole() -> bool:
                theirs, ours = await replica.info("replication"), await primary.info("replication")
                return bool(theirs["slave_repl_offset"] == ours["master_repl_offset"])

            await wait_until(is_whole, description="the replica has everything")

    async def until_promoted(self, shard: int) -> None:
        async def is_primary() -> bool:
            async with self.replicas[shard].server.client() as client:
                return bool((await client.info("replication"))["role"] == "master")

        await wait_until(is_primary, description="the replica takes over")


@asynccontextmanager
async def cluster_in(folder: Path) -> AsyncIterator[Clustered]:
    async with AsyncExitStack() as stack:
        members = [await _member(stack, folder / f"node-{at}") for at in range(2 * SHARDS)]
        primaries, replicas = members[:SHARDS], members[SHARDS:]
        for shard, primary in enumerate(primaries):
            await primary.say("ADDSLOTSRANGE", first_of(shard), first_of(shard + 1) - 1)
            await primary.say("SET-CONFIG-EPOCH", shard + 1)
        for each in members[1:]:
            await members[0].say("MEET", "127.0.0.1", each.port, each.bus)
        await _until(members, lambda said: f"cluster_known_nodes:{len(members)}" in said)
        for primary, replica in zip(primaries, replicas, strict=True):
            await replica.say("REPLICATE", primary.id)
        await _until(members, lambda said: "cluster_state:ok" in said)
        clustered = Clustered(primaries, replicas)
        for shard in range(SHARDS):
            await clustered.until_copied(shard)
        yield clustered


def first_of(shard: int) -> int:
    """The first slot of a shard."""
    return -(-shard * SLOTS // SHARDS)


async def _member(stack: AsyncExitStack, folder: Path) -> Member:
    port, bus = (stack.enter_context(kept_port()) for _ in range(2))
    listens = ("--port", str(port), "--bind", "127.0.0.1", "--cluster-port", str(bus))
    when = ("--cluster-node-timeout", str(NODE_TIMEOUT_MS), "--cluster-require-full-coverage", "no")
    server = Server(folder, *listens, "--cluster-enabled", "yes", *when)
    await server.start()
    stack.callback(server.kill)
    async with server.client() as client:
        name = await client.execute_command("CLUSTER", "MYID")  # type: ignore[no-untyped-call]
    return Member(server, port, bus, name.decode())


async def _until(members: Sequence[Member], holds: Any) -> None:
    async def all_say_so() -> bool:
        return all([holds((await each.say("INFO")).decode()) for each in members])

    await wait_until(all_say_so, description="the nodes of the cluster know each other")
