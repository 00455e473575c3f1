"""Redis goes away: what needs it is refused and may be asked again, what does not is answered as before."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from structlog.testing import capture_logs

from app.run.redis_server import command, find_server, wait_until_answering
from config.settings import Settings, environment
from tests.http.buyer import assert_problem, buyer
from tests.http.origins.site import make_site, visitor
from tests.http.system import BUYER, System, running_system
from tests.http.watcher import Refused, watching
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


class OwnRedis:
    """A Redis server that may be killed."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self._command = command(find_server(folder), folder, self.socket)
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        process = self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)  # noqa: ASYNC220 # forks only
        assert await wait_until_answering(self.socket, lambda: process.poll() is None)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@asynccontextmanager
async def working_process(settings: Settings) -> AsyncIterator[None]:
    """A worker in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "app.cli", "worker"),
        env={**os.environ, **environment(settings)},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest_asyncio.fixture(loop_scope="module")
async def own_redis(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnRedis]:
    own = OwnRedis(tmp_path_factory.mktemp("redis"))
    await own.start()
    yield own
    own.kill()


@pytest_asyncio.fixture(loop_scope="module")
async def system(own_redis: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    url = f"unix://{own_redis.socket}"
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), redis_url=url, tick_ms=50, lane_wait_s=15.0)
    async with (
        Redis(unix_socket_path=str(own_redis.socket)) as redis,
        running_system(settings, redis, working_process) as running,
    ):
        yield running


async def test_without_redis_nothing_crashes_and_nothing_is_lost(system: System, own_redis: OwnRedis) -> None:
    event_id = await system.event()
    headers = await system.bearer()
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben, system.web.client() as anybody:
        await ann.enter()
        held = await ann.hold(seatIds=["s0"])
        number = (await ann.position())["number"]
        assert (await anybody.get("/readyz")).status_code == 200
        own_redis.kill()
        with capture_logs() as logged:
            refused = assert_problem(await ben.join(), 503, "line_unavailable")
            assert "tiketi_holder" in ben.client.cookies, "the answer may just be late: who tries again is the same"
            assert "Nothing was lost" in refused["detail"]
            assert_problem(await ann.claim(), 503, "line_unavailable")
            assert_problem(await ann.post("leave"), 503, "line_unavailable")
            assert_problem(await ann.pay(held["id"]), 503, "lane_busy")
            admin = f"/api/admin/events/{event_id}/admission"
            assert_problem(await anybody.get(admin, headers=headers), 503, "line_unavailable")
            change = await anybody.patch(admin, headers=headers, json={"burst": 5})
            assert_problem(change, 503, "line_unavailable")
            assert int(change.headers["retry-after"]) >= 1
            body = {"name": "Ann", "email": "away@example.com", "password": "correct horse"}
            assert_problem(await anybody.post("/api/auth/register", json=body), 503, "login_unavailable")
            login = {"email": BUYER[0], "password": BUYER[1]}
            assert_problem(await anybody.post("/api/auth/login", json=login), 503, "login_unavailable")
            assert_problem(await anybody.post("/api/auth/logout", headers=headers), 503, "login_unavailable")
            assert (await ann.position())["number"] == number
            assert (await ann.seat_statuses())["s0"] == "held"
            assert (await anybody.get(f"/api/queue/{event_id}/status")).status_code == 200
            assert (await anybody.get("/healthz")).status_code == 200
            assert (await anybody.get("/readyz")).status_code == 200
            system.state["metrics"].status.forget()
            assert "redis_away" in (await anybody.get("/status")).text
        assert not [entry for entry in logged if entry["event"] == "request_crashed"]
        await own_redis.start()

        async def is_paid() -> bool:
            return (await ann.pay(held["id"])).status_code == 201

        await wait_until(is_paid, description="the payment goes through once Redis is back")

        async def number_given() -> int:
            joined = await ben.join()
            return int(joined.json()["number"]) if joined.status_code == 201 else 0

        given = await wait_until(number_given, description="the room is made again for the Redis that was started")
        assert given > number
        assert (await ann.position())["number"] == number


async def test_without_redis_the_visitor_of_a_site_is_told_so_on_a_page_of_the_site(
    system: System, own_redis: OwnRedis
) -> None:
    site = await make_site(system)
    async with visitor(system, cookies=system.browser(), headers={"accept": "text/html"}) as ann:
        own_redis.kill()
        page = await ann.go(f"/wait/{site.room_id}?t=https%3A%2F%2Fshop.example%2Fsale")
        await own_redis.start()
        assert page.status_code == 503
        assert '<span class="brand">A shop</span>' in page.text
        assert '<a class="button" href="">' in page.text, "the same address again, which says where they want to go"
        assert 'href="/reservations"' not in page.text


async def test_without_redis_what_only_sql_must_take_is_taken_and_the_rest_refused(
    system: System, own_redis: OwnRedis
) -> None:
    headers, mine = await system.bearer(), await system.bearer(BUYER)
    event_id, other = await system.event(), await system.another_web()
    wanted = {"title": "Away", "venue": "Hall", "eventDate": "2099-01-01T10:00"}
    wish = {"wish": {"quantity": 1, "grades": ["R"]}}
    csv, is_csv = b"grade,row,number\nR,A,1\nS,A,2\n", {**headers, "content-type": "text/csv"}
    async with system.web.client() as here, other.client() as there:
        made = await here.post("/api/admin/events", headers=headers, json=wanted)
        path = f"/api/events/{made.json()['event']['id']}"
        whole_grade = {"eventId": "direct", "seatIds": [f"s{idx}" for idx in range(6)]}
        assert (await here.post("/api/seats/reserve", headers=headers, json=whole_grade)).status_code == 201
        own_redis.kill()
        with capture_logs() as logged:
            for taken in (
                await here.post("/api/admin/events", headers=headers, json=wanted),
                await here.post(f"/api/admin/events/{event_id}/seats", headers=is_csv, content=csv),
                await here.post("/api/waitlist/direct", headers=mine, json=wish),
            ):
                assert taken.status_code == 201, taken.text
            assert len((await here.get(f"/api/seats/events/{event_id}")).json()["seats"]) == 2
            assert (await there.get(path)).status_code == 200, "it has no map yet, so SQL knows all of it"
            edited = await there.put(path.replace("/api/", "/api/admin/"), headers=headers, json={"title": "Edited"})
            assert edited.status_code == 200, edited.text
            with pytest.raises(Refused) as refused:
                async with watching(other, path.rpartition("/")[2]):
                    pass
            assert (refused.value.status, refused.value.code) == (503, "line_unavailable")
        assert not [entry for entry in logged if entry["event"] == "request_crashed"]
        await own_redis.start()

        async def is_known() -> bool:
            return bool((await there.get(path)).json()["event"]["title"] == "Edited")

        await wait_until(is_known, description="what was remembered while nobody could be told is read anew")
