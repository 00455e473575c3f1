"""`/readyz` says whether this process can serve, `/status` what is wrong with all: each thing is broken in turn, and
each is well again when it is mended."""

from __future__ import annotations

import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from starlette.applications import Starlette

from app import redis_keys
from app.http.accounts.admins import Admins
from app.http.hot.front import Front
from app.http.ops import health
from app.lane.commands import OfferToWaitlist, pack
from app.ledger import editing, events
from app.ledger.account_admin import Account
from app.ledger.errors import StoreAway
from app.metrics.status import CODES
from app.processes import processes
from config.settings import Settings
from tests.http.buyer import assert_problem
from tests.http.events.test_cache import statements
from tests.http.system import BUYER, System, event_spec, running_system
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
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), redis_url=f"unix://{own_redis.socket}", tick_ms=50)
    async with Redis(unix_socket_path=str(own_redis.socket)) as redis, running_system(settings, redis) as running:
        yield running


async def asked(system: System) -> tuple[int, dict[str, Any]]:
    async with system.web.client() as client:
        answer = await client.get("/readyz")
        return answer.status_code, answer.json()


async def until_ready(system: System) -> None:
    async def is_ready() -> bool:
        return (await asked(system))[0] == 200

    await wait_until(is_ready, description="the process is ready")


async def status(system: System) -> dict[str, Any]:
    system.state["metrics"].status.forget()
    async with system.web.client() as client:
        answer = await client.get("/status")
        assert answer.status_code == 200
        told: dict[str, Any] = answer.json()
        return told


async def codes(system: System) -> set[str]:
    return {problem["code"] for problem in (await status(system))["problems"]}


async def until(system: System, *expected: str) -> None:
    """All of these problems are told, or none at all."""

    async def are_told() -> bool:
        found = await codes(system)
        return set(expected) <= found if expected else not found

    await wait_until(are_told, description=f"/status says {expected}")


async def test_all_is_well(system: System) -> None:
    await until_ready(system)
    assert await asked(system) == (200, {"status": "ready", "missing": []})
    await until(system)
    told = await status(system)
    assert told["status"] == "ok"
    assert sorted((each["kind"], each["live"]) for each in told["processes"]) == [("web", True), ("worker", True)]


async def test_a_redis_that_does_not_answer_keeps_nobody_from_a_process(system: System, own_redis: OwnRedis) -> None:
    await until_ready(system)
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    try:
        await until(system, "redis_away")
        assert (await asked(system))[0] == 200
    finally:
        own_redis.process.send_signal(signal.SIGCONT)
    await until(system)


@pytest.mark.parametrize(
    ("name", "wrong", "right", "code"),
    [
        ("appendonly", "no", "yes", "redis_no_log"),
        ("maxmemory-policy", "allkeys-lru", "noeviction", "redis_evicts"),
        ("maxmemory", "1", "0", "redis_writes_fail"),
        ("maxmemory", "1", "0", "redis_memory_short"),
    ],
)
async def test_a_redis_that_is_set_wrongly_is_told_of(
    system: System, name: str, wrong: str, right: str, code: str
) -> None:
    await system.redis.config_set(name, wrong)
    try:
        await until(system, code)
        assert (await asked(system))[0] == 200
    finally:
        await system.redis.config_set(name, right)
    await until(system)


async def test_a_redis_that_is_a_replica_is_told_of(system: System) -> None:
    await system.redis.replicaof("127.0.0.1", "1")
    try:
        await until(system, "redis_writes_fail")
        assert (await asked(system))[0] == 200
    finally:
        await system.redis.replicaof("NO", "ONE")
    await until(system)


async def test_a_follower_that_hangs_is_noticed(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "STALE_S", -1.0)
    code, body = await asked(system)
    assert code == 503
    assert {missing.split(":")[0] for missing in body["missing"]} == {"room log", "seat maps"}


async def test_a_process_that_is_going_to_end_says_so(system: System) -> None:
    await until_ready(system)
    system.state["readiness"].leaving = True
    try:
        assert await asked(system) == (503, {"status": "not ready", "missing": ["this process is going to end"]})
    finally:
        system.state["readiness"].leaving = False
    assert (await asked(system))[0] == 200


