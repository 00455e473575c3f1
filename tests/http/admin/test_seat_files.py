"""Seat maps uploaded by admins: whole or not at all, in every process at once, never under somebody's reservation."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from sqlalchemy import select

from app.ledger import audit_log, events
from app.ledger.tables.events import seats as seats_table
from tests.http.buyer import Answer, assert_problem, buyer
from tests.http.system import BUYER, System, Web
from tests.http.watcher import watching
from tests.waiting import wait_until

SETTINGS = {"seat_file_bytes_max": 8_000_000}
pytestmark = pytest.mark.asyncio(loop_scope="module")
PRICES = "VIP=150,000원; R=100000"
LABELS = "VIP-1F-A-1-1\nVIP-1F-A-1-2\nR-2F-B-1-7\n"


async def send(
    system: System, event_id: str, body: str | bytes, *, media: str = "text/csv", web: Web | None = None, **query: str
) -> Answer:
    headers = {**await system.bearer(), "content-type": media}
    async with (web or system.web).client() as client:
        return await client.post(f"/api/admin/events/{event_id}/seats", content=body, headers=headers, params=query)


async def map_of(web: Web, event_id: str) -> dict[str, Any]:
    async with web.client() as client:
        found: dict[str, Any] = (await client.get(f"/api/seats/events/{event_id}")).json()
    return found


def places(seat_map: dict[str, Any]) -> list[tuple[str, str, int, str, int]]:
    return [(s["section"], s["row"], s["number"], s["grade"], s["price"]) for s in seat_map["seats"]]


NEW = [("1F A", "1", 1, "VIP", 150_000), ("1F A", "1", 2, "VIP", 150_000), ("2F B", "1", 7, "R", 100_000)]


async def test_whoever_watches_is_told_to_read_the_new_map(system: System, event_id: str) -> None:
    other = await system.another_web()
    async with watching(system.web, event_id) as one, watching(other, event_id) as two:
        for watcher in (one, two):
            assert [(await watcher.next())["type"] for _ in range(2)] == ["hello", "ticket-updated"]
        assert (await send(system, event_id, LABELS, prices=PRICES)).status_code == 201
        for watcher in (one, two):
            assert await watcher.next() == {"type": "reload", "version": 1}


async def test_an_uploaded_map_is_sold_by_every_process(system: System, event_id: str) -> None:
    """Both web processes show it, the allocator sells it though it knew the old one, and the event says its prices."""
    other = await system.another_web()
    async with buyer(system, event_id) as ann:
        await ann.enter()
        refused = await ann.reserve(seatIds=["s99"])  # the allocator has the old map in memory now
        assert refused.status_code in (404, 409, 422)
        assert len((await map_of(other, event_id))["seats"]) == 12
        answer = await send(system, event_id, LABELS, prices=PRICES)
        assert answer.status_code == 201, answer.text
        report = answer.json()
        assert (report["imported"], report["seats"], report["faultsTotal"]) == (True, 3, 0)
        assert report["read"]["dimensions"] == ["grade", "floor", "section", "row", "number"]
        assert report["sections"] == [{"name": "1F A", "rows": 1, "seats": 2}, {"name": "2F B", "rows": 1, "seats": 1}]
        assert places(await map_of(system.web, event_id)) == NEW

        async def other_shows_it() -> bool:
            return places(await map_of(other, event_id)) == NEW

        await wait_until(other_shows_it, description="the other process shows the new map")
        for web in (system.web, other):
            async with web.client() as client:
                kinds = (await client.get(f"/api/events/{event_id}")).json()["ticketTypes"]
            assert kinds == [
                {"grade": "VIP", "price": 150_000, "total": 2, "available": 2},
                {"grade": "R", "price": 100_000, "total": 1, "available": 1},
            ]
        held = await ann.hold(seatIds=["s2"])
        assert held["seats"][0]["section"] == "2F B"
        assert held["totalPrice"] == 100_000


async def test_states_types_and_names_of_seats_are_kept_and_what_was_not_used_is_told(
    system: System, event_id: str
) -> None:
    lines = [
        "Sale of May,,,,,",
        "section_id,section_name,row,seat,status,type",
        "7,North,A,12,,",
        "7,North,A,12A,,wheelchair",
    ]
    lines += ["7,North,A,13,house,", "Total,,,3,,"]
    answer = await send(system, event_id, "\n".join(lines), prices=PRICES, grade="R")
    assert answer.status_code == 201, answer.text
    report = answer.json()
    assert (report["blocked"], report["marks"]) == (1, {"wheelchair": 1})
    assert report["read"]["twice"] == [{"field": "section", "taken": "section_name", "left": "section_id"}]
    assert [skipped["line"] for skipped in report["read"]["skipped"]] == [1, 6]
    seats = (await map_of(system.web, event_id))["seats"]
    assert [seat["status"] for seat in seats] == ["available", "available", "blocked"]
    assert [seat.get("name") for seat in seats] == [None, "12A", "13"]
    assert seats[1]["marks"] == ["wheelchair"]
    async with buyer(system, event_id) as ann:
        await ann.enter()
        left = assert_problem(await ann.reserve(seatIds=["s2"]), 409, "seats_unavailable")["left"]
        assert left == {"R": 1}, "the space for a wheelchair is for whoever picks it"
        assert (await ann.hold(seatIds=["s1"]))["seats"][0]["name"] == "12A"
        kinds = (await ann.client.get(f"/api/events/{event_id}")).json()["ticketTypes"]
        assert (kinds[0]["total"], kinds[0]["available"]) == (3, 1)


async def test_nothing_changes_once_a_seat_was_reserved(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        await ann.hold(seatIds=["s0"])
        before = await map_of(system.web, event_id)
        queries: list[dict[str, Any]] = [{"prices": PRICES}, {"prices": PRICES, "check": "1"}]
        for query in queries:
            assert_problem(await send(system, event_id, LABELS, **query), 409, "event_has_reservations")
        assert await map_of(system.web, event_id) == before


async def test_a_reservation_made_while_a_file_is_read_wins(system: System, event_id: str) -> None:
    """The write asks again under the lane's lock: the first look alone would not do."""
    from app.domain.seatfile import read_sheet
    from app.domain.seatplan import Given, read_plan
    from app.ledger import seat_maps
    from tests.lane.world import START

    plan = read_plan(read_sheet(LABELS.encode()), Given(prices={"VIP": 1, "R": 1})).plan
    assert plan is not None
    async with buyer(system, event_id) as ann:
        await ann.enter()
        await ann.hold(seatIds=["s0"])
    replaced = await seat_maps.replace(system.db, event_id, plan, who="x", now=START)
    assert replaced is seat_maps.Unchanged.reserved
    assert (
        await seat_maps.replace(system.db, "no-such-event", plan, who="x", now=START)
        is seat_maps.Unchanged.unknown_event
    )


