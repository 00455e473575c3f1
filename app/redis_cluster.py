"""One client for all nodes of a cluster of Redis: each command goes to the node that has its key.

Keys of one room are on one node, and so are those that all events share (app/redis_keys.py); a command without a key
goes to the node of these. Which node has what is asked of the nodes themselves, and again when one of them says that a
key is elsewhere, or cannot be reached. Only what a node refused as not its own is sent a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from weakref import WeakSet

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.crc import key_slot
from redis.exceptions import AuthenticationError, MovedError, NoPermissionError, RedisError
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import TimeoutError as RedisTimeout

from app.redis_keys import SHARED
from config.redis_url import Node

ASK_TIMEOUT_S = 1.0  # for what one node says
LATE_S = 0.5  # for a node that was late when it was asked together with others, until it answers in time
ASK_GAP_S = 0.2  # between two times that the nodes are asked
NODES_MAX = 200  # that are asked, replicas among them
SLOTS = 16_384
KEYLESS = frozenset({"CLIENT", "CLUSTER", "CONFIG", "INFO", "PING", "SCRIPT", "TIME", "WAIT"})


class NotACluster(RedisError):
    """A Redis that was taken for a node of a cluster works by itself."""


class _View(NamedTuple):
    """What one node says: `is_ok` unless some slots have no node; the newest `epoch` that it knows; of ranges of slots
    the first, the last, the node that has them, and its replicas."""

    is_ok: bool
    epoch: int
    ranges: Sequence[tuple[int, int, Sequence[Node]]]


class Nodes:
    """The nodes there are, each with a client that `make` made, and which of them has which keys."""

    def __init__(self, seeds: Iterable[Node], make: Callable[[Node, Nodes], Redis]) -> None:
        self.known: Node | None = None  # the one that has the shared keys
        self._seeds = list(seeds)
        self._nodes: list[Node] = []
        self._make = make
        self._clients: dict[Node, Redis] = {}
        self._owners: list[Node | None] = []  # by slot
        self._is_doubted = True
        self._asked_s = float("-inf")
        self._asking = asyncio.Lock()

    def client(self, node: Node) -> Redis:
        if node not in self._clients:
            self._clients[node] = self._make(node, self)
        return self._clients[node]

    def doubt(self) -> None:
        """What is known may be old: have the nodes asked before the next command."""
        self._is_doubted = True

    def moved(self, error: MovedError) -> None:
        """A node has named the one that has a slot."""
        self.doubt()
        if self._owners and error.host:
            self._owners[error.slot_id] = (error.host, error.port)

    async def find(self) -> Node:
        """The node that has the shared keys. Raises redis-py's ConnectionError."""
        self.known = await self.owner(SHARED)
        return self.known

    async def owner(self, key: str | bytes) -> Node:
        """The node that has a key. Raises redis-py's ConnectionError if no node is known to."""
        await self._make_sure()
        slot = key_slot(key if isinstance(key, bytes) else key.encode())
        node = self._owners[slot]
        if node is None:
            raise RedisAway(f"no node of the cluster has slot {slot}")
        return node

    async def owners(self) -> list[Node]:
        """Every node that has keys."""
        await self._make_sure()
        return sorted({node for node in self._owners if node is not None})

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def _make_sure(self) -> None:
        if self._is_doubted:
            async with self._asking:
                clock = asyncio.get_running_loop().time
                if self._is_doubted and (not self._owners or clock() - self._asked_s >= ASK_GAP_S):
                    await self._ask_all()
                    self._asked_s = clock()

    async def _ask_all(self) -> None:
        """Take the newest configuration that a node tells; one that lost touch with most others knows it last."""
        asked = list(dict.fromkeys(self._nodes + self._seeds))[:NODES_MAX]
        found = await asyncio.gather(*map(self._ask, asked), return_exceptions=True)
        views = [view for view in found if isinstance(view, _View)]
        if not views:
            for error in found:
                if isinstance(error, NotACluster | AuthenticationError | NoPermissionError):
                    raise error  # which no waiting ends
            why = "; ".join(sorted({f"{type(error).__name__} {error}".strip() for error in found}))
            raise RedisAway(f"no node of the cluster tells where the keys are: {why}")
        newest = max(views, key=lambda view: (view.is_ok, view.epoch))
        owners: list[Node | None] = [None] * SLOTS
        nodes: dict[Node, None] = {}
        for first, last, theirs in newest.ranges:
            owners[first : last + 1] = [theirs[0]] * (last + 1 - first)
            nodes |= dict.fromkeys(theirs)
        self._owners, self._nodes, self._is_doubted = owners, list(nodes), False
        for unnamed in self._clients.keys() - nodes.keys() - set(self._seeds):
            await self._clients.pop(unnamed).aclose()

    async def _ask(self, node: Node) -> _View:
        """Raises RedisError, OSError."""
        client = self.client(node)
        async with asyncio.timeout(ASK_TIMEOUT_S):
            if not (await client.info("cluster"))["cluster_enabled"]:
                raise NotACluster(f"{node[0]}:{node[1]} is no node of a cluster")
            info = await _execute(client, "CLUSTER INFO")
            told = await _execute(client, "CLUSTER SLOTS")
        ranges = [(first, last, [_node(each, node[0]) for each in theirs]) for first, last, *theirs in told]
        return _View(info["cluster_state"] == "ok", int(info["cluster_current_epoch"]), ranges)