async def test_files_that_are_gone_are_noticed(system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(health, "FILES", tmp_path / "gone.html")
    assert (await asked(system))[1]["missing"] == ["pages: their files are not there"]


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


TO_COME = ("event-0", "later")  # other tests may have made more
OTHERS = ("over", "off", "direct")


async def test_a_process_that_starts_is_not_ready_before_it_knows_every_room(system: System) -> None:
    """And never again is that a reason: a room that is missing then is missing for all, which /status says."""
    await until_ready(system)
    now = datetime.now(UTC)
    await events.create(system.db, event_spec("over", now, closes_at=now - timedelta(minutes=1)), now)
    await events.create(system.db, event_spec("off", now), now)
    await editing.cancel(system.db, "off", events.AdminAction("ann", "event.cancel", {}), now)
    with blind(system) as forget:

        async def are_named() -> bool:
            forget()
            system.state["readiness"].was_ready = False
            missing = set((await asked(system))[1]["missing"])
            to_come, others = ({f"room {each}: not known here" for each in ids} for ids in (TO_COME, OTHERS))
            return to_come <= missing and missing.isdisjoint(others)

        await wait_until(are_named, description="the rooms to come are named, and none of the past")
        system.state["readiness"].was_ready = True
        assert (await asked(system))[0] == 200

        async def is_told() -> bool:
            forget()
            return "room_unknown" in await codes(system)

        await wait_until(is_told, description="/status tells of the room")
    await until(system)


async def test_a_room_of_which_redis_may_have_lost_something_is_told_of(system: System) -> None:
    event_id = await system.event()
    await system.redis.hset(redis_keys.room(event_id), "run_id", "of another")  # type: ignore[misc]

    async def is_told() -> bool:
        system.state["metrics"].status.forget()
        return "room_recovering" in await codes(system)

    await wait_until(is_told, description="/status tells that the room recovers")
    await system.change(event_id, state="closed")


async def test_a_probe_asks_no_store_once_the_process_was_ready(system: System) -> None:
    await until_ready(system)
    with statements(system.web) as said:
        await asked(system)
    assert [statement for statement in said if "events" in statement] == []


async def test_a_seat_map_that_is_behind_is_told_of(system: System) -> None:
    seats = system.state["seats"]

    async def away(event_id: str) -> None:
        raise ConnectionError(event_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seats, "_load", away)
        seats._stale.add("event-0")
        await until(system, "database_fails")
    await until(system)  # it is read anew


async def test_a_database_that_is_gone_is_told_of(system: System) -> None:
    await until_ready(system)
    await system.db.run(lambda tx: tx.exec_driver_sql("ALTER TABLE events RENAME COLUMN admission TO elsewhere"))
    try:
        await until(system, "database_away")
        assert (await asked(system))[0] == 200
    finally:
        await system.db.run(lambda tx: tx.exec_driver_sql("ALTER TABLE events RENAME COLUMN elsewhere TO admission"))
    await until(system)


async def test_tables_of_another_version_are_told_of(system: System) -> None:
    await until_ready(system)
    await system.db.run(lambda tx: tx.exec_driver_sql("UPDATE alembic_version SET version_num = 'z' || version_num"))
    try:
        await until(system, "tables_differ")
        assert (await asked(system))[0] == 200
    finally:
        back = "UPDATE alembic_version SET version_num = substr(version_num, 2)"
        await system.db.run(lambda tx: tx.exec_driver_sql(back))
    await until(system)


async def test_a_full_disk_is_told_of(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int
        total: int

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: Usage(3_000_000, 10**9))
        await until(system, "disk_short")
    await until(system)


async def test_a_request_that_no_allocator_answers_is_told_of(system: System) -> None:
    """Seats are not sold, and nothing else would say so: somebody has the lane and does nothing."""
    await system.state["seats"].open("event-0")
    await system.redis.set(redis_keys.lane_lease("event-0"), "somebody who hangs", px=600_000)
    await system.redis.xadd(redis_keys.lane("event-0"), {"c": pack(OfferToWaitlist(id="stuck"))}, id="1-1")
    try:
        await until(system, "seats_wait")
    finally:
        await system.redis.delete(redis_keys.lane("event-0"), redis_keys.lane_lease("event-0"))
    await until(system)


async def test_a_worker_that_is_gone_is_told_of(system: System) -> None:
    (worker,) = [each for each in system.state["metrics"].status.processes.seen if each.told.kind == "worker"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "LIVE_S", -1.0)
        found = await status(system)
    assert {problem["code"] for problem in found["problems"]} == {"workers_none", "process_gone"}
    assert f"worker@{worker.told.host} has said nothing for " in str(found["problems"])
    await until(system)


async def test_who_may_not_read_the_metrics_is_not_told_what_is_wrong(system: System) -> None:
    async with system.web.client() as client:
        assert_problem(await client.get("/status", headers={"x-forwarded-for": "127.0.0.1"}), 401, "login_required")
        assert_problem(await client.get("/status", headers=await system.bearer(BUYER)), 403, "metrics_refused")


async def test_a_browser_is_shown_a_page(system: System) -> None:
    await until(system)
    async with system.web.client() as client:
        korean = (await client.get("/status", headers={"accept": "text/html"})).text
        assert "이상이 없습니다." in korean
        await system.redis.config_set("maxmemory-policy", "allkeys-lru")
        try:
            await until(system, "redis_evicts")
            english = await client.get("/status", headers={"accept": "text/html", "accept-language": "en"})
        finally:
            await system.redis.config_set("maxmemory-policy", "noeviction")
    assert "Redis may delete places" in english.text
    assert "maxmemory-policy allkeys-lru" in english.text


async def test_alerts_are_told_of_every_problem_there_is_or_is_not(system: System) -> None:
    await until(system)
    system.state["metrics"].stores.forget()
    readings = await system.state["metrics"].stores.readings()
    told = {each.labels[0]: each.value for each in readings if each.name == "tiketi_problem"}
    assert told == dict.fromkeys(CODES, 0)


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


async def test_an_admin_reads_what_is_wrong_while_the_database_cannot_say_who_is_one(system: System) -> None:
    async def away(_: str) -> Account | None:
        raise StoreAway("The database does not answer.")

    admins = system.state["admins"]
    system.state["admins"] = Admins(away)
    try:
        async with system.web.client(headers=await system.bearer()) as admin:
            assert (await admin.get("/status")).status_code == 200
            assert_problem(await admin.get("/api/admin/users"), 503, "store_unavailable")
        async with system.web.client(headers=await system.bearer(BUYER)) as buyer:
            assert_problem(await buyer.get("/status"), 403, "metrics_refused")
    finally:
        system.state["admins"] = admins
