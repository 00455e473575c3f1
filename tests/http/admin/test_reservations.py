"""An admin's reservations: found, cancelled and refunded, all of it in the trail; lists in pages; spreadsheets."""

from __future__ import annotations

import base64
import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest

from app.http.admin.export import BOM, cell
from app.lane.commands import Cancel
from app.ledger import audit_log, reservation_search
from tests.http.buyer import assert_problem, buyer
from tests.http.system import ADMIN, BUYER, System

pytestmark = pytest.mark.asyncio(loop_scope="module")
LIST = "/api/admin/reservations"


async def admin(system: System) -> httpx2.AsyncClient:
    return system.web.client(headers=await system.bearer())


async def held(system: System, event_id: str, *, paid: bool = False) -> dict[str, Any]:
    """A reservation of a buyer of its own."""
    async with buyer(system, event_id) as ann:
        await ann.enter()
        made = await ann.hold(quantity=2)
        if paid:
            assert (await ann.pay(made["id"])).status_code == 201
    return made


async def found(client: httpx2.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get(LIST, params=query)
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["reservations"]]


async def test_a_reservation_is_found_by_what_is_known_of_it(system: System, event_id: str) -> None:
    made = await held(system, event_id, paid=True)
    other = await held(system, event_id)
    async with await admin(system) as client:
        assert await found(client, eventId=event_id) == [other["id"], made["id"]]
        assert await found(client, eventId=event_id, status="confirmed") == [made["id"]]
        assert await found(client, id=made["id"][:12]) == [made["id"]]
        detail = (await client.get(f"{LIST}/{made['id']}")).json()["reservation"]
        assert await found(client, holder=detail["holder"]) == [made["id"]]
        later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
        assert await found(client, eventId=event_id, since=later) == []
        assert await found(client, eventId=event_id, until=later) == [other["id"], made["id"]]
        assert detail["payments"][0]["status"] == "captured"


@pytest.mark.parametrize("text", ["%", "_%", "r\\", "' OR 1=1 --", "<script>"])
async def test_what_is_looked_for_is_text_and_never_a_pattern(system: System, text: str) -> None:
    await held(system, await system.event())
    async with await admin(system) as client:
        assert await found(client, id=text) == []
        assert await found(client, holder=text) == []


async def test_pages_follow_each_other_without_gap_or_repeat(system: System, event_id: str) -> None:
    made = [(await held(system, event_id))["id"] for _ in range(3)]
    async with await admin(system) as client:
        seen, cursor = [], None
        while True:
            query = {"eventId": event_id, "limit": "2", **({"cursor": cursor} if cursor else {})}
            page = (await client.get(LIST, params=query)).json()
            seen += [row["id"] for row in page["reservations"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert seen == made[::-1]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "many"},
        {"limit": "1.0"},
        {"limit": "null"},
        {"status": "null"},
        {"status": "lost"},
        {"since": "yesterday"},
        {"since": "2026-01-01T00:00:00"},
        {"since": "9999-12-31T23:59:59-12:00"},
        {"until": "0001-01-01T00:00:00+12:00"},
        {"cursor": "bm9uc2Vuc2U"},
        {"cursor": "%%%"},
        {"cursor": base64.urlsafe_b64encode(b"9999-12-31T23:59:59-12:00|r_1").decode()},
        {"id": ""},
        {"id": "x" * 101},
        {"holder": "a\x00b"},
    ],
)
async def test_a_search_that_makes_no_sense_is_refused(system: System, query: dict[str, str]) -> None:
    async with await admin(system) as client:
        assert_problem(await client.get(LIST, params=query), 422, "payload_invalid")
        if "cursor" not in query and "limit" not in query:
            exported = await client.get("/api/admin/export/reservations.csv", params=query)
            assert_problem(exported, 422, "payload_invalid")


