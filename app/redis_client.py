"""Makes the clients of Redis, ours and arq's, from what REDIS_URL says.

Every answer comes in time or is an error: a host that is gone closes no connection, and nobody would ever hear of it.
What was asked may have been done all the same. A connection whose server turned out to be a replica, or whose master
the sentinels no longer name, is not used again.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import hiredis
from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from app.redis_cluster import Cluster, Nodes
from app.redis_nodes import leads_elsewhere
from config.redis_url import Node, RedisAddress

REDIS_TIMEOUT_S = 5.0  # to connect, and for each answer; a read that waits for news asks for less
SENTINEL_TIMEOUT_S = 1.0  # for what one sentinel says
DOWN = {b"s_down", b"o_down"}  # as one sentinel sees it, as enough of them do


class Locator(Protocol):
    """Knows which node connections lead to. `known`: the one that was found last."""

    known: Node | None

    async def find(self) -> Node: ...


class RedisLate(RedisTimeout, RedisAway):
    """No answer came in time. It is a connection error as well, since redis-py's pipelines give back the connection
    on which they watched keys after no other error: it would be missing from the pool for ever.
    """


class _Bounded(AbstractConnection):
    """A connection whose answers come in time, or it is given up. redis-py's own `socket_timeout` bounds writes too, by
    asyncio.wait_for: before Python 3.12 that loses a cancellation which comes as the write ends, so the task goes on,
    and whoever waits for it waits for ever.
    """

    is_elsewhere = False  # whether what this connection leads to is not what was asked for

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_S):
                return await super().read_response(*args, **options)
        except TimeoutError as error:
            raise RedisLate(f"no answer within {REDIS_TIMEOUT_S:g} s") from error
        except ResponseError as error:
            self.is_elsewhere = self.is_elsewhere or leads_elsewhere(error)
            raise

    def pack_command(self, *args: Any) -> list[bytes]:
        """As redis-py, but by hiredis: in Python it took half of the time of a call for hundreds of people."""
        name = args[0].encode() if isinstance(args[0], str) else args[0]
        try:
            return [hiredis.pack_command((*name.split(), *args[1:]))]
        except TypeError:  # redis-py says which argument is none
            return super().pack_command(*args)

    async def connect(self) -> None:
        """Asked for before each use. After a replica's answer the address is looked up and connected to anew."""
        if self.is_elsewhere:
            self.is_elsewhere = False
            await self.disconnect()
        try:
            await super().connect()  # type: ignore[no-untyped-call]
        except RedisTimeout as error:
            raise RedisLate(str(error)) from error


class _Tcp(_Bounded, Connection):
    pass


class _Tls(_Bounded, SSLConnection):
    pass


class _Socket(_Bounded, UnixDomainSocketConnection):
    pass


class _Located(_Bounded, Connection):
    """A connection to the node that `locator` finds. Where it has found another since, that one is connected to."""

    def __init__(self, *, locator: Locator, **options: Any) -> None:
        super().__init__(**options)
        self._locator = locator

    async def connect(self) -> None:
        self.is_elsewhere = self.is_elsewhere or self._locator.known != (self.host, self.port)
        if self.is_elsewhere or not self.is_connected:
            self.is_elsewhere = False
            await self.disconnect()
            self.host, self.port = await self._locator.find()
        await super().connect()


class _LocatedTls(_Located, _Tls):
    pass


class _OfCluster(_Tcp):
    """A connection to one node of a cluster. When it learns that keys have moved, or may have, it has `nodes` ask."""

    def __init__(self, *, nodes: Nodes, **options: Any) -> None:
        super().__init__(**options)
        self._nodes = nodes

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except (RedisAway, OSError):
            self._nodes.doubt()
            raise
        except ResponseError as error:
            if leads_elsewhere(error):
                self._nodes.doubt()
            raise

    async def connect(self) -> None:
        try:
            await super().connect()
        except (RedisAway, OSError):
            self._nodes.doubt()
            raise


class _OfClusterTls(_OfCluster, _Tls):
    pass


def open_client(address: RedisAddress) -> Redis:
    """A client whose pool is shared by all calls, and by arq. It connects when it is needed."""
    options: dict[str, Any] = {"db": address.database, "socket_connect_timeout": REDIS_TIMEOUT_S}
    options |= {"username": address.username or None, "password": address.password or None}
    if address.path:
        return Redis.from_pool(ConnectionPool(_Socket, path=address.path, **options))
    options |= address.tls or {}
    if address.service:
        kind = _LocatedTls if address.tls else _Located
        return Redis.from_pool(ConnectionPool(kind, locator=Sentinels(address), **options))
    if address.is_cluster:
        return _open_cluster(address, options)
    host, port = address.nodes[0]
    return Redis.from_pool(ConnectionPool(_Tls if address.tls else _Tcp, host=host, port=port, **options))


def _open_cluster(address: RedisAddress, options: dict[str, Any]) -> Cluster:
    def make(node: Node, of: Nodes) -> Redis:
        kind = _OfClusterTls if address.tls else _OfCluster
        return Redis.from_pool(ConnectionPool(kind, nodes=of, host=node[0], port=node[1], **options))

    nodes = Nodes(address.nodes, make)
    kind = _LocatedTls if address.tls else _Located
    return Cluster(nodes, ConnectionPool(kind, locator=nodes, **options))


class Sentinels:
    """Knows the master of a service from its sentinels. All are asked at once, each over a connection of its own, until
    most have answered: one that is gone keeps nobody, and where two disagree the newer configuration is believed.
    """

    def __init__(self, address: RedisAddress) -> None:
        self.known: Node | None = None
        self._address = address

    async def find(self) -> Node:
        """The master's address. Raises redis-py's ConnectionError if no sentinel knows one that is up."""
        up, why = await self._ask_most()
        if not up:
            raise RedisAway(f"no sentinel knows a master of {self._address.service!r} that is up: {'; '.join(why)}")
        newest = max(up, key=lambda state: int(state[b"config-epoch"]))
        self.known = newest[b"ip"].decode(), int(newest[b"port"])
        return self.known

    async def _ask_most(self) -> tuple[list[dict[bytes, bytes]], list[str]]:
        """The masters that are up as most sentinels say, and why others said none."""
        asking = [asyncio.create_task(self._ask(node)) for node in self._address.nodes]
        up: list[dict[bytes, bytes]] = []
        why: list[str] = []
        answers = 0
        try:
            for asked in asyncio.as_completed(asking):
                try:
                    state = await asked
                except (RedisError, OSError) as error:  # TimeoutError is an OSError
                    why.append(f"{type(error).__name__} {error}".strip())
                    continue
                if DOWN & set(state[b"flags"].split(b",")):
                    why.append("it is down")
                else:
                    up.append(state)
                answers += 1
                if answers > len(asking) // 2:
                    break
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        return up, why

    async def _ask(self, node: Node) -> dict[bytes, bytes]:
        """What one sentinel says of the master. Raises RedisError, OSError."""
        options: dict[str, Any] = {"host": node[0], "port": node[1], **(self._address.tls or {})}
        options |= {"username": self._address.sentinel_username or None}
        options |= {"password": self._address.sentinel_password or None}
        connection = (_Tls if self._address.tls else _Tcp)(**options)
        try:
            async with asyncio.timeout(SENTINEL_TIMEOUT_S):
                await connection.connect()
                await connection.send_command("SENTINEL", "MASTER", self._address.service)
                said = await connection.read_response()
        finally:
            await connection.disconnect(nowait=True)
        return dict(zip(said[::2], said[1::2], strict=True))
