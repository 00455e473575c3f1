"""The admin's page of an event's files, as a browser without scripts has it: send, be told, see, download."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from tests.http.forms import send
from tests.http.system import ADMIN, System
from tests.pictures import moving, picture
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
LABELS = b"VIP-1F-A-1-1\nVIP-1F-A-1-2\nR-2F-B-1-7\n"


@pytest_asyncio.fixture(loop_scope="module")
async def admin(system: System) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser in which an admin logged in."""
    async with system.web.client(headers={"accept-language": "en"}) as client:
        entered = await send(client, "/admin/login", "/admin/login", {"email": ADMIN[0], "password": ADMIN[1]})
        assert entered.status_code == 303
        yield client


async def upload(admin: httpx2.AsyncClient, event_id: str, what: str, data: bytes, **fields: str) -> httpx2.Response:
    page = f"/admin/events/{event_id}/files"
    return await send(admin, page, f"{page}/{what}", fields, files={"file": ("x", data)})


async def test_a_file_is_checked_then_imported(admin: httpx2.AsyncClient, event_id: str) -> None:
    prices = {"prices": "VIP=150,000\r\nR=100000"}
    checked = await upload(admin, event_id, "seats", LABELS, check="1", **prices)
    assert checked.status_code == 200
    assert "3 seats would be made" in checked.text
    assert "grade VIP, floor 1F, section A, row 1, number 1" in checked.text
    assert 'rows="3"' in checked.text
    assert "VIP=150,000" in checked.text, "what was typed is still there"
    assert len((await admin.get(f"/api/seats/events/{event_id}")).json()["seats"]) == 12
    assert "have no seat in the file and would go, with their prices: S." in checked.text
    made = await upload(admin, event_id, "seats", LABELS, **prices)
    assert (made.status_code, "3 seats were imported." in made.text) == (200, True)
    assert "had no seat in the file and are gone, with their prices: S." in made.text
    made = await upload(admin, event_id, "seats", LABELS, **prices)
    assert (made.status_code, made.headers["location"]) == (303, f"/admin/events/{event_id}/files?imported=3")
    after = (await admin.get(made.headers["location"])).text
    assert "3 seats were imported." in after
    assert len(re.findall(r"M[\d.]+ [\d.]+h0", after)) == 3, "every seat is drawn"
    assert f'href="/api/admin/events/{event_id}/seats" download' in after
    assert (await admin.get(f"/api/admin/events/{event_id}/seats")).headers["content-type"].startswith("text/csv")


async def test_a_map_whose_file_tells_the_points_is_drawn(admin: httpx2.AsyncClient, event_id: str) -> None:
    lines = b"grade,section,row,number,price,x,y\nR,A,1,1,100,10,10\nR,A,1,2,100,20,10\n"
    assert (await upload(admin, event_id, "seats", lines, check="1")).status_code == 200
    await upload(admin, event_id, "seats", lines)
    page = await admin.get(f"/admin/events/{event_id}/files")
    assert (page.status_code, "M10 10h0" in page.text) == (200, True)


async def test_what_of_a_file_was_not_used_is_told_after_the_import(admin: httpx2.AsyncClient, event_id: str) -> None:
    lines = b"zone_id,zone,row,seat,status,colour\n1,North,A,1,sold,red\n1,North,A,2,,red\n1,North,A,3,,\nTotal,,,3,,\n"
    made = await upload(admin, event_id, "seats", lines, prices="R=1", grade="R")
    assert made.status_code == 200
    for words in (
        "3 seats were imported.",
        "Columns that were not used: colour",
        "was taken, \u201czone_id\u201d was not",
        "1 line is no seat and was left out: 5: Total",
        "1 seat is not put on sale",
    ):
        assert words in made.text


