"""The lobby and the draw of an opening, as buyers see them, through two web processes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from app.control.sale_schedule import sync_room_with_sale
from app.domain import draw
from app.domain.beacon import QUICKNET, randomness_of
from app.domain.line import RoomState
from app.http.events.cache import changed
from app.ledger import draws, events, room_windows
from app.room.answers import Joined, JoinedBatch, JoinStatus
from tests.http.buyer import Buyer, assert_problem, buyer
from tests.http.system import ROOM, System, event_spec
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = {"opening_draw_s": 0.5}
ONE_REQUEST_EACH = httpx2.Limits(max_connections=100, max_keepalive_connections=0)
_made = iter(range(100))


async def lobby_of(system: System, **room: Any) -> str:
    """A new event in whose lobby people may be for an hour."""
    now = datetime.now(UTC)
    event_id = f"lobby-{next(_made)}"
    config = {**ROOM, "state": "scheduled", "lobby_ms": 2 * 3_600_000, **room}
    spec = replace(event_spec(event_id, now, room=config), opens_at=now + timedelta(hours=1))
    await events.create(system.db, spec, now)
    made = await events.get(system.db, event_id)
    assert made is not None
    await sync_room_with_sale(system.state["scripts"], system.db, room_windows.of_event(made, event_id), now)
    await system.state["seats"].open(event_id)
    await changed(system.state, event_id)

    async def is_ready() -> bool:
        await system.state["rooms"].reload(event_id)
        view = system.state["rooms"].views[event_id]
        committed = (await shown(system, event_id))["commitment"] is not None
        return view.state == "lobby" and committed

    await wait_until(is_ready, description="the lobby has begun and its seed is committed to")
    return event_id


async def shown(system: System, event_id: str) -> dict[str, Any]:
    async with system.web.client() as client:
        answer = await client.get(f"/api/queue/{event_id}/draw")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def enter(one: Buyer) -> dict[str, Any]:
    async def entered() -> dict[str, Any] | None:
        answer = await one.join()
        return answer.json() if answer.status_code in (200, 201) else None

    return await wait_until(entered, description="the entry is given")


async def test_a_lobby_is_one_draw_for_all_web_processes(system: System) -> None:
    event_id = await lobby_of(system)
    before = await shown(system, event_id)
    assert (before["entries"], before["root"], before["seed"]) == (None, None, None)
    other = await system.another_web()
    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(buyer(system, event_id, on)) for on in [system.web, other] * 10]
        entered = [await enter(one) for one in people]
        assert sorted(each["entry"] for each in entered) == list(range(1, 21))
        assert entered[0].keys() == {
            *("state", "room", "entry", "entries", "opensAt", "pollAfterMs", "ticket", "streamUrl")
        }
        again = [(await one.join()).json()["entry"] for one in people]
        assert again == [each["entry"] for each in entered]
        async with people[0].stream() as stream:
            told = await stream.next("position")
            assert (told.data["state"], told.data["room"]) == ("lobby", "lobby")
            await system.change(event_id, state=RoomState.open, rate_per_second=0.1, burst=1)
            drawn = await stream.next("drawn")
        positions = [await one.until("waiting", "admitted") for one in people]
        assert drawn.data["number"] == positions[0]["number"]
        after = await shown(system, event_id)
        assert after["commitment"] == before["commitment"] == draw.commitment_of(bytes.fromhex(after["seed"])).hex()
        order = draw.order_of(draw.key_of(bytes.fromhex(after["seed"]), bytes.fromhex(after["root"])), after["entries"])
        entry_of = {position["number"]: each["entry"] for position, each in zip(positions, entered, strict=True)}
        assert [entry_of[rank] for rank in range(1, 21)] == order.tolist()
        assert {position.get("drawnOf", 20) for position in positions} == {20}
        async with buyer(system, event_id) as late:
            assert (await enter(late))["number"] == 21


@pytest.mark.parametrize(("signature", "stage"), [(b"s" * 48, "taken"), (b"", "missed")])
async def test_whoever_checks_a_draw_is_told_of_its_beacon(system: System, signature: bytes, stage: str) -> None:
    event_id = await lobby_of(system)
    assert (await shown(system, event_id))["beacon"] is None
    row = await draws.get(system.db, event_id, 1)
    assert row is not None
    await draws.name_round(system.db, row, 1000)
    named = (await shown(system, event_id))["beacon"]
    assert named == {
        "chain": QUICKNET.hash,
        "round": 1000,
        "at": "2023-08-23T15:59:24Z",
        "stage": "named",
        "signature": None,
        "randomness": None,
    }
    fixed = await draws.fix(system.db, row, 3, 3, b"r" * 32, 1000)
    await draws.take(system.db, fixed, signature)
    randomness = randomness_of(signature).hex() or None
    assert (await shown(system, event_id))["beacon"] == {
        **named,
        "stage": stage,
        "signature": signature.hex() or None,
        "randomness": randomness,
    }


async def test_who_comes_before_the_seed_is_made_is_asked_to_try_again(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = await lobby_of(system)

    async def unready(*_: Any, **__: Any) -> JoinedBatch:
        return JoinedBatch(RoomState.scheduled, 0, [Joined(JoinStatus.unready, 0)], left=1)

    monkeypatch.setattr(system.state["scripts"], "join", unready)
    async with buyer(system, event_id) as ann:
        assert_problem(await ann.join(), 503, "line_unavailable")


async def test_who_leaves_the_lobby_and_comes_back_has_the_same_entry(system: System) -> None:
    event_id = await lobby_of(system)
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben:
        await enter(ann)
        entry = (await enter(ben))["entry"]
        assert (await ben.post("leave")).status_code == 200

        async def alone() -> bool:
            return bool((await ann.position())["entries"] == 1)

        await wait_until(alone, description="the lobby is told that somebody left")
        assert (await enter(ben))["entry"] == entry


async def test_the_waiting_page_shows_the_lobby_without_a_script(system: System) -> None:
    event_id = await lobby_of(system)
    async with buyer(system, event_id) as ann:
        await enter(ann)
        ann.client.headers["accept-language"] = "en"
        page = (await ann.client.get(f"/events/{event_id}/wait")).text
        assert "You are in the lobby" in page
        assert "Being early, reloading or opening more windows gains nothing." in page
        event = (await ann.client.get(f"/events/{event_id}")).text
        assert "You are already in line." in event


async def test_a_wish_said_in_the_lobby_is_kept_for_the_turn(system: System) -> None:
    event_id = await lobby_of(system)
    async with buyer(system, event_id) as ann:
        await enter(ann)
        assert (await ann.join({"quantity": 2, "grades": ["R"], "adjacent": True})).status_code == 200
        await system.change(event_id, state=RoomState.open)
        await ann.until("admitted")
        assert len((await ann.given())["seats"]) == 2


async def test_two_hundred_joins_at_once_by_one_browser_are_one_entry(system: System) -> None:
    event_id = await lobby_of(system)
    # Each over a connection of its own: one that answered may be closed as idle just as the next is sent over it.
    async with buyer(system, event_id, limits=ONE_REQUEST_EACH) as ann:
        entry = (await enter(ann))["entry"]
        answers = await asyncio.gather(*(ann.join() for _ in range(200)))
        assert {answer.json()["entry"] for answer in answers} == {entry}
        assert await system.last_number(event_id) == entry
