"""A place belongs to its holder: what somebody found, copied or bought of it opens nothing, and names no secret."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from app.domain.ticket import HOLDER_BYTES, account_holder, holder_text
from tests.http.buyer import Buyer, assert_problem, buyer, make_account
from tests.http.system import BUYER, System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _claims(admission_pass: str) -> dict[str, Any]:
    payload = admission_pass.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return claims


async def _stored(system: System) -> str:
    """Everything that Redis and the tables of people and reservations hold, as text."""
    found = []
    async for key in system.redis.scan_iter():
        kind = (await system.redis.type(key)).decode()
        if kind == "hash":
            found.append(await system.redis.hgetall(key))  # type: ignore[misc]
        elif kind == "stream":
            found.append(await system.redis.xrange(key))
    async with system.db.read() as tx:
        for table in ("reservations", "user_holders", "waitlist", "commands", "charges"):
            found.append((await tx.exec_driver_sql(f"SELECT * FROM {table}")).all())
    return repr(found)


async def test_a_guest_s_secret_is_in_no_pass_ticket_or_store(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        ticket = (await ann.join({"quantity": 1})).json()["ticket"]
        await ann.until("admitted")
        claimed = (await ann.claim()).json()
        held = await ann.given()
        cookie = ann.client.cookies["tiketi_holder"].encode()
        raw = base64.b64decode(cookie)
        shown = _claims(claimed["pass"])["sub"]
        stored = await _stored(system)
        answered = json.dumps([claimed, held, await ann.position()])
    secret = raw[1:17]
    for form in (cookie, secret, holder_text(secret).encode(), base64.b64encode(secret), secret.hex().encode()):
        assert form not in base64.b64decode(ticket)
        for text in (shown, stored, answered, claimed["pass"]):
            assert form.decode("latin-1") not in text
    assert shown in stored, "what is stored is the holder id that the pass carries"


@pytest.mark.parametrize("made_up", ["A" * 22, "A" * 44, holder_text(account_holder("u_2")), "BBBBBBBBBBBBBBBBBBBBBA"])
async def test_a_client_does_not_choose_who_it_is(system: System, event_id: str, made_up: str) -> None:
    async with buyer(system, event_id, cookies={"tiketi_holder": made_up}) as ann:
        joined = await ann.join()
        assert (joined.status_code, "tiketi_holder" in joined.cookies) == (201, True)
        assert joined.cookies["tiketi_holder"] != made_up


async def test_the_holder_id_that_a_pass_shows_is_no_cookie(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann, buyer(system, event_id) as thief:
        shown = _claims((await ann.enter())["pass"])["sub"]
        held = await ann.hold(quantity=1)
        assert len(base64.urlsafe_b64decode(shown + "==")) == HOLDER_BYTES
        thief.client.cookies.set("tiketi_holder", shown)
        assert (await thief.client.get(f"/api/reservations/{held['id']}")).status_code == 404


async def _steals(system: System, ann: Buyer, thief: Buyer) -> None:
    """All that a place opens, asked for with its ticket and its pass and without its holder's cookie or session."""
    ticket = {"x-queue-ticket": (await ann.join({"quantity": 1})).json()["ticket"]}
    await ann.until("admitted")
    assert_problem(await thief.post("claim", headers=ticket), 403, "holder_other")
    shown = ticket | {"x-admission-pass": (await ann.claim()).json()["pass"]}
    held = await ann.given()
    assert_problem(await thief.post("claim", headers=shown), 403, "holder_other")
    assert_problem(await thief.post("leave", headers=shown), 403, "holder_other")
    assert_problem(await thief.reserve(headers=shown, quantity=1), 403, "holder_other")
    path = f"/api/reservations/{held['id']}"
    assert_problem(await thief.client.get(path, headers=shown), 404, "reservation_unknown")
    assert_problem(await thief.client.post(f"{path}/cancel", headers=shown), 404, "reservation_unknown")
    pays = {"reservationId": held["id"], "paymentMethod": "kakao_pay"}
    paid = await thief.client.post("/api/payments/process", json=pays, headers=shown)
    assert_problem(paid, 404, "reservation_unknown")
    assert (await thief.client.get("/api/reservations/my", headers=shown)).json()["reservations"] == []
    position = (await thief.client.get(f"/api/queue/{ann.event_id}/position", headers=shown)).json()
    assert position["state"] == "claimed"
    assert "reservation" not in position, "where a place stands is no secret, what is reserved for it is"
    async with thief.stream(headers=shown) as stream:
        assert "reservation" not in (await stream.next("position")).data
    async with ann.stream() as stream:
        assert (await stream.next("position")).data["reservation"]["id"] == held["id"]
    assert (await ann.pay(held["id"])).status_code == 201


