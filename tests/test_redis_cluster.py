"""Where commands for a cluster go, from what its nodes say. tests/faults/test_cluster.py has real nodes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest
from redis.asyncio import ConnectionPool, Redis
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import MovedError, RedisError

from app.redis_cluster import SLOTS, Cluster, Nodes, NotACluster, key_of
from app.redis_keys import SHARED

A, B, C = ("a", 1), ("b", 2), ("c", 3)


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("GET", "x"), "x"),
        (("HSET", b"x", "field", 1), b"x"),
        (("EVALSHA", "0" * 40, 2, "x", "y", "argument"), "x"),
        (("EVALSHA", "0" * 40, 0, "argument"), None),
        (("XREAD", b"BLOCK", "5", b"COUNT", "1", b"STREAMS", "x", "y", "0", "0"), "x"),
        (("BITOP", "AND", "x", "y"), "x"),
        (("SCAN", 0, b"MATCH", "tiketi:{gig}:*", b"COUNT", 9), "tiketi:{gig}:*"),
        (("SCAN", 0, b"MATCH", "tiketi:*"), None),
        (("SCRIPT LOAD", b"return 1"), None),
        (("INFO", "memory"), None),
        (("TIME",), None),
    ],
)
def test_the_first_key_of_a_command_says_where_it_goes(command: tuple[Any, ...], key: str | bytes | None) -> None:
    assert key_of(command) == key


class NodeDouble:
    """A node that answers as it is told to; away if it is told nothing."""

    def __init__(self, said: Mapping[str, Any] | None) -> None:
        self.said = said
        self.asked = 0
        self.is_closed = False

    async def info(self, _section: str) -> dict[str, int]:
        self.asked += 1
        if self.said is None:
            raise RedisAway("refused")
        return {"cluster_enabled": self.said.get("enabled", 1)}

    async def execute_command(self, command: str) -> Any:
        assert self.said is not None
        if command == "CLUSTER INFO":
            return {"cluster_state": self.said["state"], "cluster_current_epoch": str(self.said["epoch"])}
        return self.said["slots"]

    async def aclose(self) -> None:
        self.is_closed = True


def says(epoch: int, *owners: tuple[bytes | None, int], state: str = "ok") -> dict[str, Any]:
    """Each owner has an equal part of the slots."""
    size = SLOTS // len(owners)
    slots = [[at * size, (at + 1) * size - 1, [*owner, b"id", []]] for at, owner in enumerate(owners)]
    return {"state": state, "epoch": epoch, "slots": slots}


def nodes_that(said: dict[tuple[str, int], Any]) -> tuple[Nodes, dict[tuple[str, int], NodeDouble]]:
    made = {node: NodeDouble(each) for node, each in said.items()}

    def make(node: tuple[str, int], _: Nodes) -> Redis:
        return made[node]  # type: ignore[return-value]  # as much of a client as is used

    return Nodes(said, make), made


async def test_the_newest_configuration_is_believed_and_a_node_that_lost_touch_is_not() -> None:
    old, new = says(3, (b"a", 1), (b"b", 2)), says(4, (b"c", 3), (b"b", 2))
    lost = says(9, (b"a", 1), (b"b", 2), state="fail")
    nodes, _ = nodes_that({A: lost, B: new, C: old})
    assert await nodes.owner(key_in(0)) == C
    assert await nodes.owners() == [B, C]


async def test_nodes_are_asked_once_and_again_when_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.redis_cluster.ASK_GAP_S", 0.0)
    nodes, made = nodes_that({A: says(1, (b"a", 1)), B: None})
    for _ in range(5):
        assert await nodes.find() == A
    assert (made[A].asked, made[B].asked) == (1, 1)
    made[A].said, made[B].said = None, says(2, (b"b", 2))
    nodes.doubt()
    assert await nodes.find() == nodes.known == B


async def test_a_node_that_names_no_host_means_itself_and_one_that_left_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.redis_cluster.ASK_GAP_S", 0.0)
    _, made = nodes_that({A: says(1, (None, 1), (b"c", 3)), C: None})
    nodes = Nodes([A], lambda node, _: made[node])  # type: ignore[arg-type,return-value]
    assert await nodes.owner(key_in(0)) == A
    nodes.client(C)
    made[A].said = says(2, (b"a", 1))
    nodes.doubt()
    assert await nodes.owner(key_in(SLOTS - 1)) == A
    assert (made[A].is_closed, made[C].is_closed) == (False, True)


async def test_what_a_node_says_of_one_slot_is_taken_at_once() -> None:
    nodes, _ = nodes_that({A: says(1, (b"a", 1), (b"b", 2))})
    slot = key_slot(SHARED.encode())
    assert await nodes.find() == (A if slot < SLOTS // 2 else B)
    nodes.moved(MovedError(f"{slot} c:3"))  # type: ignore[no-untyped-call]
    assert await nodes.find() == C, "until they are asked again"


async def test_a_transaction_for_several_nodes_is_refused_before_a_part_of_it_is_done() -> None:
    nodes, _ = nodes_that({A: says(1, (b"a", 1), (b"b", 2)), B: None})
    cluster = Cluster(nodes, ConnectionPool())
    async with cluster.pipeline(transaction=True) as pipe:
        for slot in (0, SLOTS - 1):
            pipe.set(key_in(slot), 1)
        with pytest.raises(RedisError, match="a transaction has keys of several nodes"):
            await pipe.execute()


async def test_without_any_node_it_is_said_why() -> None:
    with pytest.raises(RedisAway, match="no node of the cluster tells where the keys are: ConnectionError refused"):
        await nodes_that({A: None, B: None})[0].find()
    with pytest.raises(NotACluster, match="a:1 is no node of a cluster"):
        await nodes_that({A: {"enabled": 0}, B: None})[0].find()
    half = {**says(1, (b"a", 1), (b"b", 2)), "slots": [[0, 9, [b"a", 1]]]}
    with pytest.raises(RedisAway, match="no node of the cluster has slot"):
        await nodes_that({A: half})[0].owner(key_in(10))


def key_in(slot: int) -> str:
    """A key in this slot."""
    return next(key for key in map(str, count()) if key_slot(key.encode()) == slot)