async def test_every_bad_line_is_told_in_the_readers_language(admin: httpx2.AsyncClient, event_id: str) -> None:
    bad = LABELS + b"VIP-1F-A-1-x\n<script>alert(1)</script>-1F-A-1-2\n"
    for lang, words in (("en", "2 lines are wrong"), ("ko", "2줄에 문제가 있어")):
        await admin.get(f"/admin/events/{event_id}/files?lang={lang}")
        told = await upload(admin, event_id, "seats", bad, prices="VIP=1;R=1")
        assert told.status_code == 422
        assert words in told.text
        assert re.search(r'<th scope="row" class="number">4</th><td>[^<]*x</td>', told.text)
        assert "<script>alert" not in told.text
        assert "&lt;script&gt;alert(1)" in told.text
    await admin.get(f"/admin/events/{event_id}/files?lang=en")
    assert len((await admin.get(f"/api/seats/events/{event_id}")).json()["seats"]) == 12


async def test_a_map_that_cannot_change_has_no_form(admin: httpx2.AsyncClient, system: System, event_id: str) -> None:
    from tests.http.buyer import buyer

    async with buyer(system, event_id) as ann:
        await ann.enter()
        await ann.hold(seatIds=["s0"])
    page = (await admin.get(f"/admin/events/{event_id}/files")).text
    assert "cannot change any more" in page
    assert 'action="/admin/events/' + event_id + '/files/seats"' not in page
    refused = await upload(admin, event_id, "seats", LABELS, prices="VIP=1;R=1")
    assert refused.status_code == 409
    assert "Seats of this event have been reserved" in refused.text


async def test_a_poster_is_sent_shown_and_taken_away(admin: httpx2.AsyncClient, event_id: str) -> None:
    page = f"/admin/events/{event_id}/files"
    sent = await upload(admin, event_id, "poster", picture("JPEG"))
    assert (sent.status_code, sent.headers["location"]) == (303, page)

    async def is_shown() -> bool:
        return 'class="poster-now"' in (await admin.get(page)).text

    await wait_until(is_shown, description="the poster is on the page")
    removed = await send(admin, page, f"{page}/poster/remove", {})
    assert removed.status_code == 303
    assert not await is_shown()


async def test_a_refused_poster_says_why(admin: httpx2.AsyncClient, event_id: str) -> None:
    refused = await upload(admin, event_id, "poster", moving("WEBP"))
    assert refused.status_code == 422
    assert "Moving pictures are not taken." in refused.text
    assert "There is no poster yet." in refused.text


async def test_a_form_without_its_token_changes_nothing(admin: httpx2.AsyncClient, event_id: str) -> None:
    for what, data in (("seats", LABELS), ("poster", picture())):
        url = f"/admin/events/{event_id}/files/{what}"
        for token in ({}, {"csrf": "made-up"}):
            sent = await admin.post(url, data={**token, "prices": "VIP=1;R=1"}, files={"file": ("x", data)})
            assert sent.status_code == 403
        foreign = await upload_from_elsewhere(admin, url, data)
        assert foreign.status_code == 403
    assert len((await admin.get(f"/api/seats/events/{event_id}")).json()["seats"]) == 12
    assert "There is no poster yet." in (await admin.get(f"/admin/events/{event_id}/files")).text


async def upload_from_elsewhere(admin: httpx2.AsyncClient, url: str, data: bytes) -> httpx2.Response:
    return await admin.post(url, files={"file": ("x", data)}, headers={"origin": "https://evil.example"})


async def test_the_event_page_of_admins_leads_here(admin: httpx2.AsyncClient, event_id: str) -> None:
    assert f'href="/admin/events/{event_id}/files"' in (await admin.get(f"/admin/events/{event_id}")).text
    assert (await admin.get("/admin/events/nowhere/files")).status_code == 404


@pytest.mark.parametrize("what", ["seats", "poster"])
async def test_a_form_without_a_file_says_so(admin: httpx2.AsyncClient, event_id: str, what: str) -> None:
    answer = await upload(admin, event_id, what, b"")
    assert answer.status_code == 422
    assert "Choose a file." in answer.text