async def test_a_ticket_and_a_pass_open_nothing_without_the_browser_they_were_made_for(
    system: System, event_id: str
) -> None:
    async with buyer(system, event_id) as ann, buyer(system, event_id, cookies=system.browser()) as thief:
        await _steals(system, ann, thief)


async def test_a_ticket_and_a_pass_of_an_account_open_nothing_without_its_session(
    system: System, event_id: str
) -> None:
    async with (
        buyer(system, event_id, headers=await system.bearer(BUYER)) as ann,
        buyer(system, event_id, cookies=system.browser()) as thief,
    ):
        await _steals(system, ann, thief)


async def test_pages_treat_somebody_else_s_ticket_and_pass_as_none(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        stolen = {name: value for name, value in ann.client.cookies.items() if name != "tiketi_holder"}
    async with buyer(system, event_id, cookies=stolen) as thief:
        seats = (await thief.client.get(f"/events/{event_id}/seats", headers={"accept-language": "en"})).text
        wait = (await thief.client.get(f"/events/{event_id}/wait", headers={"accept-language": "en"})).text
    assert "To hold seats, join the line first." in seats
    assert "You are not in this line" in wait


async def test_an_old_ticket_of_a_place_that_an_account_took_over_opens_nothing(system: System, event_id: str) -> None:
    """Nor together with the old browser's cookie, from which the account took the place."""
    async with buyer(system, event_id) as ann:
        await ann.join({"quantity": 1})
        await ann.until("admitted")
        await ann.given()
        old = dict(ann.client.cookies)
        old |= {f"tiketi_pass_{event_id}": (await ann.claim()).json()["pass"]}
        await make_account(ann.client, "takes-over@example.com", "correct horse")
        held = (await ann.position())["reservation"]["id"]
        async with buyer(system, event_id, cookies=old) as thief:
            claimed, left = await thief.claim(), await thief.post("leave")
            assert_problem(claimed, 410, "place_taken_over")
            assert_problem(left, 410, "place_taken_over")

            async def is_known() -> bool:
                return (await thief.client.get(f"/api/queue/{event_id}/position")).status_code == 410

            await wait_until(is_known, description="the web process knows who took the place over")
            assert_problem(await thief.client.get(f"/api/queue/{event_id}/stream"), 410, "place_taken_over")
            assert_problem(await thief.reserve(quantity=1), 410, "place_taken_over")
            assert (await thief.client.get(f"/api/reservations/{held}")).status_code == 404
        assert (await ann.pay(held)).status_code == 201
        await ann.until("left")
        async with buyer(system, event_id, cookies=old) as thief:
            assert_problem(await thief.post("leave"), 410, "place_taken_over")


async def test_a_place_in_a_closed_room_is_taken_over_as_well(system: System, event_id: str) -> None:
    """A pass is good after the room was closed: it must not stay with whoever has the old browser's cookie."""
    async with buyer(system, event_id) as ann:
        await ann.enter()
        old = dict(ann.client.cookies)
        await system.change(event_id, state="closed")
        await make_account(ann.client, "closed@example.com", "correct horse")
        assert (await ann.claim()).status_code == 200, "the account's pass"
        async with buyer(system, event_id, cookies=old) as thief:
            assert_problem(await thief.claim(), 410, "place_taken_over")

            async def is_refused() -> bool:
                return (await thief.reserve(seatIds=["none"])).status_code == 410

            await wait_until(is_refused, description="the web process knows who took the place over")
        await ann.hold(quantity=1)


async def test_a_stream_of_the_old_ticket_ends_when_an_account_takes_the_place_over(
    system: System, event_id: str
) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann:
        await ann.join()
        async with buyer(system, event_id, cookies=dict(ann.client.cookies)) as tab, tab.stream() as stream:
            await stream.next("position")
            await make_account(ann.client, "streams@example.com", "correct horse")
            assert [event.name for event in await stream.rest()][-1] == "reconnect"
