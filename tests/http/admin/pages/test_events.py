"""An admin's pages of events, as a browser without a script uses them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from app.http.admin.pages import rooms
from app.ledger import events
from tests.http.system import ADMIN, System

pytestmark = pytest.mark.asyncio(loop_scope="module")
FORM = {
    "title": "루미나",
    "venue": "Hall",
    "en_title": "Lumina",
    "time_zone": "America/New_York",
    "event_date": "2031-05-01T19:00",
    "opens": "2031-04-01T09:00",
    "closes": "",
    "grade0": "R",
    "price0": "100",
    "grade3": "S",
    "price3": "50",
    "admission": "room",
    "rate": "2.5",
    "burst": "3",
    "max_active": "4",
}


def token(page: httpx2.Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None, "every form carries a token"
    return found[1]


@asynccontextmanager
async def admin(system: System) -> AsyncIterator[httpx2.AsyncClient]:
    async with system.web.client(headers={"accept-language": "en"}) as client:
        login = await client.get("/admin/login")
        sent = {"email": ADMIN[0], "password": ADMIN[1], "csrf": token(login)}
        assert (await client.post("/admin/login", data=sent)).status_code == 303
        yield client


async def submit(client: httpx2.AsyncClient, shown: str, path: str, fields: dict[str, str]) -> httpx2.Response:
    page = await client.get(shown)
    assert page.status_code == 200, page.text
    return await client.post(path, data={**fields, "csrf": token(page)})


async def made(client: httpx2.AsyncClient) -> str:
    answer = await submit(client, "/admin/events/new", "/admin/events", FORM)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].split("/")[3]


async def test_the_rooms_are_listed_a_page_at_a_time_those_where_people_are_first(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "ROOMS_PER_PAGE", 2)
    views = system.state["rooms"].views
    over = await system.event()
    await system.change(over, state="closed")
    listed: list[str] = []
    async with admin(system) as client:
        at: str | None = "/admin"
        while at is not None:
            html = (await client.get(at)).text
            shown = re.findall(r'<tr data-event="([^"]+)"', html)
            assert 0 < len(shown) <= 2
            listed += shown
            more = re.search(r'rel="next" href="([^"]+)"', html)
            at = more[1] if more else None
    assert sorted(listed) == sorted(views)
    is_closed = [views[event_id].state == "closed" for event_id in listed]
    assert is_closed == sorted(is_closed)
    assert is_closed[-1]


async def test_a_form_makes_an_event_and_shows_it_as_it_was_typed(system: System) -> None:
    async with admin(system) as client:
        event_id = await made(client)
        event = await events.get(system.db, event_id)
        assert event is not None
        assert event.opens_at.isoformat() == "2031-04-01T13:00:00+00:00"
        assert [(grade.name, grade.price) for grade in event.grades] == [("R", 100), ("S", 50)]
        assert event.details == {"en": {"title": "Lumina"}}
        form = (await client.get(f"/admin/events/{event_id}/edit")).text
        assert f'It has no seats yet, so nothing of it can be sold. <a href="/admin/events/{event_id}/files">' in form
        for typed in ("2031-05-01T19:00", "2031-04-01T09:00", "America/New_York", "루미나", "Lumina"):
            assert f'value="{typed}"' in form
        assert "Lumina" in (await client.get("/admin/events", params={"q": "lumina"})).text
        public = (await client.get(f"/events/{event_id}")).text
        assert "Tue 1 Apr 2031, 09:00 (EDT, America/New_York)" in public
        assert "Not on sale yet" in public


async def test_the_seats_per_person_are_typed_and_left_empty_for_no_limit(system: System) -> None:
    async with admin(system) as client:
        event_id = await made(client)
        shown = f"/admin/events/{event_id}/edit"
        for typed, limit in (("3", 3), ("", None)):
            page = (await client.get(shown)).text
            fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page)) | {"seats_per_buyer": typed}
            await submit(client, shown, shown, {name: each for name, each in fields.items() if name != "csrf"})
            event = await events.get(system.db, event_id)
            assert event is not None
            assert event.seats_per_buyer == limit
        refused = await submit(client, shown, shown, {**fields, "seats_per_buyer": "0"})
        assert (refused.status_code, "Seats per person: 1 is the least." in refused.text) == (422, True)


async def test_a_form_changes_an_event_and_leaves_untouched_times_alone(system: System, event_id: str) -> None:
    before = await events.get(system.db, event_id)
    assert before is not None
    async with admin(system) as client:
        shown = f"/admin/events/{event_id}/edit"
        page = (await client.get(shown)).text
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page)) | {"title": "New", "csrf": ""}
        answer = await submit(client, shown, shown, {name: each for name, each in fields.items() if name != "csrf"})
        assert answer.headers["location"] == f"{shown}?done=saved"
        after = await events.get(system.db, event_id)
        assert after is not None
        assert (after.title, after.version) == ("New", 2)
        assert (after.opens_at, after.starts_at) == (before.opens_at, before.starts_at), "microseconds and all"
        late = await submit(client, shown, shown, {**fields, "title": "Late"})
        assert late.status_code == 409
        assert "Someone else changed this event" in late.text
        assert 'value="Late"' in late.text, "what was typed is not lost"


async def test_a_refused_form_says_which_field_and_keeps_what_was_typed(system: System) -> None:
    async with admin(system) as client:
        wrong = {**FORM, "opens": "2031-03-09T02:30"}
        answer = await submit(client, "/admin/events/new", "/admin/events", wrong)
        assert answer.status_code == 422
        assert "Sale opens: The clock is set forward over this time" in answer.text
        assert 'value="2031-03-09T02:30"' in answer.text


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"price3": ""}, "price3", "Price 4 (KRW): A whole number is needed."),
        ({"grade3": ""}, "grade3", "Grade 4: This must be filled in."),
        ({"price0": "cheap"}, "price0", "Price 1 (KRW): A whole number is needed."),
        ({"title": " "}, "title", "Title: This must be filled in."),
        ({"en_venue": "x" * 201}, "en_venue", "Venue (English): At most 200 characters."),
        ({"event_date": ""}, "event_date", "The event begins: This must be filled in."),
        ({"time_zone": "Mars/Base"}, "time_zone", "Time zone: "),
        ({"opens": "tomorrow"}, "opens", "Sale opens: A date and a time are needed, such as 2026-05-01 09:00."),
        ({"rate": "0"}, "rate", "People let in per second: 0.1 is the least."),
        ({"max_active": "many"}, "max_active", "Room inside for: A whole number is needed."),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_what_does_not_fit_is_said_beside_its_field(
    system: System, wrong: dict[str, str], field: str, said: str
) -> None:
    async with admin(system) as client:
        answer = await submit(client, "/admin/events/new", "/admin/events", {**FORM, **wrong})
        assert answer.status_code == 422
        marked = re.findall(
            r'name="(\w+)"[^>]* aria-invalid="true" aria-describedby="wrong[^>]*>(.*?</textarea>)?<span[^>]*>([^<]+)',
            answer.text,
        )
        assert [name for name, _, _ in marked] == [field]
        assert marked[0][2].startswith(said)
        assert "$." not in answer.text, "nothing is said in a program's words"
        form = await client.get("/admin/events/new", headers={"accept-language": "ko"})
        sent = {**FORM, **wrong, "csrf": token(form)}
        korean = await client.post("/admin/events", data=sent, headers={"accept-language": "ko"})
        told = re.search(r'role="alert"[^>]*>([^<]+)', korean.text)
        assert told is not None
        assert re.search("[가-힣]{2}", told[1])


async def test_a_change_of_what_is_old_leads_to_what_it_is_now(system: System, event_id: str) -> None:
    async with admin(system) as client:
        page = f"/admin/events/{event_id}/edit"
        fields = {**FORM, "version": "1"}
        assert (await submit(client, page, page, fields)).status_code == 303
        refused = await submit(client, page, page, fields)
        assert refused.status_code == 409
        assert f'<a href="{page}" target="_blank">Open what it is now in another tab</a>' in refused.text


async def test_what_was_typed_outlives_the_log_in(system: System, event_id: str) -> None:
    async with admin(system) as client:
        for shown, path in (
            ("/admin/events/new", "/admin/events"),
            (f"/admin/events/{event_id}/edit", f"/admin/events/{event_id}/edit"),
        ):
            old = token(await client.get(shown))
            session = client.cookies["tiketi_session"]
            client.cookies.delete("tiketi_session")
            answer = await client.post(path, data={**FORM, "title": "Long in the making", "csrf": old})
            assert answer.status_code == 403
            assert "What you typed is still here" in answer.text
            assert 'value="Long in the making"' in answer.text
            again = await client.post(path, data={**FORM, "csrf": token(answer)})
            assert again.status_code == 403, "nobody is logged in"
            client.cookies.set("tiketi_session", session)
            back = await client.post(path, data={**FORM, "csrf": token(again)})
            assert back.status_code == 403, "the form is from before"
            assert (await client.post(path, data={**FORM, "csrf": token(back)})).status_code == 303


async def test_cancelling_asks_first_and_then_says_so_everywhere(system: System) -> None:
    async with admin(system) as client:
        event_id = await made(client)
        shown = f"/admin/events/{event_id}/cancel"
        answer = await submit(client, shown, shown, {})
        assert answer.headers["location"] == shown, "not sure"
        assert (await submit(client, shown, shown, {"sure": "yes"})).status_code == 303
        for path in (f"/admin/events/{event_id}/edit", f"/events/{event_id}", "/admin/events"):
            assert "Cancelled" in (await client.get(path)).text, path
        answer = await submit(client, "/admin/events/new", f"/admin/events/{event_id}/edit", FORM)
        assert answer.status_code == 409
        assert "This event was cancelled." in (await client.get(f"/events/{event_id}/wait")).text


async def test_the_pages_are_for_admins_and_their_forms_for_our_own(system: System, event_id: str) -> None:
    paths = ("/admin/events", "/admin/events/new", f"/admin/events/{event_id}/edit", f"/admin/events/{event_id}/cancel")
    async with system.web.client() as client:
        for path in paths:
            assert (await client.get(path)).headers["location"] == "/admin/login"
    async with admin(system) as client:
        for path in paths:
            assert (await client.get(path)).status_code == 200, path
        for path in (paths[0], *paths[2:]):
            assert (await client.post(path, data={**FORM, "sure": "yes"})).status_code == 403
    event = await events.get(system.db, event_id)
    assert event is not None
    assert (event.version, event.cancelled_at) == (1, None)
