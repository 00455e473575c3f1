"""The figures of the shop: exact after every turn of a reservation, fresh within seconds, asked of SQL rarely."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import event

from app.http.admin import statistics
from app.http.admin.export import BOM
from app.ledger import statistics as ledger_statistics
from app.ledger.errors import StoreAway
from tests.http.buyer import Stream, buyer, make_account
from tests.http.system import BUYER, System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
STATS = "/api/admin/dashboard/stats"


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _afresh(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is kept, except where a test says so; and none is before a process follows the notices."""
    monkeypatch.setattr(statistics, "KEPT_S", 0.0)

    async def is_following() -> bool:
        return system.state["cache"].following

    await wait_until(is_following, description="the notices are followed")
    await system.state["cache"].invalidate("desk:stats")


async def told(client: httpx2.AsyncClient, event_id: str) -> dict[str, Any]:
    answer = await client.get(STATS)
    assert answer.status_code == 200, answer.text
    (found,) = [one for one in answer.json()["stats"]["events"] if one["eventId"] == event_id]
    figures: dict[str, Any] = found
    return figures


async def test_every_turn_of_a_reservation_is_counted(system: System, event_id: str) -> None:
    async with system.web.client(headers=await system.bearer()) as client:
        for grade, quantity, end in (("R", 2, "pay"), ("S", 1, "refund"), ("S", 3, "cancel"), ("R", 1, "")):
            async with buyer(system, event_id) as ann:
                await ann.enter()
                made = await ann.hold(quantity=quantity, grades=[grade])
                if end in ("pay", "refund"):
                    assert (await ann.pay(made["id"])).status_code == 201
                if end in ("refund", "cancel"):
                    await ann.client.post(f"/api/reservations/{made['id']}/cancel")
        figures = await told(client, event_id)
        assert figures["grades"] == [{"grade": "R", "sold": 2, "revenue": 200}]
        assert (figures["revenue"], figures["seatsSold"], figures["refunded"]) == (200, 2, 50)
        counted = {"pending": 1, "confirmed": 1, "cancelled": 1, "expired": 0, "refunded": 1}
        assert figures["reservations"] == counted
        assert (figures["admitted"], figures["paidFromLine"], figures["conversion"]) == (4, 2, 0.5)
        assert figures["holdExpiryRate"] == 0.0
        totals = (await client.get(STATS)).json()["stats"]["totals"]
        assert totals["revenue"] >= 200
        text = (await client.get("/admin/statistics", headers={"accept-language": "en"})).text
        assert "Sales by grade" in text
        assert "50.0%" in text


async def test_nobody_waits_for_an_event_that_was_cancelled(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    headers = await system.bearer()
    async with buyer(system, event_id) as ann, system.web.client(headers=headers) as client:
        await ann.join()

        async def waits() -> bool:
            return bool((await told(client, event_id))["waiting"])

        await wait_until(waits, description="the process counts who joined")
        before = (await client.get(STATS)).json()["stats"]["totals"]["waiting"]
        assert (await client.post(f"/api/admin/events/{event_id}/cancel")).status_code == 200

        async def waits_no_more() -> bool:
            return not (await told(client, event_id))["waiting"]

        await wait_until(waits_no_more, description="nobody counts as waiting for it")
        assert (await client.get(STATS)).json()["stats"]["totals"]["waiting"] == before - 1


async def test_nothing_is_said_where_nothing_can_be_known(system: System, event_id: str) -> None:
    async with system.web.client(headers=await system.bearer()) as client:
        figures = await told(client, event_id)
    assert (figures["conversion"], figures["holdExpiryRate"], figures["admitted"]) == (None, None, 0)


async def test_many_who_look_ask_sql_once(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "KEPT_S", 60.0)
    await system.state["cache"].invalidate("desk:stats")  # what another test has looked at is kept for less
    asked = []
    engine = system.state["db"].engines[0]
    other = system.state["db"].engines[1]

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "reservation_seats" in statement:
            asked.append(statement)

    for each in (engine, other):
        event.listen(each, "before_cursor_execute", note)
    try:
        async with system.web.client(headers=await system.bearer()) as client:
            first = (await client.get(STATS)).json()["stats"]["updatedAt"]
            before = len(asked)
            for _ in range(5):
                assert (await client.get(STATS)).json()["stats"]["updatedAt"] == first
            assert len(asked) == before
    finally:
        for each in (engine, other):
            event.remove(each, "before_cursor_execute", note)
        await system.state["cache"].invalidate("desk:stats")


async def test_the_feed_tells_what_was_sold_meanwhile(
    system: System, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "FEED_EVERY_S", 0.05)
    async with (
        system.web.client(headers=await system.bearer()) as client,
        client.stream("GET", f"{STATS}/stream") as answer,
        buyer(system, event_id) as ann,
    ):
        feed = Stream(answer, answer.aiter_lines())
        await feed.next("stats")
        await ann.enter()
        assert (await ann.pay((await ann.hold(quantity=1, grades=["S"]))["id"])).status_code == 201
        async for news in feed.events():
            (figures,) = [one for one in news.data["events"] if one["eventId"] == event_id]
            if figures["revenue"] == 50:
                break


async def test_the_feed_ends_with_the_session(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "FEED_EVERY_S", 0.05)
    body = {"email": "temp@x.example", "password": "temp-password-1"}
    async with system.web.client(headers=await system.bearer()) as client, system.web.client() as other:
        user = (await make_account(other, body["email"], body["password"])).json()["user"]
        await client.post(f"/api/admin/users/{user['id']}/role", json={"role": "admin"})
        login = {"email": body["email"], "password": body["password"]}
        token = (await other.post("/api/auth/login", json=login)).json()["token"]
        bearing = {"authorization": f"Bearer {token}"}
        async with other.stream("GET", f"{STATS}/stream", headers=bearing) as answer:
            feed = Stream(answer, answer.aiter_lines())
            await feed.next("stats")
            await client.post(f"/api/admin/users/{user['id']}/role", json={"role": "buyer"})
            await feed.rest()
        assert (await other.get(STATS, headers=bearing)).status_code == 401


async def test_the_feed_ends_in_order_when_there_is_nothing_to_tell(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise StoreAway("The database is away.")

    monkeypatch.setattr(statistics, "FEED_EVERY_S", 0.05)
    async with (
        system.web.client(headers=await system.bearer()) as client,
        client.stream("GET", f"{STATS}/stream") as answer,
    ):
        feed = Stream(answer, answer.aiter_lines())
        await feed.next("stats")
        monkeypatch.setattr(ledger_statistics, "read", away)
        await feed.rest()


async def test_sales_come_as_a_spreadsheet(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        assert (await ann.pay((await ann.hold(quantity=2, grades=["S"]))["id"])).status_code == 201
    async with system.web.client(headers=await system.bearer()) as client:
        text = (await client.get("/api/admin/export/sales.csv")).content.decode()
    rows = [row for row in csv.DictReader(io.StringIO(text.removeprefix(BOM))) if row["event"] == event_id]
    assert [(row["grade"], row["sold"], row["revenue"]) for row in rows] == [("S", "2", "100")]
    async with system.web.client(headers=await system.bearer(BUYER)) as buying:
        assert (await buying.get("/api/admin/export/sales.csv")).status_code == 403