async def test_an_admin_cancels_a_hold_and_the_trail_says_so(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann, await admin(system) as client:
        await ann.enter()
        made = await ann.hold(quantity=2)
        answer = await client.post(f"{LIST}/{made['id']}/cancel", json={"reason": "asked by phone"})
        assert answer.status_code == 200
        assert set((await ann.seat_statuses()).values()) == {"available"}
        assert_problem(await ann.pay(made["id"]), 409, "reservation_over")
    (entry,) = await audit_log.listed(system.db, audit_log.AuditFilter(subject=made["id"]), 9)
    assert (entry.who, entry.action, entry.event_id) == (ADMIN[0], "reservation.cancel", event_id)
    assert entry.change["reason"] == "asked by phone"


async def test_the_trail_says_what_was_asked_for_in_vain_or_not_answered(
    system: System, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await held(system, event_id)
    lane, name = system.state["lane"], f"cancel:{made['id']}:desk"
    await lane.submit(event_id, Cancel(id=name, reservation_id=made["id"], holder="x"))  # refused, and that stays so
    async with await admin(system) as client:
        assert_problem(await client.post(f"{LIST}/{made['id']}/cancel"), 409, "reservation_over")
        monkeypatch.setattr(lane, "_wait_s", 0.0)
        assert_problem(await client.post(f"{LIST}/{made['id']}/cancel"), 503, "lane_busy")
    entries = await audit_log.listed(system.db, audit_log.AuditFilter(subject=made["id"]), 9)
    late, again, refused, first = entries
    assert [entry.action for entry in (first, again)] == ["reservation.cancel"] * 2
    assert (refused.action, refused.change) == ("refused", {"of": first.id, "why": "not_found"})
    assert (late.action, late.change) == ("unanswered", {"of": again.id, "why": "lane_busy"})


async def test_an_admin_refunds_what_was_paid_once(system: System, event_id: str) -> None:
    made = await held(system, event_id, paid=True)
    async with await admin(system) as client:
        for _ in range(2):
            assert (await client.post(f"{LIST}/{made['id']}/refund")).status_code == 200
        detail = (await client.get(f"{LIST}/{made['id']}")).json()["reservation"]
    assert detail["status"] == "refunded"
    assert [one["amount"] for one in detail["payments"]] == [made["totalPrice"]]
    assert detail["payments"][0]["status"] in ("refund_due", "refunded")


async def test_a_hold_is_not_refunded_and_nobody_is_not_found(system: System, event_id: str) -> None:
    made = await held(system, event_id)
    async with await admin(system) as client:
        assert_problem(await client.post(f"{LIST}/{made['id']}/refund"), 409, "not_paid")
        assert_problem(await client.post(f"{LIST}/nobody/cancel"), 404, "reservation_unknown")
        assert_problem(await client.get(f"{LIST}/nobody"), 404, "reservation_unknown")
        assert_problem(
            await client.post(f"{LIST}/{made['id']}/cancel", json={"reason": "x" * 501}), 422, "payload_invalid"
        )
    assert await audit_log.listed(system.db, audit_log.AuditFilter(subject=made["id"]), 9) == []


async def test_the_trail_is_read_in_pages_by_filter(system: System, event_id: str) -> None:
    for burst in range(1, 4):
        await system.change(event_id, burst=burst)
    async with await admin(system) as client:
        first = (await client.get("/api/admin/trail", params={"eventId": event_id, "limit": 2})).json()
        assert [entry["change"]["burst"] for entry in first["entries"]] == [3, 2]
        rest = await client.get("/api/admin/trail", params={"eventId": event_id, "before": first["next"]})
        assert [entry["change"]["burst"] for entry in rest.json()["entries"]] == [1]
        assert rest.json()["next"] is None
        nobody = await client.get("/api/admin/trail", params={"eventId": event_id, "who": "%"})
        assert nobody.json()["entries"] == []


async def test_reservations_come_as_a_spreadsheet(
    system: System, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [(await held(system, event_id, paid=number == 0))["id"] for number in range(3)]
    monkeypatch.setattr("app.http.admin.export.ROWS_PER_PAGE_MAX", 2)  # so that more than one page is read
    async with await admin(system) as client:
        answer = await client.get("/api/admin/export/reservations.csv", params={"eventId": event_id})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    text = answer.content.decode()
    assert text.startswith(BOM)
    rows = list(csv.DictReader(io.StringIO(text.removeprefix(BOM))))
    assert [row["id"] for row in rows] == made[::-1]
    assert {row["seats"] for row in rows} == {"2"}
    assert [row["payment"] for row in rows] == ["", "", "kakao_pay"]
    assert re.fullmatch(r"A \d-\d; A \d-\d", rows[0]["places"])
    assert rows[0]["email"] == "", "a browser's, which no account took over"
    (entry,) = await audit_log.listed(system.db, audit_log.AuditFilter(action="reservations.export"), 1)
    assert entry.who == ADMIN[0]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1"])
async def test_no_cell_of_a_spreadsheet_is_a_formula(text: str) -> None:
    assert cell(text) == "'" + text
    assert cell(-5) == "-5"  # a number of ours, not a text of somebody's
    assert cell("Re: R=1") == "Re: R=1"


async def test_an_admin_reads_an_events_name_in_its_readers_language(system: System, event_id: str) -> None:
    await held(system, event_id)
    async with system.web.client(headers=await system.bearer()) as client:
        wanted = {"title": "한국말 제목", "translations": {"en": {"title": "English title"}}}
        assert (await client.put(f"/api/admin/events/{event_id}", json=wanted)).status_code == 200
        await system.state["cache"].invalidate("desk:stats")
        for path in (f"/admin/reservations?eventId={event_id}", "/admin/statistics"):
            for lang, name in (("en", "English title"), ("ko", "한국말 제목")):
                text = (await client.get(path, headers={"accept-language": lang})).text
                found = [one for one in ("English title", "한국말 제목") if one in text]
                assert found == [name], f"{path} in {lang}"


async def test_the_pages_work_without_a_script(system: System, event_id: str) -> None:
    made = await held(system, event_id, paid=True)
    async with system.web.client(headers={**await system.bearer(), "accept-language": "en"}) as client:
        listed = await client.get("/admin/reservations", params={"eventId": event_id, "status": "", "since": ""})
        assert (listed.status_code, made["id"] in listed.text) == (200, True)
        today = datetime.now(ZoneInfo("Asia/Seoul")).date()
        days = {"since": str(today - timedelta(days=1)), "until": str(today)}
        lately = await client.get("/admin/reservations", params={"eventId": event_id, **days})
        assert (lately.status_code, made["id"] in lately.text) == (200, True)
        past = await client.get("/admin/reservations", params={"eventId": event_id, "until": "2026-01-01"})
        assert (past.status_code, made["id"] in past.text) == (200, False)
        for day in ("nonsense", "0001-01-01", "9999-12-31"):
            refused = await client.get("/admin/reservations", params={"since": day, "until": day})
            assert refused.status_code == 422
        page = f"/admin/reservations/{made['id']}"
        offered = (await client.get(page)).text
        title = (await client.get(f"/api/events/{event_id}")).json()["event"]["title"]
        assert (title in offered, "Held until" in offered) == (True, False), "what is paid does not end"
        assert "Give the money back" in offered
        token = {"csrf": re.findall(r'name="csrf" value="([^"]+)"', offered)[-1]}
        done = await client.post(f"{page}/refund", data={"reason": "<b>ill</b>", **token})
        assert (done.status_code, done.headers["location"]) == (303, page)
        assert "Refunded" in (await client.get(page)).text
        again = await client.post(f"{page}/refund", data=token)
        assert again.status_code == 303
        trailed = {"subject": made["id"], "action": "reservation.refund"}
        shown = (await client.get("/admin/trail", params=trailed)).text
        assert '<option value="reservation.refund" selected>Refunded a reservation</option>' in shown
        assert "&lt;b&gt;ill&lt;/b&gt;" in shown
        assert "<b>ill" not in shown
        assert (await client.get("/admin/reservations/nobody")).status_code == 404


async def test_another_sites_form_cancels_nothing(system: System, event_id: str) -> None:
    made = await held(system, event_id)
    async with system.web.client(headers=await system.bearer()) as client:
        foreign = {"origin": "https://evil.example"}
        refused = await client.post(f"/admin/reservations/{made['id']}/cancel", data={}, headers=foreign)
        assert refused.status_code == 403
    (row,) = await reservation_search.search(system.db, reservation_search.ReservationFilter(id=made["id"]), 1)
    assert row.status == "pending"


async def test_the_reservations_of_an_account_are_found_by_its_email(system: System, event_id: str) -> None:
    await held(system, event_id)
    async with buyer(system, "direct", headers=await system.bearer(BUYER)) as ann, await admin(system) as client:
        made = await ann.hold(quantity=1)
        assert made["id"] in await found(client, email=BUYER[0].upper())
        (row,) = (await client.get(LIST, params={"id": made["id"]})).json()["reservations"]
        assert row["email"] == (await client.get(f"{LIST}/{made['id']}")).json()["reservation"]["email"] == BUYER[0]
        for page in (f"/admin/reservations?id={made['id']}", f"/admin/reservations/{made['id']}"):
            assert BUYER[0] in (await client.get(page)).text
        assert await found(client, email="nobody@example.com") == []
        await ann.client.post(f"/api/reservations/{made['id']}/cancel")
