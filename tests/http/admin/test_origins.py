"""An admin makes and changes origins and their rooms; secrets are shown once and stored so that they tell nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from app import redis_keys
from app.connect.asked import Asked
from app.connect.presets import preset
from app.connect.rules import Action
from app.control.origin_rooms import OF_THE_LINE
from app.domain.line import RoomState
from app.ledger import audit_log, origins, rooms
from app.ledger.errors import StoreError
from app.ledger.events import AdminAction
from app.ledger.tables.origins import origins as table
from app.origins.wanted import OriginEdit, OriginRoomEdit
from tests.http.buyer import assert_problem, buyer
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOP = {
    "name": "A shop",
    "hosts": ["shop.example", "http://localhost:3000"],
    "targetUrl": "https://shop.example/sale",
}
ROOM = {"name": "Sale", "ratePerSecond": 7, "burst": 8, "maxActive": 9, "door": "challenge", "passSeconds": 60}


async def asked(system: System, method: str, path: str, body: Any = None) -> httpx2.Response:
    async with system.web.client(headers=await system.bearer()) as client:
        return await client.request(method, f"/api/admin{path}", json=body)


async def made(system: System, name: str) -> dict[str, Any]:
    """A new origin of this name, with its secret and key."""
    answer = await asked(system, "POST", "/origins", {**SHOP, "id": name})
    assert answer.status_code == 201, answer.text
    content: dict[str, Any] = answer.json()
    return content


async def test_an_origin_is_made_and_its_secret_is_shown_once(system: System) -> None:
    shop = await made(system, "once")
    assert len(shop["secret"]) == 72
    assert len(shop["apiKey"]) == 64
    listed = await asked(system, "GET", "/origins")
    shown = await asked(system, "GET", "/origins/once")
    assert shown.json()["origin"] in listed.json()["origins"]
    assert shown.json()["origin"] == shop["origin"]
    assert shop["origin"]["hosts"] == ["http://localhost:3000", "shop.example"]
    assert shop["secret"] not in listed.text + shown.text
    assert shop["apiKey"] not in listed.text + shown.text


async def test_neither_the_database_nor_the_audit_log_has_a_secret_that_can_be_used(system: System) -> None:
    shop = await made(system, "sealed")
    rotated = (await asked(system, "POST", "/origins/sealed/rotate")).json()
    async with system.db.read() as tx:
        row = (await tx.execute(select(table).where(table.c.id == "sealed"))).mappings().one()
    entries = await audit_log.listed(system.db, audit_log.AuditFilter(subject="sealed"), 10)
    assert [entry.action for entry in entries] == ["origin.rotate", "origin.create"]
    kept = repr(dict(row)) + repr(entries)
    for secret in (shop["secret"], shop["apiKey"], rotated["secret"], rotated["apiKey"]):
        assert secret not in kept
        assert secret.encode() not in row["secret"] + row["api_key"]


async def test_what_was_before_a_rotation_is_good_for_a_day(system: System) -> None:
    shop = await made(system, "rotated")
    after = (await asked(system, "POST", "/origins/rotated/rotate")).json()
    assert shop["secret"] != after["secret"]
    now_s = datetime.now(UTC).timestamp()
    known = system.state["origins"].origins["rotated"]
    assert known.secrets_at(now_s) == [after["secret"], shop["secret"]]
    assert known.has_key(shop["apiKey"], now_s)
    assert known.has_key(after["apiKey"], now_s)
    day_s = timedelta(hours=24).total_seconds() + 60
    assert known.secrets_at(now_s + day_s) == [after["secret"]]
    assert not known.has_key(shop["apiKey"], now_s + day_s)
    await asked(system, "POST", "/origins/rotated/rotate")
    assert not system.state["origins"].origins["rotated"].has_key(shop["apiKey"], now_s)


async def test_an_origin_s_key_is_not_another_s(system: System) -> None:
    ours, theirs = await made(system, "ours"), await made(system, "theirs")
    known = system.state["origins"].origins
    now_s = datetime.now(UTC).timestamp()
    assert known["ours"].has_key(ours["apiKey"], now_s)
    assert not known["ours"].has_key(theirs["apiKey"], now_s)
    assert not known["ours"].has_key("", now_s)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "Upper"},
        {"id": "a_b"},
        {"id": "a~b"},
        {"id": "-a"},
        {"id": "a" * 41},
        {"id": ""},
        {"hosts": []},
        {"hosts": ["https://shop.example"]},
        {"hosts": ["*.example"]},
        {"hosts": ["shop.example/"]},
        {"name": " "},
        {"customerId": "a-b"},
        {"customerId": ""},
        {"owner": "x"},
    ],
)
async def test_an_origin_that_is_none_is_refused(system: System, wrong: dict[str, Any]) -> None:
    assert_problem(await asked(system, "POST", "/origins", {**SHOP, "id": "x", **wrong}), 422, "payload_invalid")


@pytest.mark.parametrize("target", ["https://evil.example/", "//shop.example", "javascript:alert(1)", "/sale"])
async def test_visitors_go_to_the_origin_s_own_hosts_only(system: System, target: str) -> None:
    refused = await asked(system, "POST", "/origins", {**SHOP, "id": "x", "targetUrl": target})
    assert_problem(refused, 422, "target_foreign")


async def test_an_origin_s_name_in_connectors_is_its_own(system: System) -> None:
    body = {**SHOP, "id": "customer-a", "customerId": "aCustomer"}
    assert (await asked(system, "POST", "/origins", body)).json()["origin"]["customerId"] == "aCustomer"
    assert system.state["origins"].origins["customer-a"].customer_id == "aCustomer"
    taken = await asked(system, "POST", "/origins", {**SHOP, "id": "customer-b", "customerId": "ACUSTOMER"})
    assert_problem(taken, 409, "customer_taken")
    await made(system, "customer-b")
    assert_problem(
        await asked(system, "PUT", "/origins/customer-b", {"customerId": "aCustomer"}), 409, "customer_taken"
    )
    again = await asked(system, "PUT", "/origins/customer-a", {"customerId": "acustomer"})
    assert again.json()["origin"]["customerId"] == "acustomer"
    assert (await asked(system, "PUT", "/origins/customer-a", {"customerId": None})).status_code == 200
    assert (await asked(system, "PUT", "/origins/customer-b", {"customerId": "aCustomer"})).status_code == 200


async def test_an_id_with_capital_letters_is_refused_with_the_reason(system: System) -> None:
    await made(system, "small")
    answer = await asked(system, "POST", "/rooms", {**ROOM, "id": "Sale", "origin": "small"})
    assert "connectors go round in circles" in assert_problem(answer, 422, "payload_invalid")["detail"]


async def test_an_origin_is_changed_from_the_version_that_was_read(system: System) -> None:
    await made(system, "changed")
    after = await asked(system, "PUT", "/origins/changed", {"name": "Other", "version": 1})
    assert after.json()["origin"]["name"] == "Other"
    assert after.json()["origin"]["version"] == 2
    assert_problem(await asked(system, "PUT", "/origins/changed", {"name": "A", "version": 1}), 409, "origin_changed")
    foreign = await asked(system, "PUT", "/origins/changed", {"hosts": ["other.example"]})
    assert_problem(foreign, 422, "target_foreign")
    assert_problem(await asked(system, "PUT", "/origins/nobody", {"name": "A"}), 404, "origin_unknown")


async def test_an_origin_is_deleted_once_it_has_no_rooms(system: System) -> None:
    await made(system, "empty")
    assert (await asked(system, "DELETE", "/origins/empty")).status_code == 200
    assert_problem(await asked(system, "GET", "/origins/empty"), 404, "origin_unknown")
    assert "empty" not in system.state["origins"].origins
    await made(system, "full")
    await asked(system, "POST", "/rooms", {**ROOM, "id": "full-room", "origin": "full"})
    assert_problem(await asked(system, "DELETE", "/origins/full"), 409, "origin_has_rooms")
    assert_problem(await asked(system, "DELETE", "/origins/nobody"), 404, "origin_unknown")


async def test_a_room_of_an_origin_opens_at_once_with_what_was_set(system: System) -> None:
    await made(system, "with-room")
    answer = await asked(system, "POST", "/rooms", {**ROOM, "id": "its-room", "origin": "with-room"})
    assert answer.status_code == 201, answer.text
    room = answer.json()["room"]
    assert ROOM.items() <= room.items()
    view = system.state["rooms"].views["its-room"]
    assert (view.state, view.rate_per_s, view.burst, view.max_active) == (RoomState.open, 7, 8, 9)
    assert view.closes_ms == 0
    assert room in (await asked(system, "GET", "/rooms")).json()["rooms"]
    assert (await asked(system, "GET", "/rooms/its-room")).json()["room"] == room
    known = system.state["origins"].rooms["its-room"]
    assert (known.origin.id, known.target_url, known.pass_s) == ("with-room", SHOP["targetUrl"], 60)


async def test_a_pass_of_an_origin_s_room_lasts_as_long_as_was_set(system: System) -> None:
    await made(system, "passing")
    room = {**ROOM, "id": "passing-sale", "origin": "passing", "door": "open", "passSeconds": 90}
    assert (await asked(system, "POST", "/rooms", room)).status_code == 201
    async with buyer(system, "passing-sale") as ann:
        began = datetime.now(UTC)
        ends = datetime.fromisoformat((await ann.enter())["expiresAt"])
    assert timedelta(seconds=89) < ends - began < timedelta(seconds=system.state["settings"].pass_s)


async def test_the_rooms_of_events_and_of_origins_share_their_ids(system: System) -> None:
    await made(system, "sharing")
    taken = await asked(system, "POST", "/rooms", {**ROOM, "id": "event-0", "origin": "sharing"})
    assert_problem(taken, 409, "id_taken")
    await asked(system, "POST", "/rooms", {**ROOM, "id": "shared", "origin": "sharing"})
    again = await asked(system, "POST", "/rooms", {**ROOM, "id": "shared", "origin": "sharing"})
    assert_problem(again, 409, "id_taken")


async def test_a_room_is_changed_and_its_line_with_it(system: System) -> None:
    await made(system, "moving")
    await asked(system, "POST", "/rooms", {**ROOM, "id": "moved", "origin": "moving"})
    later = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    wanted: dict[str, Any] = {"name": "Other", "closesAt": later.isoformat(), "ratePerSecond": 3, "door": "open"}
    wanted |= {"mode": "standby", "passAlgorithm": "HS256"}
    after = (await asked(system, "PUT", "/rooms/moved", wanted)).json()["room"]
    assert (after["mode"], after["passAlgorithm"]) == ("standby", "HS256")
    known = system.state["origins"].rooms["moved"]
    assert (known.mode, known.pass_algorithm) == ("standby", "HS256")
    assert (after["name"], after["ratePerSecond"], after["door"], after["burst"]) == ("Other", 3, "open", 8)
    assert datetime.fromisoformat(after["closesAt"]) == later
    view = system.state["rooms"].views["moved"]
    assert (view.rate_per_s, view.closes_ms) == (3, later.timestamp() * 1000)
    empty = await asked(system, "PUT", "/rooms/moved", {"closesAt": "2020-01-01T00:00:00Z"})
    assert_problem(empty, 422, "room_window_empty")
    stale = await asked(system, "PUT", "/rooms/moved", {"name": "A", "version": 1})
    assert_problem(stale, 409, "origin_changed")
    foreign = await asked(system, "PUT", "/rooms/moved", {"targetUrl": "https://evil.example/"})
    assert_problem(foreign, 422, "target_foreign")
    entries = await audit_log.listed(system.db, audit_log.AuditFilter(subject="moved"), 10)
    assert [entry.action for entry in entries] == ["room.change", "origin_room.edit", "origin_room.create"]
    line, room, _ = (entry.change for entry in entries)
    assert (line["ratePerSecond"], line["was"]["ratePerSecond"]) == (3, ROOM["ratePerSecond"])
    assert "ratePerSecond" not in room
    assert room["was"] == {"name": ROOM["name"], "closesAt": None, "mode": "always", "passAlgorithm": "EdDSA"}


async def test_the_trail_keeps_what_was_before_a_change_and_no_secret(system: System) -> None:
    await made(system, "followed")
    wanted: dict[str, Any] = {"name": "Other", "customerId": "followed", "look": {"light": "#0b6e5f"}}
    await asked(system, "PUT", "/origins/followed", wanted | {"hosts": SHOP["hosts"]})
    await asked(system, "POST", "/origins/followed/rotate")
    rotated, edited, _ = await audit_log.listed(system.db, audit_log.AuditFilter(subject="followed"), 10)
    assert edited.change["was"] == {"name": SHOP["name"], "customerId": None, "look": {}}
    assert rotated.change == {}


async def test_whatever_may_be_changed_of_an_origin_or_a_room_has_a_name_in_the_trail() -> None:
    edits = {name for kind in (OriginEdit, OriginRoomEdit) for name in kind.__struct_encode_fields__}
    assert edits - {"version"} - OF_THE_LINE == set(origins.NAMED.values())


async def test_the_line_of_another_site_asks_for_no_account_of_ours(system: System) -> None:
    await made(system, "without-accounts")
    room = {**ROOM, "id": "without-accounts-sale", "origin": "without-accounts", "door": "open"}
    assert (await asked(system, "POST", "/rooms", room)).status_code == 201
    for door, status in (("accounts", 409), ("verified", 409), ("challenge", 200), ("invited", 200)):
        answer = await asked(system, "PATCH", "/events/without-accounts-sale/admission", {"door": door})
        assert answer.status_code == status, answer.text


async def test_the_rules_of_a_room_are_known_and_read_once(system: System) -> None:
    await made(system, "ruling")
    rules = preset("woocommerce")
    answer = await asked(system, "POST", "/rooms", {**ROOM, "id": "ruled", "origin": "ruling", "rules": rules})
    assert answer.json()["room"]["rules"] == rules
    known = system.state["origins"].rooms["ruled"].rules
    assert known.decide(Asked.at("GET", "shop.example", "/?add-to-cart=1")) is Action.queue
    assert known.decide(Asked.at("GET", "shop.example", "/wp-login.php")) is Action.let_pass
    await asked(system, "PUT", "/rooms/ruled", {"name": "Other"})
    assert system.state["origins"].rooms["ruled"].rules is known
    wrong = await asked(system, "PUT", "/rooms/ruled", {"rules": [{"action": "pass", "pth": "/"}]})
    assert "rules[0].pth" in assert_problem(wrong, 422, "rules_invalid")["detail"]
    await asked(system, "PUT", "/rooms/ruled", {"rules": []})
    assert system.state["origins"].rooms["ruled"].rules.decide(Asked.at("GET", "shop.example", "/")) is Action.queue


async def test_rules_that_cannot_be_read_let_nobody_pass(system: System) -> None:
    await made(system, "old-rules")
    await asked(system, "POST", "/rooms", {**ROOM, "id": "old-ruled", "origin": "old-rules"})
    by = AdminAction("test", "origin_room.edit", {})
    await origins.edit_room(system.db, "old-ruled", {"rules": [{"action": "wave"}]}, by, datetime.now(UTC))
    await system.state["origins"].load()
    rules = system.state["origins"].rooms["old-ruled"].rules
    assert rules.decide(Asked.at("GET", "shop.example", "/")) is Action.queue


async def test_a_room_opens_later_closes_by_itself_and_opens_again_with_a_later_end(system: System) -> None:
    await made(system, "timed")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {**ROOM, "id": "timed-room", "origin": "timed", "opensAt": later}
    await asked(system, "POST", "/rooms", body)
    view = system.state["rooms"].views["timed-room"]
    assert view.state == "scheduled"
    await system.change("timed-room", state=RoomState.open)
    room = (await asked(system, "GET", "/rooms/timed-room")).json()["room"]
    assert datetime.fromisoformat(room["opensAt"]) <= datetime.now(UTC)
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    await asked(system, "PUT", "/rooms/timed-room", {"closesAt": soon})

    async def is_closed() -> bool:
        return view.state is RoomState.closed

    await wait_until(is_closed, description="the room has closed by itself")
    await asked(system, "PUT", "/rooms/timed-room", {"closesAt": None})

    async def is_open() -> bool:
        return view.state is RoomState.open

    await wait_until(is_open, description="the room goes on")


async def test_a_deleted_room_tells_its_people_and_keeps_its_id(system: System) -> None:
    await made(system, "deleting")
    room = {**ROOM, "id": "deleted", "origin": "deleting", "door": "open"}
    await asked(system, "POST", "/rooms", room)
    await system.change("deleted", state=RoomState.paused)
    async with buyer(system, "deleted") as ann:
        await ann.join()
        assert (await asked(system, "DELETE", "/rooms/deleted")).status_code == 200
        assert (await ann.position())["room"] == "closed"
    assert "deleted" not in system.state["origins"].rooms
    for method in ("GET", "DELETE"):
        assert_problem(await asked(system, method, "/rooms/deleted"), 404, "room_unknown")
    assert_problem(await asked(system, "POST", "/rooms", room), 409, "id_taken")
    assert not await system.redis.sismember(redis_keys.ROOMS, "deleted")  # type: ignore[misc]  # typed for both clients
    async for key in system.redis.scan_iter(match=redis_keys.pattern_of_event("deleted")):
        assert await system.redis.ttl(key) > 0, key
    row = await rooms.get(system.db, "deleted")
    assert row is not None
    assert row.retired_at is not None
    entries = await audit_log.listed(system.db, audit_log.AuditFilter(subject="deleted"), 10)
    assert [entry.action for entry in entries][:2] == ["origin_room.delete", "room.change"]
    assert (await asked(system, "DELETE", "/origins/deleting")).status_code == 200


async def test_a_deletion_that_was_cut_short_is_ended_by_another(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made(system, "cut-short")
    await asked(system, "POST", "/rooms", {**ROOM, "id": "half-deleted", "origin": "cut-short"})

    async def away(*_: Any) -> None:
        raise StoreError("away")

    with monkeypatch.context() as patched:
        patched.setattr(origins, "remove_room", away)
        assert (await asked(system, "DELETE", "/rooms/half-deleted")).status_code == 503
    assert system.state["rooms"].views["half-deleted"].state is RoomState.closed
    assert (await asked(system, "DELETE", "/rooms/half-deleted")).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"id": "Upper"}, 422, "payload_invalid"),
        ({"door": "accounts"}, 422, "payload_invalid"),
        ({"mode": "never"}, 422, "payload_invalid"),
        ({"passAlgorithm": "none"}, 422, "payload_invalid"),
        ({"passSeconds": 0}, 422, "payload_invalid"),
        ({"origin": "nobody"}, 404, "origin_unknown"),
        ({"targetUrl": "https://evil.example/"}, 422, "target_foreign"),
        ({"opensAt": "2026-01-02T00:00:00Z", "closesAt": "2026-01-01T00:00:00Z"}, 422, "room_window_empty"),
        ({"rules": [{"action": "let"}]}, 422, "rules_invalid"),
        ({"rules": [{"action": "pass", "path": "x" * 300_000}]}, 422, "rules_invalid"),
        ({"rules": [{"action": "pass"}] * 201}, 422, "payload_invalid"),
        ({"rules": [{"action": "pass", "path": "/" + "a" * 1_000_000}]}, 413, "body_too_large"),
        ({"opensAt": "2026-13-02T00:00:00Z"}, 422, "time_invalid"),
    ],
)
async def test_a_room_that_cannot_be_is_refused(system: System, wrong: dict[str, Any], status: int, code: str) -> None:
    if "refusing" not in system.state["origins"].origins:
        await made(system, "refusing")
    answer = await asked(system, "POST", "/rooms", {**ROOM, "id": "x", "origin": "refusing", **wrong})
    assert_problem(answer, status, code)


async def test_another_process_learns_of_an_origin_by_itself(system: System) -> None:
    web = await system.another_web()
    await made(system, "told")
    await asked(system, "POST", "/rooms", {**ROOM, "id": "told-room", "origin": "told"})

    async def is_known() -> bool:
        return "told-room" in web.state["origins"].rooms

    await wait_until(is_known, description="the other process knows the room")


async def test_there_are_no_more_than_every_process_can_keep(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    await made(system, "last")
    monkeypatch.setattr(origins, "ORIGINS_MAX", 1)
    monkeypatch.setattr(origins, "ROOMS_MAX", 0)
    assert_problem(await asked(system, "POST", "/origins", {**SHOP, "id": "more"}), 409, "too_many_origins")
    body = {**ROOM, "id": "more", "origin": "last"}
    assert_problem(await asked(system, "POST", "/rooms", body), 409, "too_many_origins")
