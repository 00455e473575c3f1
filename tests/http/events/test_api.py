"""Events from outside: an admin makes, edits and cancels them, everyone lists, searches and reads them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.ledger import audit_log, events
from tests.http.buyer import assert_problem
from tests.http.system import ADMIN, BUYER, System, event_spec
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
SEOUL = timedelta(hours=9)
WANTED: dict[str, Any] = {
    "title": "Lumina, Busan",
    "venue": "부산 돔",
    "eventDate": "2031-05-01T19:00",
    "saleOpensAt": "2031-04-01T09:00",
    "saleClosesAt": "2031-05-01T18:00",
    "ticketTypes": [{"grade": "R", "price": 100_000}, {"grade": "S", "price": 70_000}],
    "translations": {"en": {"title": "Lumina in English", "venue": "Busan Dome"}},
}


async def made(system: System, **changed: Any) -> dict[str, Any]:
    async with system.web.client(headers=await system.bearer()) as client:
        answer = await client.post("/api/admin/events", json={**WANTED, **changed})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def got(system: System, event_id: str) -> dict[str, Any]:
    async with system.web.client() as client:
        answer = await client.get(f"/api/events/{event_id}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def listed(system: System, **query: Any) -> list[str]:
    async with system.web.client() as client:
        answer = await client.get("/api/events", params=query)
    assert answer.status_code == 200, answer.text
    return [event["id"] for event in answer.json()["events"]]


async def test_nine_typed_in_seoul_is_midnight_in_the_api(system: System) -> None:
    body = await made(system)
    event = body["event"]
    assert event["saleOpensAt"] == "2031-04-01T00:00:00Z"
    assert event["eventDate"] == "2031-05-01T10:00:00Z"
    assert event["timeZone"] == "Asia/Seoul"
    assert (event["status"], event["admission"], event["version"]) == ("upcoming", "room", 1)
    assert body["ticketTypes"] == [
        {"grade": "R", "price": 100_000, "total": 0, "available": 0},
        {"grade": "S", "price": 70_000, "total": 0, "available": 0},
    ]
    assert await got(system, event["id"]) == body


async def test_an_id_is_ours_readable_and_fit_for_a_cookie_and_a_key(system: System) -> None:
    ids = [(await made(system, title=title))["event"]["id"] for title in ("Äußerst <b>LAUT</b>!", "루미나", "Lumina")]
    assert [event_id.rpartition("-")[0] for event_id in ids] == ["ausserst-b-laut-b", "rumina", "lumina"]
    assert all(len(event_id) <= 40 for event_id in ids)


async def test_times_without_an_offset_follow_the_zone_of_the_event(system: System) -> None:
    event = (await made(system, timeZone="America/New_York", saleClosesAt=None))["event"]
    assert event["saleOpensAt"] == "2031-04-01T13:00:00Z"
    assert event["saleClosesAt"] is None
    event = (await made(system, eventDate="2031-05-01T19:00:00+01:00"))["event"]
    assert event["eventDate"] == "2031-05-01T18:00:00Z"


@pytest.mark.parametrize(
    ("wanted", "code", "field"),
    [
        ({"timeZone": "America/New_York", "saleOpensAt": "2031-03-09T02:30"}, "time_skipped", "saleOpensAt"),
        ({"timeZone": "America/New_York", "eventDate": "2031-11-02T01:30"}, "time_twice", "eventDate"),
        ({"eventDate": "2031-02-30T10:00"}, "time_invalid", "eventDate"),
        ({"timeZone": "Asia/Atlantis"}, "zone_unknown", "timeZone"),
        ({"timeZone": "../../etc/passwd"}, "zone_unknown", "timeZone"),
        ({"saleOpensAt": "2031-05-01T19:01"}, "sale_window_empty", "saleOpensAt"),
        ({"saleOpensAt": "2031-04-01T09:00", "saleClosesAt": "2031-04-01T09:00"}, "sale_window_empty", "saleOpensAt"),
        ({"ticketTypes": [{"grade": "R", "price": 1}, {"grade": " R ", "price": 2}]}, "grade_twice", "ticketTypes"),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_name(
    system: System, wanted: dict[str, Any], code: str, field: str
) -> None:
    before = await listed(system)
    async with system.web.client(headers=await system.bearer()) as client:
        answer = await client.post("/api/admin/events", json={**WANTED, **wanted})
        assert assert_problem(answer, 422, code)["field"] == field
    assert await listed(system) == before


@pytest.mark.parametrize(
    "wanted",
    [
        {"title": ""},
        {"title": " \t"},
        {"title": "x" * 201},
        {"title": "a\0b"},
        {"venue": None},
        {"eventDate": "tomorrow"},
        {"eventDate": 1},
        {"admission": "lottery"},
        {"ticketTypes": [{"grade": "R", "price": -1}]},
        {"ticketTypes": [{"grade": "", "price": 1}]},
        {"ticketTypes": [{"grade": str(n), "price": 1} for n in range(51)]},
        {"room": {"ratePerSecond": 0}},
        {"room": {"state": "open"}},
        {"translations": {"xx": {}}},
        {"id": "mine"},
        {"status": "on_sale"},
    ],
)
async def test_what_does_not_fit_is_refused_and_nothing_made(system: System, wanted: dict[str, Any]) -> None:
    before = await listed(system)
    async with system.web.client(headers=await system.bearer()) as client:
        assert_problem(await client.post("/api/admin/events", json={**WANTED, **wanted}), 422, "payload_invalid")
    assert await listed(system) == before


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"eventDate": "tomorrow"}, "Expected a time such as 2026-05-01T09:00"),
        ({"title": " \t"}, "Expected one line of text that is not blank - at `$.title`"),
        ({"description": "a\0b"}, "Expected text without control characters - at `$.description`"),
    ],
)
async def test_a_text_of_the_wrong_form_is_told_in_words_what_is_wanted(
    system: System, wanted: dict[str, Any], said: str
) -> None:
    async with system.web.client(headers=await system.bearer()) as client:
        refused = await client.post("/api/admin/events", json={**WANTED, **wanted})
        assert said in assert_problem(refused, 422, "payload_invalid")["detail"]
        refused = await client.get("/api/admin/reservations", params={"since": "yesterday"})
        assert "a time with its offset" in assert_problem(refused, 422, "payload_invalid")["detail"]


async def test_html_and_sql_in_every_text_come_back_as_they_were(system: System) -> None:
    text = "<script>alert(1)</script>'; DROP TABLE events; --"
    event = (await made(system, title=text, venue=text, description=text, translations={"en": {"title": text}}))[
        "event"
    ]
    assert [event["title"], event["venue"], event["description"]] == [text] * 3
    assert event["translations"] == {"en": {"title": text}}


async def test_only_an_admin_may_make_edit_and_cancel(system: System) -> None:
    event_id = (await made(system))["event"]["id"]
    asked = [
        ("POST", "/api/admin/events", WANTED),
        ("PUT", f"/api/admin/events/{event_id}", {"title": "Mine"}),
        ("POST", f"/api/admin/events/{event_id}/cancel", {}),
    ]
    before = await listed(system)
    for headers, status, code in (({}, 401, "login_required"), (await system.bearer(BUYER), 403, "admin_only")):
        async with system.web.client(headers=headers) as client:
            for method, path, body in asked:
                assert_problem(await client.request(method, path, json=body), status, code)
    assert await listed(system) == before
    assert (await got(system, event_id))["event"]["version"] == 1


async def test_an_edit_changes_what_is_sent_and_nothing_else(system: System) -> None:
    before = (await made(system))["event"]
    async with system.web.client(headers=await system.bearer()) as client:
        answer = await client.put(
            f"/api/admin/events/{before['id']}", json={"title": " New ", "saleClosesAt": None, "description": "a\nb"}
        )
    assert answer.headers["etag"] == '"2"'
    changed = {"title": "New", "saleClosesAt": None, "description": "a\nb", "version": 2}
    assert answer.json()["event"] == {**before, **changed}
    assert (await got(system, before["id"]))["event"] == {**before, **changed}


async def test_a_time_in_an_edit_is_meant_in_the_zone_it_sets(system: System) -> None:
    event_id = (await made(system))["event"]["id"]
    async with system.web.client(headers=await system.bearer()) as client:
        path = f"/api/admin/events/{event_id}"
        changed = (await client.put(path, json={"saleOpensAt": "2031-04-02T09:00"})).json()["event"]
        assert changed["saleOpensAt"] == "2031-04-02T00:00:00Z"
        moved = {"saleOpensAt": "2031-04-02T09:00", "timeZone": "UTC"}
        changed = (await client.put(path, json=moved)).json()["event"]
        assert changed["saleOpensAt"] == "2031-04-02T09:00:00Z"
        assert changed["eventDate"] == "2031-05-01T10:00:00Z", "a moment that is not sent does not move"


async def test_of_many_who_edit_the_same_version_one_wins(system: System) -> None:
    event_id = (await made(system))["event"]["id"]
    path = f"/api/admin/events/{event_id}"
    async with system.web.client(headers=await system.bearer()) as client:
        answers = await asyncio.gather(
            *[client.put(path, json={"title": f"T{n}", "version": 1}) for n in range(8)],
            *[client.put(path, json={"title": f"T{n}"}, headers={"if-match": '"1"'}) for n in range(8, 16)],
        )
        won = [n for n, answer in enumerate(answers) if answer.status_code == 200]
        for answer in answers:
            if answer.status_code != 200:
                assert_problem(answer, 409, "event_changed")
        assert len(won) == 1
        assert_problem(await client.put(path, json={}, headers={"if-match": "x"}), 422, "payload_invalid")
    event = (await got(system, event_id))["event"]
    assert (event["title"], event["version"]) == (f"T{won[0]}", 2)


async def test_a_grade_with_seats_stays_and_one_without_goes(system: System, event_id: str) -> None:
    async with system.web.client(headers=await system.bearer()) as client:
        path = f"/api/admin/events/{event_id}"
        both = [{"grade": "S", "price": 60}, {"grade": "VIP", "price": 900}, {"grade": "R", "price": 100}]
        kinds = (await client.put(path, json={"ticketTypes": both})).json()["ticketTypes"]
        assert [(kind["grade"], kind["price"], kind["total"]) for kind in kinds] == [
            ("S", 60, 6),
            ("VIP", 900, 0),
            ("R", 100, 6),
        ]
        assert_problem(await client.put(path, json={"ticketTypes": both[1:]}), 409, "grade_in_use")
        kinds = (await client.put(path, json={"ticketTypes": [both[0], both[2]]})).json()["ticketTypes"]
        assert [kind["grade"] for kind in kinds] == ["S", "R"]


async def test_how_people_are_let_in_is_decided_at_birth(system: System) -> None:
    event_id = (await made(system))["event"]["id"]
    async with system.web.client(headers=await system.bearer()) as client:
        path = f"/api/admin/events/{event_id}"
        assert_problem(await client.put(path, json={"admission": "open"}), 409, "admission_fixed")
        assert (await client.put(path, json={"admission": "room"})).status_code == 200


async def test_a_cancelled_event_says_so_and_cannot_be_edited(system: System) -> None:
    event_id = (await made(system))["event"]["id"]
    async with system.web.client(headers=await system.bearer()) as client:
        path = f"/api/admin/events/{event_id}"
        assert (await client.post(f"{path}/cancel")).status_code == 200
        assert_problem(await client.put(path, json={"title": "Again"}), 409, "event_cancelled")
        assert_problem(await client.post(f"{path}/cancel"), 409, "event_cancelled")
    event = (await got(system, event_id))["event"]
    assert event["status"] == "cancelled"
    assert datetime.fromisoformat(event["cancelledAt"]) <= datetime.now(UTC)


async def test_an_unknown_event_is_404_to_all_of_it(system: System) -> None:
    async with system.web.client(headers=await system.bearer()) as client:
        for method, path in (
            ("GET", "/api/events/none"),
            ("PUT", "/api/admin/events/none"),
            ("POST", "/api/admin/events/none/cancel"),
        ):
            assert_problem(await client.request(method, path, json={}), 404, "event_unknown")


async def test_a_search_finds_words_in_any_language_and_case(system: System) -> None:
    event_id = (await made(system, title="겨울 교향곡 100%", venue="Nuri Hall", description="ÖDE_an"))["event"]["id"]
    for query in ("교향곡", "NURI hall", "öde_an", "100%", "english lumina"):
        assert event_id in await listed(system, q=query), query
    for query in ("교향곡 jazz", "1000", "nuri_hall", "ö%an"):
        assert event_id not in await listed(system, q=query), query


async def test_the_list_comes_in_pages(system: System) -> None:
    word = "pagination"
    ids = [(await made(system, title=word, eventDate=f"20{year}-05-01T19:00"))["event"]["id"] for year in (35, 33, 34)]
    async with system.web.client() as client:
        answer = (await client.get("/api/events", params={"q": word, "limit": 2})).json()
        assert (answer["total"], [event["id"] for event in answer["events"]]) == (3, [ids[1], ids[2]])
        answer = (await client.get("/api/events", params={"q": word, "limit": 2, "offset": 2})).json()
        assert (answer["total"], [event["id"] for event in answer["events"]]) == (3, [ids[0]])
        for query in ({"limit": 0}, {"limit": 101}, {"offset": -1}, {"status": "sold"}, {"q": "x" * 101}):
            assert_problem(await client.get("/api/events", params=query), 422, "payload_invalid")


async def test_the_status_is_searched_by_the_same_clock(system: System) -> None:
    word, now = "status-search", datetime.now(UTC)
    times = {
        "upcoming": (now + timedelta(hours=1), now + timedelta(hours=2)),
        "on_sale": (now - timedelta(hours=1), now + timedelta(hours=2)),
        "ended": (now - timedelta(hours=2), now - timedelta(hours=1)),
    }
    ids = {}
    for status, (opens, closes) in times.items():
        window = {"saleOpensAt": opens.isoformat(), "saleClosesAt": closes.isoformat()}
        event = (await made(system, title=word, **window))["event"]
        assert event["status"] == status
        ids[status] = event["id"]
    for status, event_id in ids.items():
        assert await listed(system, q=word, status=status) == [event_id]


async def test_every_change_is_remembered_with_who_made_it(system: System) -> None:
    event_id = (await made(system))["event"]["id"]
    async with system.web.client(headers=await system.bearer()) as client:
        await client.put(f"/api/admin/events/{event_id}", json={"title": "Other", "version": 1})
        await client.post(f"/api/admin/events/{event_id}/cancel")
    kept = await audit_log.listed(system.db, audit_log.AuditFilter(event_id=event_id), 10)
    assert [(entry.action, entry.who, entry.subject) for entry in kept] == [
        (action, ADMIN[0], event_id) for action in ("event.cancel", "event.edit", "event.create")
    ]
    assert [entry.change.get("title") for entry in kept] == [None, "Other", WANTED["title"]]


@pytest.mark.parametrize("fast_path", [True, False])
async def test_a_line_made_by_one_web_process_is_known_at_once_to_every_other(system: System, fast_path: bool) -> None:
    other = await system.another_web(fast_path=fast_path)
    body = await made(system, saleOpensAt=(datetime.now(UTC) - timedelta(minutes=1)).isoformat())
    event_id = body["event"]["id"]
    async with other.client() as client:
        joined = await client.post(f"/api/queue/{event_id}/join")
        assert joined.status_code == 201, joined.text
        ticket = {"x-queue-ticket": joined.json()["ticket"]}
        assert (await client.get(f"/api/queue/{event_id}/position", headers=ticket)).status_code == 200


async def test_a_line_made_elsewhere_is_seen_on_the_pages_of_every_other_process(system: System) -> None:
    other = await system.another_web()
    event_id = (await made(system, saleOpensAt=None))["event"]["id"]
    async with other.client() as client:
        page = await client.get(f"/events/{event_id}/wait")
        assert page.status_code == 200, "who has no line is sent to the event"


async def test_a_line_that_is_not_made_yet_is_told_from_one_that_is_not_there(system: System) -> None:
    """Between the commit of an event and its room, and for a second after a loss of Redis, joining is put off."""
    now = datetime.now(UTC)
    await events.create(system.db, event_spec("not-yet", now), now)
    async with system.web.client() as client:
        seen = set()

        async def is_made() -> bool:
            answer = await client.get("/api/queue/not-yet/status")
            seen.add((answer.status_code, answer.json().get("code")))
            return answer.status_code == 200

        await wait_until(is_made, description="the keeper has made the room")
        assert seen <= {(503, "line_unavailable"), (200, None)}
        assert_problem(await client.get("/api/queue/direct/status"), 404, "event_unknown")
        assert_problem(await client.get("/api/queue/nothing/status"), 404, "event_unknown")
