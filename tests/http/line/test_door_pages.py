"""What a browser without scripts is asked to do where a place takes work: to wait, once and one after another."""

from __future__ import annotations

import re
import time

import httpx2
import pytest

from tests.http.forms import send
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = {"trusted_proxies": "127.0.0.1"}
HOME, OFFICE = {"x-forwarded-for": "203.0.113.7"}, {"x-forwarded-for": "203.0.113.8"}
WISH = {"quantity": "2", "grade": "R", "adjacent": "preferred"}


async def ask(client: httpx2.AsyncClient, event_id: str) -> str:
    """Send the form of the event's page; the address that the browser is sent to."""
    page = f"/events/{event_id}"
    return str((await send(client, page, f"{page}/join", WISH)).headers["location"])


async def test_who_waited_is_let_in_once(system: System, event_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await system.change(event_id, door="challenge")
    check = f"/events/{event_id}/check?quantity=2&grade=R&adjacent=preferred"
    async with system.web.client(headers=HOME) as client:
        assert await ask(client, event_id) == check
        page = (await client.get(check)).text
        assert re.search(r'<meta http-equiv="refresh" content="(29|30)">', page)
        assert 'name="quantity"' not in page
        assert await ask(client, event_id) == check, "pressing again gains nothing and costs nothing"
        monkeypatch.setattr(system.state["clock"], "seconds", lambda: time.time() + 31)
        assert 'name="quantity" value="2"' in (await client.get(check)).text
        proof = client.cookies[f"tiketi_waited_{event_id}"]
        assert await ask(client, event_id) == f"/events/{event_id}/wait"
        assert (await client.get(f"/api/queue/{event_id}/position")).status_code == 200
    async with system.web.client(headers=HOME, cookies={f"tiketi_waited_{event_id}": proof}) as again:
        assert (await again.post(f"/api/queue/{event_id}/join")).json()["code"] == "solution_spent"
    async with system.web.client(headers=OFFICE, cookies={f"tiketi_waited_{event_id}": proof}) as other:
        assert (await other.post(f"/api/queue/{event_id}/join")).json()["code"] == "challenge_required"


async def test_many_waits_at_once_are_one_place(system: System, event_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting costs a program nothing, so an address gets one place at a time by it."""
    await system.change(event_id, door="challenge")
    proofs = []
    for _ in range(5):
        async with system.web.client(headers=HOME) as client:
            await ask(client, event_id)
            proofs.append(client.cookies[f"tiketi_waited_{event_id}"])
    monkeypatch.setattr(system.state["clock"], "seconds", lambda: time.time() + 31)
    got = []
    for proof in proofs:
        async with system.web.client(headers=HOME, cookies={f"tiketi_waited_{event_id}": proof}) as client:
            got.append((await client.post(f"/api/queue/{event_id}/join")).status_code)
    assert got == [201, 428, 428, 428, 428]


async def test_the_page_to_wait_on_is_only_for_who_was_sent_there(system: System, event_id: str) -> None:
    async with system.web.client() as client:
        answer = await client.get(f"/events/{event_id}/check")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/events/{event_id}")
