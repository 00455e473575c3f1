"""Events as they are read: from memory, in every process, never older than what was told, the clock or the seats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
import sqlalchemy
from sqlalchemy import update

from app.cache import cache as caching
from app.cache.notices import Notices
from app.cache.tags import EVENTS as EVENTS_TAG
from app.cache.tags import event_tag
from app.http.events.cache import CachedEvent, changed
from app.ledger import events
from app.ledger.tables.events import events as events_table
from tests.http.buyer import assert_problem, buyer
from tests.http.system import System, Web
from tests.waiting import wait_until

CONTENDERS = 100
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def followed(system: System) -> None:
    """A process keeps nothing before it follows the notices, a moment after its start."""

    async def is_following() -> bool:
        return system.state["cache"].following

    await wait_until(is_following, description="the notices are followed")


@contextmanager
def statements(web: Web) -> Iterator[list[str]]:
    """What this process asks SQL."""
    said: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    engines = web.state["db"].engines
    for engine in engines:
        sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    yield said
    for engine in engines:
        sqlalchemy.event.remove(engine, "before_cursor_execute", note)


@contextmanager
def silent_database(web: Web) -> Iterator[None]:
    """Nothing is in memory, and SQL does not answer those who wait in the event loop."""

    def say_nothing(*_: object) -> None:
        sqlalchemy.util.await_only(asyncio.Event().wait())

    engine = web.state["db"].engines[0]
    web.state["cache"].drop_all()
    sqlalchemy.event.listen(engine, "before_cursor_execute", say_nothing)
    yield
    sqlalchemy.event.remove(engine, "before_cursor_execute", say_nothing)


@asynccontextmanager
async def two_webs(system: System) -> AsyncIterator[tuple[Web, Web]]:
    other = await system.another_web()

    async def is_following() -> bool:
        return other.state["cache"].following

    await wait_until(is_following, description="the notices are followed there too")
    yield system.web, other


async def retitle(system: System, event_id: str, title: str) -> None:
    """What an admin's edit commits."""
    async with system.db.write() as tx:
        await tx.execute(update(events_table).where(events_table.c.id == event_id).values(title=title))


async def title(web: Web, event_id: str) -> str:
    async with web.client() as client:
        found: str = (await client.get(f"/api/events/{event_id}")).json()["event"]["title"]
        return found


async def test_on_a_hit_the_event_costs_no_sql_and_its_free_seats_are_true(system: System, event_id: str) -> None:
    cache = system.state["cache"]
    async with buyer(system, event_id) as ann, system.web.client() as anybody:
        path = f"/api/events/{event_id}"
        before = (await anybody.get(path)).json()
        await ann.enter()
        await ann.hold(seatIds=["s0", "s1"])
        hits = cache.hits
        with statements(system.web) as said:
            after = (await anybody.get(path)).json()
        assert [one for one in said if "events" in one] == []
        assert cache.hits == hits + 1
        assert after["event"] == before["event"]
        left = {kind["grade"]: kind["available"] for kind in after["ticketTypes"]}
        assert left == {"R": 4, "S": 6}


async def test_who_has_the_answer_is_told_so_until_a_seat_goes(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann, system.web.client() as anybody:
        path = f"/api/events/{event_id}"
        first = await anybody.get(path)
        known = {"if-none-match": f"W/{first.headers['etag']}"}
        unchanged = await anybody.get(path, headers=known)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        await ann.enter()
        await ann.hold(seatIds=["s3"])
        changed_answer = await anybody.get(path, headers=known)
        assert changed_answer.status_code == 200
        assert changed_answer.headers["etag"] != first.headers["etag"]
        assert changed_answer.headers["cache-control"] == "no-cache"


async def test_a_crowd_that_finds_nothing_in_memory_asks_sql_once(system: System, event_id: str) -> None:
    cache = system.state["cache"]
    await changed(system.state, event_id)
    misses = cache.misses
    async with system.web.client() as anybody:
        answers = await asyncio.gather(*(anybody.get(f"/api/events/{event_id}") for _ in range(CONTENDERS)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert cache.misses == misses + 1


async def test_nine_of_ten_reads_are_answered_from_memory(system: System, event_id: str) -> None:
    cache = system.state["cache"]
    before = cache.hits, cache.misses, cache.shared
    async with system.web.client() as anybody:
        for _ in range(50):
            await anybody.get(f"/api/events/{event_id}")
            await anybody.get("/api/events")
    after = (cache.hits, cache.misses, cache.shared)
    hits, misses, shared = (now - then for now, then in zip(after, before, strict=True))
    assert hits + misses + shared == 100
    assert hits > 90


async def test_a_change_in_one_process_is_felt_in_the_other(system: System, event_id: str) -> None:
    async with two_webs(system) as (one, other):
        old = await title(one, event_id)
        assert await title(other, event_id) == old
        await retitle(system, event_id, "Moved to the arena")
        assert await title(one, event_id) == old, "it was cached"
        await changed(one.state, event_id)
        assert await title(one, event_id) == "Moved to the arena", "at once where it was changed"

        async def is_known() -> bool:
            return await title(other, event_id) == "Moved to the arena"

        await wait_until(is_known, description="the other process has heard")


async def test_a_change_that_a_worker_tells_is_felt_everywhere_pages_included(system: System, event_id: str) -> None:
    async with two_webs(system) as webs:
        for web in webs:
            async with web.client() as anybody:
                await anybody.get(f"/events/{event_id}")
                await anybody.get("/")
        await retitle(system, event_id, "Told by a worker")
        await Notices(system.redis).tell([EVENTS_TAG, event_tag(event_id)])
        for web in webs:
            for path in (f"/events/{event_id}", "/", "/api/events"):

                async def is_shown(web: Web = web, path: str = path) -> bool:
                    async with web.client() as anybody:
                        return "Told by a worker" in (await anybody.get(path)).text

                await wait_until(is_shown, description=f"{path} says so")


async def test_made_up_events_are_refused_and_push_nothing_out(system: System) -> None:
    cache = system.state["cache"]
    entries = len(cache)
    async with system.web.client() as anybody:
        for name in ("nobody", "'; drop table events; --", "%00", "x" * 500):
            assert_problem(await anybody.get(f"/api/events/{name}"), 404, "event_unknown")
    assert len(cache) == entries


async def test_what_the_clock_decides_is_not_kept(system: System, event_id: str) -> None:
    event = await events.get(system.db, event_id)
    assert event is not None
    left, cached = {"R": 6}, CachedEvent(event)
    before, after = event.opens_at - timedelta(microseconds=1), event.opens_at
    first = cached.answer(left, before)
    assert cached.answer(left, before - timedelta(days=1)) is first, "nothing happened between"
    assert cached.answer(left, after) is not first
    assert datetime.now(UTC) > after


async def test_a_load_that_takes_too_long_is_a_refusal_to_be_repeated(
    system: System, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with system.web.client() as client:
        with silent_database(system.web), monkeypatch.context() as hasty:  # the load that succeeds may take its time
            hasty.setattr(caching, "LOAD_MAX_S", 0.05)
            answer = await client.get(f"/api/events/{event_id}")
            page = await client.get(f"/events/{event_id}", headers={"accept": "text/html"})
        assert_problem(answer, 503, "store_unavailable")
        assert (answer.headers["retry-after"], page.status_code) == ("1", 503)
        assert (await client.get(f"/api/events/{event_id}")).status_code == 200
