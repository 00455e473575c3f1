"""Whichever process is asked, it tells of all: the neighbours' numbers come from files they write."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.histogram import Histogram
from app.metrics.exchange import FRESH_S, MetricsExchange
from app.metrics.readings import Reading, read_histogram
from tests.waiting import wait_until


def exchange_of(process: str, folder: Path | None, polls: int, later_s: float = 0) -> MetricsExchange:
    ticks = Histogram((1.0,))
    ticks.add(0.5)
    return MetricsExchange(
        process,
        folder,
        [lambda: [Reading("tiketi_polls", (), polls), read_histogram("tiketi_tick_seconds", ticks)]],
        lambda: datetime.now(UTC) + timedelta(seconds=later_s),
    )


async def publishing(writer: MetricsExchange, folder: Path) -> asyncio.Task[None]:
    task = asyncio.create_task(writer.run())

    async def has_written() -> bool:
        return (folder / f"{writer.process}.metrics").exists()

    await wait_until(has_written, description=f"{writer.process} tells its numbers")
    return task


async def test_the_process_asked_tells_of_its_neighbours_until_they_end(tmp_path: Path) -> None:
    neighbour = await publishing(exchange_of("worker-1", tmp_path, 7), tmp_path)
    asked = exchange_of("web-1", tmp_path, 3)
    told = await asked.text()
    assert b'tiketi_polls_total{process="web-1"} 3.0' in told
    assert b'tiketi_polls_total{process="worker-1"} 7.0' in told
    assert b'tiketi_tick_seconds_count{process="worker-1"} 1.0' in told
    neighbour.cancel()
    await asyncio.gather(neighbour, return_exceptions=True)
    assert b"worker-1" not in await asked.text()


async def test_a_process_that_was_killed_is_told_of_no_more(tmp_path: Path) -> None:
    neighbour = await publishing(exchange_of("worker-1", tmp_path, 7), tmp_path)
    left = (tmp_path / "worker-1.metrics").read_bytes()
    neighbour.cancel()
    await asyncio.gather(neighbour, return_exceptions=True)
    (tmp_path / "worker-1.metrics").write_bytes(left)
    assert b"worker-1" in await exchange_of("web-1", tmp_path, 3).text()
    assert b"worker-1" not in await exchange_of("web-1", tmp_path, 3, later_s=FRESH_S + 1).text()


@pytest.mark.parametrize("garbage", [b"", b"\x93", b"not msgpack at all"])
async def test_a_file_that_cannot_be_read_spoils_nothing(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "worker-1.metrics").write_bytes(garbage)
    assert b'tiketi_polls_total{process="web-1"} 3.0' in await exchange_of("web-1", tmp_path, 3).text()


async def test_without_a_folder_a_process_tells_its_own(tmp_path: Path) -> None:
    assert b'tiketi_polls_total{process="web-1"} 3.0' in await exchange_of("web-1", None, 3).text()


async def test_stores_that_do_not_answer_cost_only_their_own_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> list[Reading]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr("app.metrics.exchange.SHARED_WAIT_S", 0.01)
    asked = MetricsExchange("web-1", None, [lambda: [Reading("tiketi_polls", (), 3)]], lambda: datetime.now(UTC), never)
    assert b'tiketi_polls_total{process="web-1"} 3.0' in await asked.text()