async def test_the_map_of_a_cancelled_event_stays(system: System, event_id: str) -> None:
    headers = await system.bearer()
    async with system.web.client(headers=headers) as client:
        assert (await client.post(f"/api/admin/events/{event_id}/cancel")).status_code == 200
    assert_problem(await send(system, event_id, LABELS, prices=PRICES), 409, "event_cancelled")


async def test_one_bad_line_imports_nothing_and_every_one_is_told(system: System, event_id: str) -> None:
    before = await map_of(system.web, event_id)
    text = LABELS + "VIP-1F-A-1-x\nGOLD-1F-A-1-9\nVIP-1F-A-1-1\n"
    body = assert_problem(await send(system, event_id, text, prices=PRICES), 422, "seat_file_invalid")
    assert [(fault["line"], fault["code"]) for fault in body["faults"]] == [(4, "number"), (5, "grade"), (6, "twice")]
    assert body["faultsTotal"] == 3
    assert all(fault["reason"].endswith(("x", ".")) for fault in body["faults"])
    assert await map_of(system.web, event_id) == before


async def test_a_check_tells_all_and_changes_nothing(system: System, event_id: str) -> None:
    before = await map_of(system.web, event_id)
    good = await send(system, event_id, LABELS, prices=PRICES, check="1")
    assert (good.status_code, good.json()["imported"], good.json()["seats"]) == (200, False, 3)
    assert good.json()["grades"][0] == {"name": "VIP", "price": 150_000, "seats": 2}
    bad = await send(system, event_id, LABELS + "x", prices=PRICES, check="1")
    assert (bad.status_code, bad.json()["faultsTotal"], bad.json()["seats"]) == (200, 1, 0)
    assert await map_of(system.web, event_id) == before


