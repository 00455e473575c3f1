"""Seats are blocked, released, regraded and marked during a sale, and what is reserved stays as it is."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from app.audit.invariants import book_violations
from app.ledger import audit, audit_log
from tests.http.buyer import assert_problem, buyer
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def change(system: System, event_id: str, action: str, *seats: str, **more: Any) -> httpx2.Response:
    async with system.web.client(headers=await system.bearer()) as client:
        path = f"/api/admin/events/{event_id}/seats/changes"
        return await client.post(path, json={"action": action, "seatIds": list(seats), **more})


async def books_agree(system: System, event_id: str) -> None:
    async for books in audit.books(system.db, event_id, system.web.state["clock"].now()):
        assert book_violations(books) == []


async def test_a_blocked_seat_is_not_sold_and_a_released_one_is(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben:
        await ann.enter()
        await ben.enter()
        await ann.hold(seatIds=["s1"])
        done = (await change(system, event_id, "block", "s0", "s1", "s2")).json()
        assert (done["changed"], done["reservedSeatIds"]) == (2, ["s1"])
        statuses = await ben.seat_statuses()
        assert [statuses[name] for name in ("s0", "s1", "s2", "s3")] == ["blocked", "held", "blocked", "available"]
        assert_problem(await ben.reserve(seatIds=["s0"]), 409, "seats_unavailable")
        assert (await change(system, event_id, "release", "s0", "s3")).json()["changed"] == 1
        assert [seat["id"] for seat in (await ben.hold(seatIds=["s0"]))["seats"]] == ["s0"]
        kinds = (await ben.client.get(f"/api/events/{event_id}")).json()["ticketTypes"]
        assert {kind["grade"]: kind["available"] for kind in kinds} == {"R": 3, "S": 6}
    await books_agree(system, event_id)


async def test_a_regraded_seat_costs_what_its_new_grade_does_and_a_held_one_what_it_did(
    system: System, event_id: str
) -> None:
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben:
        await ann.enter()
        await ben.enter()
        held = await ann.hold(seatIds=["s0"])
        done = (await change(system, event_id, "regrade", "s0", "s1", grade="S")).json()
        assert (done["changed"], done["reservedSeatIds"]) == (1, ["s0"])
        taken = await ben.hold(quantity=7, grades=["S"])
        assert "s1" in [seat["id"] for seat in taken["seats"]]
        assert {seat["grade"] for seat in taken["seats"]} == {"S"}
        assert (await ann.pay(held["id"])).json()["payment"]["amount"] == held["totalPrice"]
    assert_problem(await change(system, event_id, "regrade", "s5", grade="ZZ"), 422, "grade_unknown")
    await books_agree(system, event_id)


async def test_marks_are_shown_and_open_pages_are_told_to_read_the_map(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        before = (await ann.client.get(f"/api/seats/events/{event_id}")).json()["version"]
        await change(system, event_id, "mark", "s4", marks=["restricted_view", "wheelchair"])

        async def is_shown() -> bool:
            seats = (await ann.client.get(f"/api/seats/events/{event_id}?since={before}")).json()["seats"]
            return bool(seats[4].get("marks") == ["wheelchair", "restricted_view"]) if len(seats) > 4 else False

        await wait_until(is_shown, description="who has the map of before gets the whole one")


async def test_a_seat_for_a_wheelchair_is_held_by_whoever_chooses_it_and_given_to_nobody_else(
    system: System, event_id: str
) -> None:
    await change(system, event_id, "mark", "s0", "s1", "s2", "s3", marks=["wheelchair"])
    await change(system, event_id, "mark", "s4", marks=["companion"])
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben:
        await ann.enter()
        await ben.enter()
        refused = assert_problem(await ann.reserve(quantity=2, grades=["R"]), 409, "seats_unavailable")
        assert refused["left"] == {"R": 1, "S": 6}
        assert [seat["id"] for seat in (await ann.hold(quantity=1, grades=["R"]))["seats"]] == ["s5"]
        assert [seat["id"] for seat in (await ben.hold(seatIds=["s3", "s4"]))["seats"]] == ["s3", "s4"]
    await books_agree(system, event_id)


async def test_changes_and_holds_at_once_leave_books_that_agree(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        answers = await asyncio.gather(
            ann.reserve(seatIds=["s3"]),
            *(change(system, event_id, action, "s2", "s3", "s4") for action in ("block", "release", "block")),
        )
    assert answers[0].status_code in (201, 409)
    assert [answer.status_code for answer in answers[1:]] == [200] * 3
    await books_agree(system, event_id)


async def add(system: System, event_id: str, *seats: dict[str, Any]) -> httpx2.Response:
    async with system.web.client(headers=await system.bearer()) as client:
        path = f"/api/admin/events/{event_id}/seats/additions"
        return await client.post(path, json={"seats": list(seats)})


def seat(number: int, **more: Any) -> dict[str, Any]:
    return {"section": "A", "row": "0", "number": number, "grade": "R", **more}


async def test_seats_added_during_a_sale_are_sold_and_what_is_held_stays_as_it_is(
    system: System, event_id: str
) -> None:
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben:
        await ann.enter()
        await ben.enter()
        held = await ann.hold(seatIds=["s0"])
        before = (await ann.client.get(f"/api/seats/events/{event_id}")).json()
        made = await add(system, event_id, seat(7), seat(8, name="8bis", marks=["restricted_view"]))
        assert (made.status_code, made.json()["seatIds"]) == (201, ["s12", "s13"])
        now = (await ann.client.get(f"/api/seats/events/{event_id}")).json()
        assert now["version"] == made.json()["version"] > before["version"]
        assert [{**each, "status": ""} for each in now["seats"][:12]] == [
            {**each, "status": ""} for each in before["seats"]
        ]
        assert (now["seats"][13]["name"], now["seats"][13]["marks"]) == ("8bis", ["restricted_view"])
        taken = await ben.hold(seatIds=["s5", "s12"])
        assert taken["totalPrice"] == 2 * held["totalPrice"]
        assert (await ann.pay(held["id"])).status_code == 201
        kinds = (await ben.client.get(f"/api/events/{event_id}")).json()["ticketTypes"]
        assert {kind["grade"]: (kind["total"], kind["available"]) for kind in kinds} == {"R": (8, 5), "S": (6, 6)}
    await books_agree(system, event_id)


async def test_seats_that_cannot_be_added_are_refused_and_none_is(system: System, event_id: str) -> None:
    twice = assert_problem(await add(system, event_id, seat(7), seat(5)), 409, "seat_exists")
    assert twice["seats"] == [{"section": "A", "row": "0", "number": 5}]
    assert_problem(await add(system, event_id, seat(7, grade="ZZ")), 422, "grade_unknown")
    assert_problem(await add(system, event_id, seat(7, x=1.0)), 422, "payload_invalid")
    assert_problem(await add(system, event_id, seat(7, x=-1.0, y=0.0)), 422, "payload_invalid")
    assert_problem(await add(system, event_id), 422, "payload_invalid")
    assert_problem(await add(system, "nowhere", seat(7)), 404, "event_unknown")
    async with buyer(system, event_id) as ann:
        map_now = (await ann.client.get(f"/api/seats/events/{event_id}")).json()
        there = map_now["seats"][1]
        crowded = await add(system, event_id, seat(9, x=there["x"], y=there["y"]))
        assert_problem(crowded, 409, "seat_has_no_room")
        path = f"/api/admin/events/{event_id}/seats/additions"
        assert (await ann.client.post(path, json={"seats": [seat(7)]})).status_code in (401, 403)
        assert (await ann.client.get(f"/api/seats/events/{event_id}")).json()["version"] == map_now["version"]


async def test_seats_are_added_while_others_are_held(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        answers = await asyncio.gather(
            ann.reserve(seatIds=["s3"]), *(add(system, event_id, seat(number)) for number in (7, 8, 9))
        )
    assert [answer.status_code for answer in answers] == [201] * 4
    assert sorted(answer.json()["seatIds"][0] for answer in answers[1:]) == ["s12", "s13", "s14"]
    await books_agree(system, event_id)


async def test_what_cannot_be_meant_is_refused_and_the_trail_tells_the_rest(system: System, event_id: str) -> None:
    assert_problem(await change(system, event_id, "block", "s99"), 422, "seat_unknown")
    assert_problem(await change(system, event_id, "block", "x"), 422, "seat_unknown")
    assert_problem(await change(system, event_id, "paint", "s1"), 422, "payload_invalid")
    assert_problem(await change(system, event_id, "mark", "s1", marks=["gold"]), 422, "payload_invalid")
    assert_problem(await change(system, "nowhere", "block", "s1"), 404, "event_unknown")
    async with buyer(system, event_id) as ann:
        path = f"/api/admin/events/{event_id}/seats/changes"
        refused = await ann.client.post(path, json={"action": "block", "seatIds": ["s1"]})
        assert refused.status_code in (401, 403)
    assert (await change(system, event_id, "block", "s1")).status_code == 200
    entry = (await audit_log.listed(system.db, audit_log.AuditFilter(subject=event_id), 1))[0]
    assert (entry.action, entry.change["action"], entry.change["seats"]) == ("seats.change", "block", [1])
    await change(system, event_id, "regrade", "s2", "s6", grade="S")
    entry = (await audit_log.listed(system.db, audit_log.AuditFilter(subject=event_id), 1))[0]
    assert (entry.change["grade"], entry.change["seats"], entry.change["was"]) == ("S", [2], {"grade": {"R": 1}})
