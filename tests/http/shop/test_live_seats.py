"""Live seats: everyone who watches is told, nothing is skipped silently, and nobody is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from app import redis_keys
from app.http.shop import live_seats as live
from app.http.shop.live_seats import ONLY_TELLS, SILENT, SLOW
from app.lane.commands import Published, pack
from app.lane.view import SeatView
from app.ledger import events
from tests.http.buyer import Buyer, buyer
from tests.http.system import System, Web, event_spec, serving
from tests.http.watcher import Refused, Watcher, watching
from tests.lane import world
from tests.waiting import wait_until

HALL = "hall"
HALL_SEATS = 4_000
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hall(system: System) -> AsyncIterator[str]:
    """An event with a map so large that its messages fill buffers; no buyer goes there."""
    now = datetime.now(UTC)
    seats = world.spec(HALL, rows=40, seats_per_row=HALL_SEATS // 40).seats
    await events.create(system.db, event_spec(HALL, now, seats=seats, admission="open"), now)
    yield HALL


async def publish(system: System, event_id: str, version: int, *batches: list[tuple[int, int]]) -> int:
    """What an allocator says after it committed; gives the last version."""
    async with system.redis.pipeline(transaction=False) as pipe:
        for seats in batches:
            version += 1
            pipe.xadd(redis_keys.lane_out(event_id), {"o": pack(Published(version=version, seats=seats))})
        await pipe.execute()
    return version


async def cancel(ann: Buyer, reservation_id: str) -> None:
    assert (await ann.client.post(f"/api/reservations/{reservation_id}/cancel")).status_code == 200


async def version_of(system: System, event_id: str) -> int:
    return (await system.state["seats"].open(event_id)).version


async def test_a_hold_a_release_and_a_sale_are_told_to_who_watches(system: System, event_id: str) -> None:
    async with watching(system.web, event_id) as watcher, buyer(system, event_id) as ann:
        hello = await watcher.next()
        assert hello == {"type": "hello", "channel": f"seats:{event_id}", "version": 0}
        counts = await watcher.next()
        assert counts["available"] == {"R": 6, "S": 6}
        await ann.enter()
        held = await ann.hold(seatIds=["s0", "s7"])
        await watcher.told(1)
        locked, updated = watcher.messages[2:]
        assert locked == {"type": "seat-locked", "since": 0, "version": 1, "seatIds": ["s0", "s7"]}
        assert updated == {
            "type": "ticket-updated",
            "since": 0,
            "version": 1,
            "available": {"R": 5, "S": 5},
            "sold": [],
        }
        await ann.pay(held["id"])
        await watcher.told(2)
        assert watcher.messages[4:] == [{**updated, "since": 1, "version": 2, "sold": ["s0", "s7"]}]
        await cancel(ann, held["id"])
        await watcher.told(3)
        released, updated = watcher.messages[5:]
        assert released == {"type": "seat-released", "since": 2, "version": 3, "seatIds": ["s0", "s7"]}
        assert updated["available"] == {"R": 6, "S": 6}


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "ordinary"])
async def test_two_web_processes_push_the_same(system: System, event_id: str, fast: bool) -> None:
    other = await system.another_web(fast_path=fast)
    async with AsyncExitStack() as stack:
        watchers = [
            await stack.enter_async_context(watching(web, event_id)) for web in (system.web, other) for _ in range(3)
        ]
        ann = await stack.enter_async_context(buyer(system, event_id))
        await ann.enter()
        await ann.hold(seatIds=["s3"])
        for watcher in watchers:
            await watcher.told(1)
            assert watcher.seats == {"s3": "held"}
            assert watcher.available == {"R": 5, "S": 6}


async def test_who_comes_back_is_told_what_it_missed(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        async with watching(system.web, event_id) as watcher:
            held = await ann.hold(seatIds=["s1", "s2"])
            await watcher.told(1)
        await cancel(ann, held["id"])
        await ann.hold(seatIds=["s2", "s4"])
        version = await version_of(system, event_id)
        assert version > 2
        async with watching(system.web, event_id, since=1) as back:
            await back.told(version)
            assert back.messages[0]["version"] == version
            assert back.seats == {"s1": "available", "s2": "held", "s4": "held"}
            assert "reload" not in {message["type"] for message in back.messages}
        async with watching(system.web, event_id, since=version) as current:
            await current.next()
            assert (await current.next())["available"] == {"R": 4, "S": 6}
            assert current.seats == {}


async def test_who_missed_too_much_or_knows_more_is_told_to_read_the_map(system: System, event_id: str) -> None:
    start = await version_of(system, event_id)
    end = await publish(system, event_id, start, *([[(at % 7, at % 2)] for at in range(1_010)]))

    async def is_taken_in() -> bool:
        return await version_of(system, event_id) == end

    await wait_until(is_taken_in, description="the process has taken in what was published")
    for missed in (end - start, -1):
        async with watching(system.web, event_id, since=end - missed) as late:
            assert (await late.next())["type"] == "hello"
            assert await late.next() == {"type": "reload", "version": end}
            after = await publish(system, event_id, end, [(9, 1)])
            late.version = end  # it has read the map
            await late.told(after)
            assert late.seats == {"s9": "held"}, "it stays, and is told what comes"
            end = await publish(system, event_id, after, [(9, 0)])
            await late.told(end)


async def test_a_map_that_was_read_anew_is_told_as_such(system: System, event_id: str) -> None:
    """A gap in what the allocator published: nobody knows what changed."""
    async with watching(system.web, event_id) as watcher:
        await watcher.until(lambda: watcher.available)
        await publish(system, event_id, 5, [(0, 1)])
        await watcher.until(lambda: watcher.messages[-1]["type"] == "reload")
        assert watcher.messages[-1]["version"] == await version_of(system, event_id)


async def test_nothing_is_skipped_while_many_buy(system: System, event_id: str) -> None:
    """The watcher itself refuses a message that begins after what it knows."""
    async with AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(watching(system.web, event_id)) for _ in range(3)]
        buyers = [await stack.enter_async_context(buyer(system, event_id)) for _ in range(6)]

        async def buy(at: int) -> None:
            ann = buyers[at]
            await ann.enter()
            for _ in range(3):
                held = await ann.hold(seatIds=[f"s{at}", f"s{at + 6}"])
                await cancel(ann, held["id"])
                await asyncio.sleep(0)
            await ann.hold(seatIds=[f"s{at}"])

        await asyncio.gather(*map(buy, range(6)))
        version = await version_of(system, event_id)
        statuses = await buyers[0].seat_statuses()
        for watcher in watchers:
            await watcher.told(version)
            assert {seat: status for seat, status in statuses.items() if seat in watcher.seats} == watcher.seats
            assert watcher.available == {"R": 0, "S": 6}


async def test_a_message_is_encoded_once_for_all(
    system: System, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[tuple[str, int]] = []
    news = live.news

    def counted(view: SeatView, since: int) -> bytes:
        encoded.append((view.event_id, since))
        return news(view, since)

    monkeypatch.setattr(live, "news", counted)
    async with AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(watching(system.web, event_id, since=0)) for _ in range(20)]
        for watcher in watchers:
            await watcher.until(lambda watcher=watcher: watcher.available)
        assert encoded == [(event_id, 0)], "one welcome for all twenty"
        ann = await stack.enter_async_context(buyer(system, event_id))
        await ann.enter()
        await ann.hold(seatIds=["s0"])
        for watcher in watchers:
            await watcher.told(1)
        assert encoded == [(event_id, 0), (event_id, 0)], "and one message"


async def test_a_slow_reader_is_dropped_with_the_reason_and_others_are_not(system: System, hall: str) -> None:
    hub = system.state["live"]
    dropped = hub.dropped
    async with watching(system.web, hall, buffer_bytes=4_096) as slow, watching(system.web, hall) as quick:
        await quick.until(lambda: quick.available)
        version = await version_of(system, hall)
        everything = [[(idx, status) for idx in range(HALL_SEATS)] for status in (1, 0)]

        async def is_dropped() -> bool:
            nonlocal version
            version = await publish(system, hall, version, *everything)
            await quick.told(version)
            return hub.dropped == dropped + 1

        await wait_until(is_dropped, description="the slow reader is dropped")
        assert await slow.end() == SLOW
        assert slow.version is not None
        assert slow.version < version, "what it did not take was not kept for it"
        version = await publish(system, hall, version, [(0, 1)])
        await quick.told(version)
        assert hub.dropped == dropped + 1
    async with watching(system.web, hall, since=slow.version) as again:
        await again.until(lambda: len(again.messages) > 1)
        assert again.seats.get("s0") == "held"


async def test_a_client_that_vanished_is_noticed_and_one_that_answers_stays(
    system: System, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PING_S", 0.05)
    async with watching(system.web, event_id, pongs=False) as mute, watching(system.web, event_id) as well:
        reading = asyncio.create_task(well.told(1))
        assert await mute.end() == SILENT
        await publish(system, event_id, 0, [(0, 1)])
        await reading
        assert well.closed is None


async def test_a_socket_has_a_life_and_says_when_to_come_back(system: System, event_id: str) -> None:
    web = await system.another_web()
    web.state["live"]._life_s = 0
    async with watching(web, event_id) as watcher:
        assert await watcher.end() == (1001, "reconnect")
        assert watcher.messages[-1] == {"type": "reconnect", "version": 0, "afterMs": live.RECONNECT_AFTER_MS}
    assert not web.state["live"].sockets


async def test_who_talks_is_told_that_nobody_listens(system: System, event_id: str) -> None:
    async with watching(system.web, event_id) as watcher:
        await watcher.send("hello?")
        assert await watcher.end() == ONLY_TELLS


async def test_a_process_that_stops_says_so(system: System, event_id: str) -> None:
    async with AsyncExitStack() as stack:
        web: Web = await stack.enter_async_context(serving(system.settings))
        watcher: Watcher = await stack.enter_async_context(watching(web, event_id))
        web.server.should_exit = True
        assert (await watcher.end())[0] == 1012


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/ws/seats/nobody", 404, "event_unknown"),
        ("/ws/seats/..%2fdemo", 404, "not_found"),
        ("/ws/seats/", 404, "not_found"),
        ("/ws/other", 404, "not_found"),
        ("/api/queue/{}/position", 404, "not_found"),
        ("/ws/seats/{}?since=-1", 422, "payload_invalid"),
        ("/ws/seats/{}?since=1e9", 422, "payload_invalid"),
        ("/ws/seats/{}?since=" + "9" * 19, 422, "payload_invalid"),
        ("/ws/seats/{}?since=", 422, "payload_invalid"),
    ],
)
async def test_what_cannot_be_watched_is_refused_before_it_opens(
    system: System, path: str, status: int, code: str
) -> None:
    sockets = set(system.state["live"].sockets)  # of an earlier test: on its way out
    with pytest.raises(Refused) as refused:
        async with watching(system.web, "event-0", path=path):
            pass
    assert (refused.value.status, refused.value.code) == (status, code)
    assert system.state["live"].sockets.keys() <= sockets


async def test_pages_of_other_sites_may_not_watch_unless_they_are_allowed(system: System, event_id: str) -> None:
    ours = f"http://127.0.0.1:{system.web.port}".encode()
    async with watching(system.web, event_id, headers=[(b"origin", ours)]) as watcher:
        assert (await watcher.next())["type"] == "hello"
    for origin in (b"https://evil.example", b"null", b"http://127.0.0.1", ours + b".evil.example", b"http://[evil"):
        with pytest.raises(Refused) as refused:
            async with watching(system.web, event_id, headers=[(b"origin", origin)]):
                pass
        assert (refused.value.status, refused.value.code) == (403, "cross_site")
    web = await system.another_web(socket_origins="https://partner.example http://localhost:3000")
    async with watching(web, event_id, headers=[(b"origin", b"https://partner.example")]) as watcher:
        assert (await watcher.next())["type"] == "hello"


async def test_a_process_watches_for_so_many_and_no_more(system: System, event_id: str) -> None:
    web = await system.another_web(sockets_max=2)
    async with watching(web, event_id), watching(web, event_id):
        with pytest.raises(Refused) as refused:
            async with watching(web, event_id):
                pass
        assert (refused.value.status, refused.value.code) == (503, "sockets_full")

    async def is_empty() -> bool:
        return not web.state["live"].sockets

    await wait_until(is_empty, description="those who left are forgotten")
    async with watching(web, event_id) as watcher:
        assert (await watcher.next())["type"] == "hello"
