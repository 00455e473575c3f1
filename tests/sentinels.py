"""A Redis with a replica behind three sentinels, all real processes, to see one take over from the other."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.run.redis_server import find_server
from tests.ports import kept_port
from tests.room.server import Server
from tests.waiting import wait_until

SERVICE = "mymaster"
SENTINELS = 3
PASSWORD = "of-the-sentinels"
CONF = """\
port {port}
bind 127.0.0.1
dir {folder}
requirepass {password}
sentinel sentinel-pass {password}
sentinel monitor {service} 127.0.0.1 {primary} 2
sentinel down-after-milliseconds {service} 2000
sentinel failover-timeout {service} 6000
"""


class Watched:
    """`primary` and `replica` as they begin; `ports` are theirs, `sentinels` the others'. `password_file` has what the
    sentinels ask for."""

    def __init__(
        self, primary: Server, replica: Server, ports: tuple[int, int], sentinels: list[int], password_file: Path
    ) -> None:
        self.primary = primary
        self.replica = replica
        self.ports = ports
        self.sentinels = sentinels
        self.password_file = password_file

    @property
    def url(self) -> str:
        return f"sentinel://{','.join(f'127.0.0.1:{port}' for port in self.sentinels)}/{SERVICE}"

    async def until_copied(self) -> None:
        """The replica has everything that the primary has, and the sentinels know of it."""
        async with self.primary.client() as primary, self.replica.client() as replica:

            async def is_whole() -> bool:
                theirs, ours = await replica.info("replication"), await primary.info("replication")
                return bool(theirs["slave_repl_offset"] == ours["master_repl_offset"])

            await wait_until(is_whole, description="the replica has everything")

    async def until_promoted(self) -> None:
        """Every sentinel names the replica."""

        async def all_name_it() -> bool:
            return {await named(port) for port in self.sentinels} == {self.ports[1]}

        await wait_until(all_name_it, description="the sentinels name the replica")

    async def until_followed(self) -> None:
        """The one that was the primary follows the replica, or is not there any more: nobody writes to it."""

        async def takes_no_writes() -> bool:
            async with self.primary.client() as client:
                try:
                    return bool((await client.info("replication"))["role"] == "slave")
                except RedisError:
                    return True

        await wait_until(takes_no_writes, description="the old primary steps down")

    async def until_watched(self) -> None:
        """Every sentinel knows the others and the replica, so that a failover can begin."""

        async def all_know() -> bool:
            for port in self.sentinels:
                async with sentinel_at(port) as sentinel:
                    try:
                        state = await sentinel.sentinel_master(SERVICE)  # type: ignore[no-untyped-call]
                    except RedisError:
                        return False
                if (state["num-slaves"], state["num-other-sentinels"]) != (1, SENTINELS - 1):
                    return False
            return True

        await wait_until(all_know, description="the sentinels know each other and the replica")


def sentinel_at(port: int) -> Redis:
    return Redis(port=port, password=PASSWORD)


async def named(port: int) -> int:
    """The port of the master that this sentinel names; 0 if it does not answer."""
    async with sentinel_at(port) as sentinel:
        try:
            _, found = await sentinel.sentinel_get_master_addr_by_name(SERVICE)  # type: ignore[no-untyped-call]
        except RedisError:
            return 0
    return int(found)


@asynccontextmanager
async def watched_in(folder: Path) -> AsyncIterator[Watched]:
    async with AsyncExitStack() as stack:
        ports = [stack.enter_context(kept_port()) for _ in range(2 + SENTINELS)]
        listens = [("--port", str(port), "--bind", "127.0.0.1") for port in ports]
        primary = Server(folder / "primary", *listens[0])
        replica = Server(folder / "replica", *listens[1], "--replicaof", "127.0.0.1", str(ports[0]))
        for server in (primary, replica):
            await server.start()
            stack.callback(server.kill)
        for port in ports[2:]:
            file = folder / f"sentinel-{port}.conf"
            file.write_text(CONF.format(port=port, folder=folder, password=PASSWORD, service=SERVICE, primary=ports[0]))
            line = [str(find_server(folder)), str(file), "--sentinel"]
            process = subprocess.Popen(line, stdout=subprocess.DEVNULL)  # noqa: ASYNC220  # killed, not awaited
            stack.callback(process.wait)
            stack.callback(process.kill)
        password_file = folder / "password"
        password_file.write_text(f"{PASSWORD}\n")
        watched = Watched(primary, replica, (ports[0], ports[1]), ports[2:], password_file)
        await watched.until_watched()
        await watched.until_copied()
        yield watched
