"""The network of a fault run, with a real Redis behind it: what is lost, what arrives late, and what is mended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Disconnected

from loadtest.faults.network import HOST, Network
from tests.waiting import wait_until


@pytest.fixture
async def network(redis_socket: Path) -> AsyncIterator[Network]:
    async with Network(redis_socket).serving() as network:
        yield network


@pytest.fixture
async def client(network: Network) -> AsyncIterator[Redis]:
    async with Redis(host=HOST, port=network.port) as client:
        yield client


async def test_it_carries_what_is_asked_and_answered(client: Redis, redis: Redis) -> None:
    large = b"x" * 300_000
    assert await client.setex("large", 60, large)
    assert await client.get("large") == await redis.get("large") == large


async def test_an_answer_that_is_lost_was_done_and_its_connection_ends(
    network: Network, client: Redis, redis: Redis
) -> None:
    await client.ping()
    network.lose_answers()
    asking = asyncio.ensure_future(client.setex("lost", 60, "1"))

    async def is_done() -> bool:
        return bool(await redis.get("lost") == b"1")

    await wait_until(is_done, description="Redis has done it")
    assert not asking.done()
    network.mend()
    with pytest.raises(Disconnected):
        await asking
    assert await client.get("lost") == b"1", "those made afterwards work"


async def test_what_is_sent_while_it_is_cut_arrives_when_it_goes_on(
    network: Network, client: Redis, redis: Redis
) -> None:
    await client.ping()
    network.cut()
    asking = asyncio.ensure_future(client.setex("late", 60, "1"))
    async with Redis(host=HOST, port=network.port) as newcomer:
        greeting = asyncio.ensure_future(newcomer.ping())
        await redis.ping()
        assert await redis.get("late") is None
        assert not asking.done()
        network.mend()
        assert await asking
        assert await greeting


async def test_a_connection_ends_with_the_store(network: Network, redis: Redis) -> None:
    reader, writer = await asyncio.open_connection(HOST, network.port)
    writer.write(b"PING\r\n")
    assert await reader.readline() == b"+PONG\r\n"
    await redis.client_kill_filter(_type="normal", skipme=True)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
