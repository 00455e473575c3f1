"""The admin's page of seats, as a browser without scripts has it: say which, say what, be told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.http.buyer import buyer
from tests.http.forms import send
from tests.http.system import ADMIN, System

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def admin(system: System) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser in which an admin logged in."""
    async with system.web.client(headers={"accept-language": "en"}) as client:
        await send(client, "/admin/login", "/admin/login", {"email": ADMIN[0], "password": ADMIN[1]})
        yield client


async def press(admin: httpx2.AsyncClient, event_id: str, do: str, **fields: Any) -> httpx2.Response:
    path = f"/admin/events/{event_id}/seats"
    return await send(admin, path, path, {"do": do, "section": "A"} | fields)


async def told(admin: httpx2.AsyncClient, answer: httpx2.Response) -> str:
    assert answer.status_code == 303, answer.text
    return (await admin.get(answer.headers["location"])).text


async def statuses(admin: httpx2.AsyncClient, event_id: str) -> str:
    """The seats' statuses, each by its first letter."""
    seats = (await admin.get(f"/api/seats/events/{event_id}")).json()["seats"]
    return "".join(seat["status"][0] for seat in seats)


async def test_a_part_of_a_row_is_blocked_and_what_is_held_stays(
    admin: httpx2.AsyncClient, system: System, event_id: str
) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        await ann.hold(seatIds=["s1"])
        page = await told(admin, await press(admin, event_id, "block", row="0", numbers="1-3, 5"))
        assert "3 seats were changed. 1 seat is held or sold and stays as it is." in page
        assert await statuses(admin, event_id) == "bhbabaaaaaaa"
        assert "12 seats were changed" not in await told(admin, await press(admin, event_id, "release"))
        assert await statuses(admin, event_id) == "ahaaaaaaaaaa"


async def test_a_row_gets_another_grade_and_marks(admin: httpx2.AsyncClient, event_id: str) -> None:
    assert "6 seats were changed." in await told(admin, await press(admin, event_id, "regrade", row="0", grade="S"))
    marked = await press(admin, event_id, "mark", row="0", numbers="1", mark=["companion", "gold"])
    assert "1 seat was changed." in await told(admin, marked)
    seats = (await admin.get(f"/api/seats/events/{event_id}")).json()["seats"]
    assert {seat["grade"] for seat in seats} == {"S"}
    assert seats[0]["marks"] == ["companion"]


async def test_seats_are_added(admin: httpx2.AsyncClient, event_id: str) -> None:
    made = await press(admin, event_id, "add", row="0", numbers="7-9, 10A", grade="R", mark=["wheelchair"])
    assert "4 seats were added." in await told(admin, made)
    seats = (await admin.get(f"/api/seats/events/{event_id}")).json()["seats"][12:]
    assert [(seat["number"], seat.get("name"), seat["marks"]) for seat in seats] == [
        (7, None, ["wheelchair"]),
        (8, None, ["wheelchair"]),
        (9, None, ["wheelchair"]),
        (10, "10A", ["wheelchair"]),
    ]


async def test_a_new_section_is_on_the_page_of_the_map(admin: httpx2.AsyncClient, event_id: str) -> None:
    made = await press(admin, event_id, "add", section="Box 1", row="1", numbers="1-2", grade="R")
    assert "2 seats were added." in await told(admin, made)
    page = await admin.get(f"/admin/events/{event_id}/files")
    assert (page.status_code, "Box 1" in page.text) == (200, True)


@pytest.mark.parametrize(
    ("do", "fields", "status", "words"),
    [
        ("block", {"numbers": "x-y"}, 422, "These numbers cannot be read."),
        ("block", {"section": "ZZ"}, 422, "There is no such seat in this hall."),
        ("add", {"row": "0", "numbers": "1", "grade": "R"}, 409, "The hall has such a seat already."),
        ("add", {"row": "0", "numbers": "1-2000", "grade": "R"}, 409, "These are too many seats at a time"),
        ("add", {"row": "0", "numbers": "", "grade": "R"}, 422, "These numbers cannot be read."),
        ("add", {"row": "", "numbers": "7", "grade": "R"}, 422, "row"),
        ("paint", {}, 422, ""),
    ],
)
async def test_what_cannot_be_meant_is_said_and_what_was_typed_is_still_there(
    admin: httpx2.AsyncClient, event_id: str, do: str, fields: dict[str, str], status: int, words: str
) -> None:
    refused = await press(admin, event_id, do, **fields)
    assert refused.status_code == status
    assert 'role="alert"' in refused.text
    assert words in refused.text
    if fields.get("numbers"):
        assert f'value="{fields["numbers"]}"' in refused.text
    assert await statuses(admin, event_id) == "a" * 12


async def test_a_cancelled_event_has_no_forms_and_an_unknown_one_no_page(
    admin: httpx2.AsyncClient, event_id: str
) -> None:
    path = f"/admin/events/{event_id}/seats"
    page = (await admin.get(path)).text
    assert 'name="do"' in page
    await send(admin, f"/admin/events/{event_id}/cancel", f"/admin/events/{event_id}/cancel", {"sure": "yes"})
    assert 'name="do"' not in (await admin.get(path)).text
    assert (await admin.get("/admin/events/nowhere/seats")).status_code == 404