async def test_prices_come_from_the_event_where_nothing_else_says_them(system: System, event_id: str) -> None:
    answer = await send(system, event_id, '["R-A-1", "S-A-2"]', media="application/json")
    assert answer.status_code == 201, answer.text
    assert [(g["name"], g["price"]) for g in answer.json()["grades"]] == [("R", 100), ("S", 50)]


async def test_a_map_is_downloaded_and_uploaded_again_unchanged(system: System, event_id: str) -> None:
    async with system.web.client(headers=await system.bearer()) as client:
        answer = await client.get(f"/api/admin/events/{event_id}/seats")
        assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''seats-{event_id}.csv"
        before = await map_of(system.web, event_id)
        again = await client.post(
            f"/api/admin/events/{event_id}/seats", files={"file": ("../../x.csv", answer.content)}
        )
        assert again.status_code == 201, again.text
        after = await map_of(system.web, event_id)
        assert (after["seats"], after["layout"]) == (before["seats"], before["layout"])
        assert_problem(await client.get("/api/admin/events/nowhere/seats"), 404, "event_unknown")


async def test_a_form_says_prices_and_dimensions_beside_its_file(system: System, event_id: str) -> None:
    async with system.web.client(headers=await system.bearer()) as client:
        fields = {"prices": "Gold: 5\nSilver: 4", "dimensions": "number,section,grade"}
        files = {"file": ("seats.json", json.dumps(["7/Left/Gold", "8/Left/Silver"]).encode("utf-8-sig"))}
        answer = await client.post(f"/api/admin/events/{event_id}/seats", data=fields, files=files)
    assert answer.status_code == 201, answer.text
    assert places(await map_of(system.web, event_id)) == [("Left", "1", 7, "Gold", 5), ("Left", "1", 8, "Silver", 4)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"prices": "VIP"}, "prices_invalid"),
        ({"prices": "VIP=x"}, "prices_invalid"),
        ({"prices": "=5"}, "prices_invalid"),
        ({"prices": ";".join(f"g{n}=1" for n in range(51))}, "prices_invalid"),
        ({"grade": "x" * 41}, "grade_invalid"),
        ({"dimensions": "grade,grade"}, "dimensions_invalid"),
        ({"dimensions": "colour"}, "dimensions_invalid"),
        ({"check": "perhaps"}, "payload_invalid"),
    ],
)
async def test_options_that_make_no_sense_are_refused(system: System, query: dict[str, Any], code: str) -> None:
    assert_problem(await send(system, "later", LABELS, **query), 422, code)


async def test_hostile_files_are_refused_and_change_nothing(system: System, event_id: str) -> None:
    before = await map_of(system.web, event_id)
    zip_bomb = b"PK\x03\x04" + b"\0" * 1_000
    assert_problem(await send(system, event_id, zip_bomb), 422, "seat_file_invalid")
    assert_problem(await send(system, event_id, "x" * 8_000_001), 413, "body_too_large")
    assert_problem(await send(system, event_id, LABELS, media="image/svg+xml"), 415, "media_type_unsupported")
    assert_problem(await send(system, event_id, b"", media="multipart/form-data"), 400, "form_malformed")
    assert_problem(
        await send(system, event_id, b"--x\r\n", media="multipart/form-data; boundary=x"), 422, "file_missing"
    )
    headers = await system.bearer()
    async with system.web.client(headers=headers) as client:
        url = f"/api/admin/events/{event_id}/seats"
        packed = await client.post(
            url, content=b"\x1f\x8b", headers={"content-encoding": "gzip", "content-type": "text/csv"}
        )
        assert_problem(packed, 415, "encoding_unsupported")
        assert_problem(await client.post(url, files={"file": ("a.csv", b"")}), 422, "file_missing")
        two = await client.post(url, files=[("file", ("a.csv", b"x")), ("file", ("b.csv", b"y"))])
        assert_problem(two, 400, "form_malformed")
        large = await client.post(url, files={"file": ("a.csv", b"x" * 8_000_001)})
        assert_problem(large, 413, "body_too_large")
    assert await map_of(system.web, event_id) == before