async def _execute(client: Redis, *args: Any, **options: Any) -> Any:
    return await client.execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis-py types none of it


def _node(told: Sequence[Any], asked: str) -> Node:
    """A node as CLUSTER SLOTS names it; one that names no host means the one that was asked."""
    host, port = told[:2]
    return (host or b"").decode() or asked, int(port)


class Cluster(Redis):
    """A client of the whole cluster. Its pool is of the node that has the shared keys, for arq."""

    def __init__(self, of: Nodes, shared: ConnectionPool) -> None:
        super().__init__(connection_pool=shared)
        self.auto_close_connection_pool = True
        self.late: WeakSet[Redis] = WeakSet()  # of nodes that kept somebody waiting who asked several
        self._of = of

    async def home(self, key: str | bytes) -> Redis:
        """The client of the node that has a key. Raises redis-py's ConnectionError."""
        return self._of.client(await self._of.owner(key))

    async def nodes(self) -> list[Redis]:
        """A client of each node that has keys. Raises redis-py's ConnectionError."""
        return [self._of.client(node) for node in await self._of.owners()]

    def moved(self, error: MovedError) -> None:
        """A node has named the one that has a slot."""
        self._of.moved(error)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        key = key_of(args) or SHARED
        try:
            return await _execute(await self.home(key), *args, **options)
        except MovedError as error:
            self.moved(error)
        return await _execute(await self.home(key), *args, **options)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        await self._of.aclose()

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return _Routed(self, transaction)


class _Routed(Pipeline):
    """Commands for several nodes: those of one node go to it in their order, all nodes work at the same time. Those of
    a transaction must be for one node."""

    def __init__(self, cluster: Cluster, transaction: bool) -> None:
        super().__init__(cluster.connection_pool, cluster.response_callbacks, transaction, None)
        self._cluster = cluster

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        commands, scripts = self.command_stack, self.scripts
        await self.reset()  # type: ignore[no-untyped-call]
        places: dict[Redis | RedisError, list[int]] = {}
        for at, (args, _) in enumerate(commands):
            places.setdefault(await self._home(args), []).append(at)
        if self.is_transaction and len(places) > 1:
            raise RedisError("a transaction has keys of several nodes")
        parts = [self._execute_at(home, [commands[at] for at in of], scripts) for home, of in places.items()]
        answers: dict[int, Any] = {}
        for of, part in zip(places.values(), await asyncio.gather(*parts), strict=True):
            answers |= zip(of, part, strict=True)
        ordered = [answers[at] for at in range(len(commands))]
        if raise_on_error:
            for answer in ordered:
                if isinstance(answer, Exception):
                    raise answer
        return ordered

    async def _home(self, args: Sequence[Any]) -> Redis | RedisError:
        try:
            return await self._cluster.home(key_of(args) or SHARED)
        except RedisError as error:
            return error

    async def _execute_at(self, home: Redis | RedisError, commands: list[Any], scripts: Any) -> list[Any]:
        """The answers of one node; an exception in the place of each that failed."""
        if isinstance(home, RedisError):
            return [home] * len(commands)
        late = self._cluster.late
        try:
            async with asyncio.timeout(LATE_S if home in late else None), home.pipeline(self.is_transaction) as pipe:
                pipe.command_stack, pipe.scripts = commands, set(scripts)
                answers: list[Any] = await pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            if isinstance(error, TimeoutError | RedisTimeout):
                late.add(home)
            return [error] * len(commands)
        except asyncio.CancelledError:
            late.add(home)
            raise
        late.discard(home)
        for answer in answers:
            if isinstance(answer, MovedError):
                self._cluster.moved(answer)
        return answers


def key_of(args: Sequence[Any]) -> str | bytes | None:
    """The first key of a command as it is sent, or of a scan whose pattern has one hash tag; None if it has none."""
    name, *rest = args
    command = str(name).partition(" ")[0].upper()
    if command in KEYLESS or not rest:
        return None
    if command in ("EVAL", "EVALSHA"):
        at = 2 if int(rest[1]) else None
    elif command == "XREAD":
        at = [_text(arg).upper() for arg in rest].index("STREAMS") + 1
    elif command == "BITOP":
        at = 1
    elif command == "SCAN":
        at = next((at for at, arg in enumerate(rest) if "{" in _text(arg)), None)
    else:
        at = 0
    key: str | bytes | None = None if at is None else rest[at]
    return key


def _text(arg: Any) -> str:
    return arg.decode(errors="replace") if isinstance(arg, bytes) else str(arg)
