"""What the buyer's pages say at the edges of a sale: full, sold out, declined, over, bought."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from tests.http.buyer import Buyer, buyer
from tests.http.system import System
from tests.waiting import wait_until

EVENTS = 10
ENGLISH = {"accept-language": "en"}
pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def visitor(system: System, event_id: str, **options: Any) -> AsyncIterator[Buyer]:
    """A buyer who reads English."""
    async with buyer(system, event_id, headers=ENGLISH, **options) as one:
        yield one


async def page(one: Buyer, path: str = "") -> str:
    """A page of the buyer's event, or another path."""
    answer = await one.client.get(path if path.startswith("/") else f"/events/{one.event_id}{path and '/' + path}")
    assert answer.status_code == 200, answer.text
    return answer.text


async def send(one: Buyer, path: str, **fields: str) -> httpx2.Response:
    """A form, with the token that every form of a page has."""
    found = re.search(r'name="csrf" value="([^"]+)"', (await one.client.get("/login")).text)
    assert found is not None
    return await one.client.post(path, data={**fields, "csrf": found[1]})


async def test_a_full_room_says_so_and_promises_no_wait(system: System, event_id: str) -> None:
    await system.change(event_id, max_active=1)
    async with visitor(system, event_id) as inside, visitor(system, event_id) as waits:
        await inside.enter()
        await waits.join()

        async def is_full() -> dict[str, Any] | None:
            position = await waits.position()
            return position if position.get("full") else None

        position = await wait_until(is_full, description="the line is known to wait for a place inside")
        assert (position["state"], position["etaSeconds"]) == ("waiting", None)
        shown = await page(waits, "wait")
        assert "The line moves as soon as somebody finishes" in shown
        assert "room-full" in shown
        assert "unknown while it stands still" in shown
