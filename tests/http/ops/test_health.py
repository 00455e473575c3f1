"""Each thing a buyer needs is broken in turn: `/readyz` says so and why, and is well again when it is."""

from __future__ import annotations

import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from starlette.applications import Starlette

from app import redis_keys
from app.http.hot.front import Front
from app.http.ops import health
from app.lane.commands import OfferToWaitlist, pack
from app.ledger import editing, events
from config.settings import Settings
from tests.http.events.test_cache import statements
from tests.http.system import System, event_spec, running_system
from tests.http.test_stores_away import OwnRedis
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own_redis(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnRedis]:
    own = OwnRedis(tmp_path_factory.mktemp("redis"))
    await own.start()
    yield own
    own.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(own_redis: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """No worker of its own runs while the stores are broken: it would end, as it should."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), redis_url=f"unix://{own_redis.socket}", tick_ms=50)
    async with Redis(unix_socket_path=str(own_redis.socket)) as redis, running_system(settings, redis) as running:
        yield running


async def asked(system: System) -> tuple[int, dict[str, Any]]:
    async with system.web.client() as client:
        answer = await client.get("/readyz")
        return answer.status_code, answer.json()


async def until(system: System, status: int, reason: str = "") -> dict[str, Any]:
    async def says() -> dict[str, Any] | None:
        code, body = await asked(system)
        fits = code == status and (not reason or any(reason in missing for missing in body["missing"]))
        return body if fits else None

    return await wait_until(says, description=f"/readyz says {status} {reason}")


async def test_all_is_well(system: System) -> None:
    assert (await until(system, 200))["missing"] == []


async def test_a_redis_that_does_not_answer_is_noticed(system: System, own_redis: OwnRedis) -> None:
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    try:
        body = await until(system, 503, "redis: no answer within 1 s")
        assert body["status"] == "not ready"
    finally:
        own_redis.process.send_signal(signal.SIGCONT)
    await until(system, 200)


async def test_a_follower_that_hangs_is_noticed(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "STALE_S", -1.0)
    monkeypatch.setattr(health, "ANSWER_S", 30.0)  # the stores are well, if slow
    status, body = await asked(system)
    assert status == 503
    assert {missing.split(":")[0] for missing in body["missing"]} == {"room log", "seat maps"}


@contextmanager
def blind(system: System) -> Iterator[Callable[[], None]]:
    """No room is looked for; call what is given to know none: a look that had begun may have found one again."""
    rooms = system.state["rooms"]
    known = rooms.views.copy()

    async def never() -> None:
        return None

    discover, rooms.discover = rooms.discover, never  # type: ignore[method-assign]
    try:
        yield rooms.views.clear
    finally:
        rooms.views.update(known)
        rooms.discover = discover  # type: ignore[method-assign]


async def test_a_room_that_is_not_known_is_named(system: System) -> None:
    with blind(system) as forget:

        async def is_named() -> bool:
            forget()
            return "room event-0: not known here" in (await asked(system))[1]["missing"]

        await wait_until(is_named, description="the room is named")


async def test_nobody_is_turned_away_for_a_room_of_the_past(system: System) -> None:
    now = datetime.now(UTC)
    await events.create(system.db, event_spec("over", now, closes_at=now - timedelta(minutes=1)), now)
    await events.create(system.db, event_spec("off", now), now)
    await editing.cancel(system.db, "off", events.AdminAction("ann", "event.cancel", {}), now)
    with blind(system) as forget:

        async def are_named() -> set[str]:
            forget()
            return {missing for missing in (await asked(system))[1]["missing"] if missing.endswith(": not known here")}

        expected = {f"room {event_id}: not known here" for event_id in ("event-0", "later")}
        assert await wait_until(are_named, description="rooms are named") == expected


async def test_a_probe_counts_no_seats(system: System) -> None:
    """Counting those of a large catalogue takes longer than a probe waits."""
    with statements(system.web) as said:
        await until(system, 200)
    assert any("events" in statement for statement in said)
    assert [statement for statement in said if "seats" in statement] == []


async def test_a_seat_map_that_is_behind_is_named(system: System) -> None:
    seats = system.state["seats"]

    async def away(event_id: str) -> None:
        raise ConnectionError(event_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seats, "_load", away)
        seats._stale.add("event-0")
        await until(system, 503, "seat map event-0: cannot be read")
    await until(system, 200)  # it is read anew


async def test_a_database_that_is_gone_is_noticed(system: System) -> None:
    await system.db.run(lambda tx: tx.exec_driver_sql("ALTER TABLE events RENAME COLUMN admission TO elsewhere"))
    try:
        await until(system, 503, "database: OperationalError")
    finally:
        await system.db.run(lambda tx: tx.exec_driver_sql("ALTER TABLE events RENAME COLUMN elsewhere TO admission"))
    await until(system, 200)


async def test_tables_of_another_version_are_noticed(system: System) -> None:
    await system.db.run(lambda tx: tx.exec_driver_sql("UPDATE alembic_version SET version_num = 'z' || version_num"))
    try:
        await until(system, 503, "database: The database is at step")
    finally:
        back = "UPDATE alembic_version SET version_num = substr(version_num, 2)"
        await system.db.run(lambda tx: tx.exec_driver_sql(back))
    await until(system, 200)


async def test_a_full_disk_is_noticed(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(3_000_000))
    assert "disk: 3 MB are free" in (await asked(system))[1]["missing"]


async def test_a_request_that_no_allocator_answers_is_warned_of(system: System) -> None:
    """Seats are not sold, and nothing else would say so: somebody has the lane and does nothing."""
    await system.state["seats"].open("event-0")
    await system.redis.set(redis_keys.lane_lease("event-0"), "somebody who hangs", px=600_000)
    await system.redis.xadd(redis_keys.lane("event-0"), {"c": pack(OfferToWaitlist(id="stuck"))}, id="1-1")
    try:
        code, body = await asked(system)
        assert code == 200
        assert any(warning.startswith("seats: a request has waited for ") for warning in body["warnings"])
    finally:
        await system.redis.delete(redis_keys.lane("event-0"), redis_keys.lane_lease("event-0"))
    assert not any(warning.startswith("seats:") for warning in (await asked(system))[1]["warnings"])


async def test_without_a_worker_buyers_are_served_but_monitoring_is_warned(system: System) -> None:
    health_key = "arq:queue:health-check"

    async def said() -> bytes | None:
        value: bytes | None = await system.redis.get(health_key)
        return value

    value = await wait_until(said, description="the worker says that it lives")
    await until(system, 200)

    async def is_warned() -> bool:
        await system.redis.delete(health_key)  # the worker may say it again
        status, body = await asked(system)
        return status == 200 and any(warning.startswith("workers:") for warning in body["warnings"])

    async def is_well() -> bool:
        return not (await asked(system))[1]["warnings"]

    await wait_until(is_warned, description="monitoring is warned and buyers are served")
    await system.redis.set(health_key, value, px=11_000)
    await wait_until(is_well, description="nobody is warned any more")


async def test_a_loop_that_does_not_turn_is_unhealthy(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    async with system.web.client() as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        monkeypatch.setattr("app.metrics.loop_lag.STUCK_S", -1.0)
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "stuck")


async def test_a_probe_is_logged_when_its_answer_changes_once_it_was_ready() -> None:
    front = Front(Starlette(), "")
    starting, running = (503, 503, 200, 200), (503, 503, 200, 200)
    assert [front.is_news("/readyz", status) for status in starting] == [False] * 4
    assert [front.is_news("/readyz", status) for status in running] == [True, False, True, False]
    assert front.is_news("/metrics", 403), "a stranger asks"