async def test_only_admins_upload_and_download(system: System, event_id: str) -> None:
    url = f"/api/admin/events/{event_id}/seats"
    async with system.web.client() as client:
        assert_problem(await client.post(url, content=LABELS), 401, "login_required")
        assert_problem(await client.get(url), 401, "login_required")
        buyers = await system.bearer(BUYER)
        assert_problem(await client.post(url, content=LABELS, headers=buyers), 403, "admin_only")
        assert_problem(await client.get(url, headers=buyers), 403, "admin_only")
        token = (await system.bearer())["authorization"].removeprefix("Bearer ")
        client.cookies.set("tiketi_session", token)
        assert_problem(await client.post(url, content=LABELS), 403, "cross_site")


async def test_hostile_names_are_only_text(system: System, event_id: str) -> None:
    """Markup, SQL and formulas are stored as written; the map's JSON and the download carry them as text."""
    name = "'); DROP TABLE seats;--"
    rows = f'구역,열,번호,등급\n"x<script>alert(1)</script>",=1+1,1,R\n"x{name}",1,1,S'
    answer = await send(system, event_id, rows.encode())
    assert answer.status_code == 201, answer.text
    found = await map_of(system.web, event_id)
    assert [s["section"] for s in found["seats"]] == ["x<script>alert(1)</script>", f"x{name}"]
    async with system.web.client(headers=await system.bearer()) as client:
        text = (await client.get(f"/api/admin/events/{event_id}/seats")).text
    assert ",'=1+1," in text


async def test_the_trail_tells_who_replaced_what(system: System, event_id: str) -> None:
    await send(system, event_id, LABELS, prices=PRICES)
    entry = (await audit_log.listed(system.db, audit_log.AuditFilter(event_id=event_id), 1))[0]
    assert (entry.who, entry.action, entry.subject) == ("boss@example.com", "seats.replace", event_id)
    assert entry.change == {"seats": 3, "before": 12, "grades": {"VIP": 150_000, "R": 100_000}, "version": 1}


async def test_the_trail_tells_who_downloaded_a_map(system: System, event_id: str) -> None:
    async with system.web.client(headers=await system.bearer()) as client:
        assert (await client.get(f"/api/admin/events/{event_id}/seats")).status_code == 200
    (entry,) = await audit_log.listed(system.db, audit_log.AuditFilter(event_id=event_id, action="seats.export"), 9)
    assert (entry.who, entry.subject, entry.change) == ("boss@example.com", event_id, {"seats": 12})


async def test_two_uploads_at_once_leave_one_whole_map(system: System, event_id: str) -> None:
    files = ["\n".join(f"{grade}-A-{n}" for n in range(1, 400)) for grade in ("VIP", "R")]
    answers = await asyncio.gather(*(send(system, event_id, text, prices=PRICES) for text in files))
    assert sorted(answer.status_code for answer in answers) == [201, 201]
    assert sorted(answer.json()["version"] for answer in answers) == [1, 2]
    last = max(answers, key=lambda answer: answer.json()["version"]).json()

    async def whole() -> bool:
        found = await map_of(system.web, event_id)
        return {s["grade"] for s in found["seats"]} == {last["grades"][0]["name"]} and len(found["seats"]) == 399

    await wait_until(whole, description="the map of the later upload is shown")


@pytest.mark.slow
async def test_fifty_thousand_seats_are_imported_while_the_process_goes_on_answering(
    system: System, event_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No timing is asserted; how long it took is shown with -s."""
    rows = [
        f"{g}-{f}F-{s}-{r}-{n}"
        for g, f in (("VIP", 1), ("R", 2))
        for s in range(101, 111)
        for r in range(1, 51)
        for n in range(1, 51)
    ]
    started = time.perf_counter()
    upload = asyncio.create_task(send(system, event_id, "\n".join(rows), prices=PRICES))
    answered = 0
    async with system.web.client() as client:
        while not upload.done():
            assert (await client.get("/healthz")).status_code == 200
            answered += 1
    assert (await upload).status_code == 201
    with capsys.disabled():
        print(
            f" {len(rows)} seats in {time.perf_counter() - started:.1f} s, {answered} other answers meanwhile", end=""
        )
    assert answered > 1
    async with system.db.read() as tx:
        stored = (await tx.execute(select(seats_table.c.idx).where(seats_table.c.event_id == event_id))).all()
    assert len(stored) == len(rows) == 50_000
    snapshot = await events.seat_snapshot(system.db, event_id)
    assert snapshot is not None
    assert snapshot.version == 1
