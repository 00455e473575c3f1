"""A place in line belongs to the account: one on all devices, taken over at log-in with its turn and its seats."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from app.domain.ticket import account_holder, holder_text
from app.http.accounts import guest_merge as merge
from app.room.answers import Merged
from app.room.errors import RoomUnavailable
from tests.http.buyer import Answer, Buyer, assert_problem, buyer, make_account
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
PASSWORD = "correct horse"


class Person(Buyer):
    """A browser in which somebody may log in."""

    async def register(self, name: str) -> Answer:
        return await make_account(self.client, f"{name}@example.com", PASSWORD, name)

    async def log_in(self, name: str) -> Answer:
        body = {"email": f"{name}@example.com", "password": PASSWORD}
        answer = await self.client.post("/api/auth/login", json=body)
        assert answer.status_code == 200, answer.text
        return answer

    async def log_out(self) -> None:
        assert (await self.client.post("/api/auth/logout")).status_code == 200

    async def number(self, **wanted: Any) -> int:
        answer = await self.join(**wanted)
        assert answer.status_code in (200, 201), answer.text
        return int(answer.json()["number"])

    async def mine(self) -> list[str]:
        found = (await self.client.get("/api/reservations/my")).json()["reservations"]
        return [reservation["id"] for reservation in found]


@asynccontextmanager
async def person(system: System, event_id: str) -> AsyncIterator[Person]:
    async with buyer(system, event_id) as someone:
        yield Person(someone.client, event_id)


async def test_one_account_has_one_number_on_all_its_devices(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with person(system, event_id) as phone, person(system, event_id) as laptop:
        await phone.register("devices")
        assert await phone.number() == 1
        await laptop.log_in("devices")
        assert (await laptop.position())["number"] == 1, "logging in shows the place at once"
        assert (await laptop.join()).status_code == 200
        assert await laptop.number() == 1
        async with person(system, event_id) as program:
            token = (await program.log_in("devices")).json()["token"]
            program.client.cookies.clear()
            assert await program.number(headers={"authorization": f"Bearer {token}"}) == 1
    assert await system.last_number(event_id) == 1


async def test_many_devices_that_join_at_once_get_one_number(system: System, event_id: str) -> None:
    async with person(system, event_id) as one:
        token = (await one.register("at-once")).json()["token"]
        bearer = {"authorization": f"Bearer {token}"}

        async def join_somewhere() -> int:
            async with person(system, event_id) as device:
                return await device.number(headers=bearer)

        numbers = await asyncio.gather(*(join_somewhere() for _ in range(10)))
    assert set(numbers) == {1}


async def test_the_place_of_a_browser_is_the_account_s_after_logging_in(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with person(system, event_id) as ann, person(system, event_id) as other:
        await ann.number()
        assert await other.number() == 2
        before = other.client.cookies[f"tiketi_ticket_{event_id}"]
        await other.register("adopts")
        assert other.client.cookies[f"tiketi_ticket_{event_id}"] != before
        assert "tiketi_holder" not in other.client.cookies, "the browser is nobody by itself any more"
        assert (await other.position())["number"] == 2
        assert (await other.join()).status_code == 200
        async with person(system, event_id) as phone:
            await phone.log_in("adopts")
            assert (await phone.position())["number"] == 2


async def test_of_two_places_the_earlier_is_kept(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with person(system, event_id) as early, person(system, event_id) as late:
        first, second = await early.number(), await late.number()
        await late.register("two-places")
        await early.log_in("two-places")
        assert (await early.position())["number"] == first
        assert await late.number() == first, "the other device is told when it joins again"

        async def has_left() -> bool:
            return bool((await late.client.get(f"/api/queue/{event_id}/status")).json()["waiting"] == 1)

        await wait_until(has_left, description="the later place is left")
        assert second == 2


async def test_a_turn_and_held_seats_survive_logging_in(system: System, event_id: str) -> None:
    async with person(system, event_id) as ann, person(system, event_id) as phone:
        await ann.enter()
        held = await ann.hold(quantity=2)
        await ann.register("holds")
        assert (await ann.position())["state"] == "claimed"
        assert await ann.mine() == [held["id"]]
        await phone.log_in("holds")
        assert await phone.mine() == [held["id"]]
        assert (await phone.position())["reservation"]["id"] == held["id"]
        paid = await phone.pay(held["id"])
        assert paid.status_code == 201, paid.text
        await ann.log_out()
        assert await ann.mine() == []
        assert (await ann.client.get(f"/api/reservations/{held['id']}")).status_code == 404


async def test_a_wish_said_before_logging_in_is_held_for_the_account(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with person(system, event_id) as ann:
        await ann.number(wish={"quantity": 2})
        user = (await ann.register("wishes")).json()["user"]
        await system.change(event_id, state="open")
        await ann.until("admitted")
        held = await ann.given()
        assert held["id"] in await ann.mine()
        found = await ann.client.get(f"/api/reservations/{held['id']}")
        assert found.status_code == 200
        async with system.db.read() as tx:
            holders = (await tx.exec_driver_sql("SELECT holder FROM reservations")).scalars().all()
        assert holder_text(account_holder(user["id"])) in holders


async def test_a_browser_of_one_account_is_never_taken_over_by_another(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with person(system, event_id) as shared:
        assert await shared.number() == 1
        kept = dict(shared.client.cookies)
        await shared.register("owner")
        shared.client.cookies.clear()
        for name, value in kept.items():  # somebody who noted the browser's id and ticket
            shared.client.cookies.set(name, value, domain="127.0.0.1")
        await shared.register("thief")
        assert f"tiketi_ticket_{event_id}" not in shared.client.cookies, "somebody else's place is not shown"
        assert "tiketi_holder" not in shared.client.cookies
        assert await shared.number() == 2
        await shared.log_in("owner")
        assert (await shared.position())["number"] == 1


async def test_who_logs_in_after_somebody_else_does_not_have_their_place(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with person(system, event_id) as shared:
        await shared.register("first")
        assert await shared.number() == 1
        await shared.log_out()
        ours = {name for name in shared.client.cookies if name.startswith("tiketi_")}
        assert ours <= {"tiketi_form", "tiketi_device"}
        await shared.register("second")
        assert await shared.number() == 2


async def test_a_session_that_is_no_good_joins_nothing(system: System, event_id: str) -> None:
    async with person(system, event_id) as ann:
        token = (await ann.register("ended")).json()["token"]
        await ann.log_out()
        for bearer, code in ((token, "session_ended"), ("x" + token, "session_invalid")):
            refused = await ann.join(headers={"authorization": f"Bearer {bearer}"})
            assert_problem(refused, 401, code)
            bare = await ann.post("join", headers={"authorization": f"Bearer {bearer}"})
            assert_problem(bare, 401, code)
            listed = await ann.client.get("/api/reservations/my", headers={"authorization": f"Bearer {bearer}"})
            assert_problem(listed, 401, code)
        ann.client.cookies.set("tiketi_session", token)
        assert await ann.number() == 1, "a cookie that is over is none: the browser joins for itself"
        assert "tiketi_holder" in ann.client.cookies


async def test_an_account_s_name_in_the_line_opens_nothing(system: System, event_id: str) -> None:
    """It is derived from the account's id, so anyone may know it: as a browser's id it is not believed."""
    async with person(system, event_id) as victim, person(system, "direct") as direct:
        user = (await victim.register("victim")).json()["user"]
        assert await victim.number() == 1
        await direct.log_in("victim")
        held = await direct.hold(quantity=1)
        async with person(system, event_id) as attacker:
            attacker.client.cookies.set("tiketi_holder", holder_text(account_holder(user["id"])))
            assert await attacker.mine() == []
            assert (await attacker.client.get(f"/api/reservations/{held['id']}")).status_code == 404
            assert_problem(await Person(attacker.client, "direct").reserve(quantity=1), 401, "holder_missing")
            assert await attacker.number() == 2


async def test_what_a_browser_reserved_is_the_account_s_alone_once_it_took_it_over(system: System) -> None:
    browser = system.browser()
    async with person(system, "direct") as ann, person(system, "direct") as other:
        ann.client.cookies.update(browser)
        held = await ann.hold(quantity=1)
        assert await ann.mine() == [held["id"]]
        await ann.register("took-over")
        assert await ann.mine() == [held["id"]]
        other.client.cookies.update(browser)  # somebody who noted the browser's secret
        assert await other.mine() == []
        await other.register("noted")
        other.client.cookies.update(browser)
        assert await other.mine() == []
        assert (await other.client.post(f"/api/reservations/{held['id']}/cancel")).status_code == 404
        assert (await ann.client.post(f"/api/reservations/{held['id']}/cancel")).status_code == 200


async def test_without_a_line_an_account_reserves_as_itself(system: System) -> None:
    async with person(system, "direct") as ann:
        token = (await ann.register("bearer")).json()["token"]
        ann.client.cookies.clear()
        bearer = {"authorization": f"Bearer {token}"}
        made = await ann.reserve(headers=bearer, quantity=1)
        assert made.status_code == 201, made.text
        listed = (await ann.client.get("/api/reservations/my", headers=bearer)).json()["reservations"]
        assert [one["id"] for one in listed] == [made.json()["reservation"]["id"]]
        cancelled = await ann.client.post(f"/api/reservations/{listed[0]['id']}/cancel", headers=bearer)
        assert cancelled.status_code == 200


async def test_a_place_that_could_not_be_adopted_at_log_in_is_when_joining(
    system: System, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await system.change(event_id, state="paused")
    async with person(system, event_id) as ann:
        assert await ann.number() == 1

        async def away(*_: object) -> list[Merged]:
            raise RoomUnavailable("ConnectionError")

        with monkeypatch.context() as patched:
            patched.setattr(merge, "merge", away)
            await ann.register("put-off")
        assert (await ann.position())["number"] == 1
        assert (await ann.post("join")).json()["number"] == 1, "without a body too, which the fast path would take"
        async with person(system, event_id) as phone:
            await phone.log_in("put-off")
            assert (await phone.position())["number"] == 1


async def test_logging_in_looks_at_so_many_rooms_and_no_more(
    system: System, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "ROOMS_MAX", 1)
    await system.change(event_id, state="paused")
    async with person(system, event_id) as ann:
        assert await ann.number() == 1
        await ann.register("many-rooms")
        assert (await ann.position())["number"] == 1, "the room it has a ticket for comes first"
        async with person(system, event_id) as phone:
            await phone.log_in("many-rooms")
            assert await phone.number() == 1


async def test_where_only_accounts_may_join_many_browsers_of_one_person_are_one_place(
    system: System, event_id: str
) -> None:
    """What ten sessions of one person are worth: nothing, without an account for each."""
    await system.change(event_id, state="paused", door="accounts")
    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(person(system, event_id)) for _ in range(10)]
        for browser in browsers:
            assert_problem(await browser.join(), 401, "login_required")
            assert_problem(await browser.join(wish={"quantity": 2}), 401, "login_required")
        page = (await browsers[0].client.get(f"/events/{event_id}", headers={"accept-language": "en"})).text
        assert "Log in to join" in page
        assert 'id="join-button"' not in page
        (token,) = re.findall(r'name="csrf" value="([^"]+)"', (await browsers[0].client.get("/login")).text)
        sent = await browsers[0].client.post(f"/events/{event_id}/join", data={"csrf": token})
        assert (sent.status_code, sent.headers["location"]) == (303, f"/events/{event_id}")
        status = (await browsers[0].client.get(f"/api/queue/{event_id}/status")).json()
        assert (status["cursor"], status["waiting"]) == (0, 0)
        await browsers[0].register("scalper")
        for browser in browsers[1:]:
            await browser.log_in("scalper")
        numbers = await asyncio.gather(*(browser.number() for browser in browsers))
        assert set(numbers) == {1}
        page = (await browsers[0].client.get(f"/events/{event_id}")).text
        assert "Log in to join" not in page
    assert await system.last_number(event_id) == 1


async def test_who_stood_in_line_before_it_was_for_accounts_stays(system: System, event_id: str) -> None:
    async with person(system, event_id) as early, person(system, event_id) as late:
        await system.change(event_id, state="paused")
        assert await early.number() == 1
        await system.change(event_id, door="accounts")
        assert await early.number() == 1
        assert_problem(await late.join(), 401, "login_required")
        await system.change(event_id, door="open")
        assert await late.number() == 2


async def test_an_event_may_be_made_for_accounts_only(system: System) -> None:
    wanted = {"title": "Members", "venue": "Hall", "eventDate": "2099-01-01T19:00", "room": {"door": "accounts"}}
    async with system.web.client(headers=await system.bearer()) as admin:
        made = (await admin.post("/api/admin/events", json=wanted)).json()["event"]["id"]

        async def knows_its_room() -> bool:
            return (await admin.get(f"/api/queue/{made}/status")).status_code == 200

        await wait_until(knows_its_room, description="the room is made")
        assert (await admin.get(f"/api/admin/events/{made}/admission")).json()["door"] == "accounts"
    async with person(system, made) as someone:
        assert_problem(await someone.join(), 401, "login_required")
        await someone.register("member")
        assert await someone.number() == 1
