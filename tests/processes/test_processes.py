"""Processes know of each other: who lives, who has fallen silent, and whether all have the same keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from app.outages import Outages
from app.processes import processes
from app.processes.processes import DIFFERENT_ROUNDS, KEPT_S, LIVE_S, Announcement, Processes
from app.redis_keys import PROCESSES

START_MS = 1_800_000_000_000


@dataclass
class Host:
    """One process of a machine."""

    redis: Redis
    name: str
    keys: str = "k1"
    kind: Literal["web", "worker"] = "web"
    outages: Outages = field(default_factory=Outages)

    def __post_init__(self) -> None:
        self.processes = Processes(self.redis, self.about, self.outages, self.name)

    def about(self) -> Announcement:
        return Announcement(self.name, self.kind, f"host-of-{self.name}", "1", self.keys, dict(self.outages.kinds))

    def seen(self) -> list[tuple[str, bool]]:
        return sorted((each.told.name, each.is_live) for each in self.processes.seen)


async def test_each_is_told_of_all_and_of_who_has_fallen_silent(redis: Redis) -> None:
    one, two = Host(redis, "one"), Host(redis, "two", kind="worker")
    await two.processes.announce(START_MS)
    await one.processes.announce(START_MS + int(LIVE_S * 1000))
    assert one.seen() == [("one", True), ("two", True)]
    await one.processes.announce(START_MS + int(LIVE_S * 1000) + 1)
    assert one.seen() == [("one", True), ("two", False)]
    await one.processes.announce(START_MS + KEPT_S * 1000 + 1)
    assert one.seen() == [("one", True)]


async def test_one_that_ends_is_not_missed(redis: Redis) -> None:
    one, two = Host(redis, "one"), Host(redis, "two")
    await two.processes.announce()
    await two.processes.close()
    await one.processes.announce()
    assert one.seen() == [("one", True)]


async def test_what_fails_one_process_is_known_to_the_others(redis: Redis) -> None:
    one, two = Host(redis, "one"), Host(redis, "two")
    two.outages.failed("database", "round", OSError("full"))
    await two.processes.announce()
    await one.processes.announce()
    assert [each.told.failing for each in one.processes.seen if each.told.name == "two"] == [{"database": "OSError"}]


async def test_different_keys_are_said_once_and_when_they_are_the_same_again(redis: Redis) -> None:
    one, two = Host(redis, "one"), Host(redis, "two", keys="k2")
    await two.processes.announce()
    with capture_logs() as said:
        for _ in range(DIFFERENT_ROUNDS - 1):
            await one.processes.announce()
            assert one.processes.other_keys == [], "the file may have been replaced a moment ago"
        for _ in range(3):
            await one.processes.announce()
            assert one.processes.other_keys == ["two@host-of-two"]
        two.keys = "k1"
        await two.processes.announce()
        await one.processes.announce()
        assert one.processes.other_keys == []
    assert [(each["event"], each["log_level"]) for each in said] == [("keys_differ", "error"), ("keys_agree", "info")]


async def test_no_more_than_so_many_are_known_and_all_are_forgotten_in_the_end(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PROCESSES_MAX", 3)
    hosts = [Host(redis, f"h{number}") for number in range(5)]
    for host in hosts:
        await host.processes.announce()
    assert len(await redis.hkeys(PROCESSES)) == 3  # type: ignore[misc]  # redis-py types it for both clients
    assert 0 < await redis.ttl(PROCESSES) <= KEPT_S
    await hosts[0].processes.announce()
    assert hosts[0].seen() == [("h0", True), ("h1", True), ("h2", True)]
