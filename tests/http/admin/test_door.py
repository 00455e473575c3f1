"""An admin sees which addresses flood a line while it happens, and asks everybody to work for a place."""

from __future__ import annotations

import pytest

from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = {"trusted_proxies": "127.0.0.1", "places_per_address": 4}
FLOOD = "203.0.113.7"


async def test_an_address_that_floods_the_line_is_shown(system: System, event_id: str) -> None:
    async with system.web.client() as somebody:
        for address in (*[FLOOD] * 9, "203.0.113.8"):
            await somebody.post(f"/api/queue/{event_id}/join", headers={"x-forwarded-for": address})
            somebody.cookies.clear()
    async with system.web.client(headers=await system.bearer()) as admin:
        door = (await admin.get(f"/api/admin/events/{event_id}/door")).json()
        assert door == {"pressed": False, "addresses": [{"network": FLOOD, "took": 4, "asked": 5}]}
        raised = await admin.patch(f"/api/admin/events/{event_id}/admission", json={"door": "challenge"})
        assert raised.json()["door"] == "challenge"
    async with system.web.client() as somebody:
        asked = await somebody.post(f"/api/queue/{event_id}/join", headers={"x-forwarded-for": "203.0.113.9"})
        assert asked.json()["code"] == "challenge_required"
