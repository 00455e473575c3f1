"""Bad input: every refusal has its status and code, burns no number, loses nothing, and is never a 500."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.passing import AdmissionPass
from app.domain.ticket import Ticket, TicketSigner, holder_bytes
from app.http.kit.bodies import BODY_BYTES_MAX
from tests.http.buyer import Buyer, assert_problem, buyer
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
FEW = settings(max_examples=25, suppress_health_check=list(HealthCheck))
HOLDER = "AAAAAAAAAAAAAAAAAAAAAA"

POSTS = [
    "/api/queue/EVENT/join",
    "/api/seats/reserve",
    "/api/payments/process",
    "/api/auth/login",
    "/api/auth/register",
]
NEEDING_A_TICKET = [("GET", "position"), ("GET", "stream"), ("POST", "claim"), ("POST", "leave")]

NOT_JSON = [
    b"{",
    b"nonsense",
    b"[" * 10_000,
    b'{"a":' * 3_000,
    b'{"wish":NaN}',
    b'{"wish":{"quantity":Infinity}}',
    b'\xff\xfe{"\x00',
    b'{"eventId":"\xed\xa0\x80"}',
    rb'{"eventId":"\ud800"}',
    b"{}{}",
]
WRONG = [
    b"[]",
    b"null",
    b"0",
    b'"text"',
    b'{"surprise":1}',
    b'{"wish":[],"eventId":1,"reservationId":1,"email":1}',
    b'{"wish":{"quantity":1e400},"eventId":{},"reservationId":{},"email":{}}',
    b'{"wish":{"quantity":123456789012345678901234567890},"eventId":[],"reservationId":[],"email":[]}',
]


def ticket(system: System, event_id: str, number: int = 1, epoch: int = 1) -> str:
    """A ticket signed with the system's own key."""
    holder = holder_bytes(HOLDER)
    assert holder is not None
    return system.state["tickets"].sign(Ticket(event_id, epoch, number, holder, 0))


async def refused_to_all(ann: Buyer, token: str, status: int, code: str) -> None:
    for method, name in NEEDING_A_TICKET:
        answer = await ann.client.request(
            method, f"/api/queue/{ann.event_id}/{name}", headers={"x-queue-ticket": token}
        )
        assert_problem(answer, status, code)


async def test_without_a_ticket_nothing_is_told(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        for method, name in NEEDING_A_TICKET:
            answer = await ann.client.request(method, f"/api/queue/{event_id}/{name}")
            assert_problem(answer, 401, "ticket_missing")
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_ticket_of_another_event_is_refused(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await refused_to_all(ann, ticket(system, "later"), 403, "ticket_foreign_event")


async def test_a_forged_ticket_is_refused(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        genuine = (await ann.join()).json()["ticket"]
        forger = TicketSigner({1: b"x" * 32}, 1)
        holder = holder_bytes(HOLDER)
        assert holder is not None
        forged = forger.sign(Ticket(event_id, 1, 1, holder, 0))
        longer, cut, mixed = genuine + "AAAA", genuine[:-4], genuine[:30] + forged[30:]
        for token in (forged, longer, cut, mixed, genuine[:-1], genuine.swapcase(), "A" * 70):
            await refused_to_all(ann, token, 401, "ticket_invalid")


@FEW
@given(
    token=st.one_of(
        st.binary(min_size=1, max_size=200).filter(lambda raw: raw.strip() == raw and not set(raw) & set(b"\0\r\n")),
        st.text("ABCDEFGHabcdefgh0123-_=", min_size=1, max_size=140).map(str.encode),
    )
)
async def test_no_bytes_make_a_ticket(system: System, token: bytes) -> None:
    token = bytes(byte for byte in token if byte > 31 and byte != 127).strip() or b"x"
    async with buyer(system, "later") as ann:
        answer = await ann.client.get("/api/queue/later/position", headers={b"x-queue-ticket": token})
        assert_problem(answer, 401, "ticket_invalid")
        answer = await ann.client.get("/api/queue/later/position", headers={b"cookie": b"tiketi_ticket_later=" + token})
        assert answer.status_code == 401
        refused = await ann.reserve(headers={b"x-admission-pass": token}, seatIds=["s0"])  # type: ignore[dict-item]
        assert_problem(refused, 401, "pass_invalid")


@FEW
@given(position=st.integers(0, 200), flip=st.integers(1, 63))
async def test_no_changed_character_of_a_ticket_goes_unnoticed(system: System, position: int, flip: int) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    token = ticket(system, "later")
    position %= len(token)
    changed = letters[(letters.index(token[position]) + flip) % 64]
    async with buyer(system, "later") as ann:
        headers = {"x-queue-ticket": token[:position] + changed + token[position + 1 :]}
        assert_problem(await ann.client.get("/api/queue/later/position", headers=headers), 401, "ticket_invalid")


async def test_tickets_of_an_earlier_epoch_are_over_and_their_holders_may_join_again(
    system: System, event_id: str
) -> None:
    async with buyer(system, event_id) as ann:
        old = (await ann.join()).json()["ticket"]
        await ann.until("admitted")
        old_pass = (await ann.claim()).json()["pass"]
        await system.change(event_id, state="closed")
        assert_problem(await ann.join(headers={"cookie": ""}), 410, "room_closed")
        await system.change(event_id, state="open")
        await refused_to_all(ann, old, 410, "ticket_old_epoch")
        refused = await ann.reserve(headers={"x-admission-pass": old_pass}, seatIds=["s0"])
        assert_problem(refused, 410, "pass_spent")
        again = await ann.join()
        assert (again.status_code, again.json()["number"]) == (201, 2)


@pytest.mark.parametrize("name", ["join", "position", "stream", "claim", "leave", "status"])
@pytest.mark.parametrize("unknown", ["nobody", "%00", "..", "%2e%2e%2f", "%ff%fe", "a" * 2_000, "{x}", "later%20"])
async def test_an_unknown_event_is_not_found(system: System, unknown: str, name: str) -> None:
    method = "POST" if name in ("join", "claim", "leave") else "GET"
    async with system.web.client() as client:
        answer = await client.request(method, f"/api/queue/{unknown}/{name}")
        assert answer.status_code == 404
        assert answer.json()["code"] in ("event_unknown", "not_found")


async def test_an_unknown_event_or_reservation_is_not_found_in_the_shop_either(system: System) -> None:
    async with buyer(system, "nobody", cookies=system.browser()) as ann:
        for path in ("/api/events/nobody", "/api/seats/events/nobody", "/api/seats/events/%00"):
            assert_problem(await ann.client.get(path), 404, "event_unknown")
        assert_problem(await ann.reserve(seatIds=["s0"]), 404, "event_unknown")
        nul = await ann.client.post("/api/seats/reserve", content=rb'{"eventId":"a\u0000b","seatIds":["s0"]}')
        assert_problem(nul, 404, "event_unknown")
        for path in ("/api/reservations/r_none", "/api/seats/reservation/r_none", "/api/reservations/%00"):
            assert_problem(await ann.client.get(path), 404, "reservation_unknown")
        assert_problem(await ann.client.post("/api/reservations/r_none/cancel"), 404, "reservation_unknown")
        assert_problem(await ann.pay("r_none"), 404, "reservation_unknown")


@pytest.mark.parametrize("path", POSTS)
async def test_what_is_not_json_is_refused_and_burns_no_number(system: System, event_id: str, path: str) -> None:
    async with system.web.client() as client:
        for body in NOT_JSON:
            answer = await client.post(path.replace("EVENT", event_id), content=body)
            assert answer.json()["code"] in ("payload_malformed", "payload_invalid"), (body[:40], answer.text)
            assert_problem(answer, 400 if answer.json()["code"] == "payload_malformed" else 422, answer.json()["code"])
        for body in WRONG:
            assert_problem(await client.post(path.replace("EVENT", event_id), content=body), 422, "payload_invalid")
    assert await system.last_number(event_id) == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["wish", "quantity", "grades", "adjacent", "eventId", "seatIds", "reservationId", "paymentMethod"]
            )
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@FEW
@given(path=st.sampled_from(POSTS), body=JSON | st.binary(max_size=100))
async def test_no_body_breaks_anything(system: System, path: str, body: Any) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with system.web.client() as client:
        answer = await client.post(path.replace("EVENT", "later"), content=content)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert await system.last_number("later") == 0


@pytest.mark.parametrize(
    "wish",
    [
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": 9},
        {"quantity": 10**30},
        {"quantity": 1.5},
        {"quantity": True},
        {"quantity": "2"},
        {"quantity": None},
        {"quantity": 1, "grades": "R"},
        {"quantity": 1, "grades": ["R"] * 11},
        {"quantity": 1, "grades": [""]},
        {"quantity": 1, "grades": ["x" * 41]},
        {"quantity": 1, "adjacent": "yes"},
        {"quantity": 1, "adjacent": 1},
        {"quantity": 1, "seats": 4, "rows": 1},
    ],
)
async def test_an_absurd_wish_is_refused_and_burns_no_number(system: System, wish: dict[str, Any]) -> None:
    async with system.web.client() as client:
        event_id = "later"
        before = await system.last_number(event_id)
        answer = await client.post(f"/api/queue/{event_id}/join", json={"wish": wish})
        assert_problem(answer, 422, "payload_invalid")
        reserve = {"eventId": event_id, **wish}
        assert_problem(await client.post("/api/seats/reserve", json=reserve), 422, "payload_invalid")
        assert await system.last_number(event_id) == before


@pytest.mark.parametrize(
    ("seat_ids", "code"),
    [
        ([], "payload_invalid"),
        ([""], "seat_unknown"),
        (["s12"], "seat_unknown"),
        (["s-1"], "seat_unknown"),
        (["s01"], "seat_unknown"),
        (["s٣"], "seat_unknown"),
        (["s99999999999"], "seat_unknown"),
        (["s0", "x"], "seat_unknown"),
        (["s0\x00"], "seat_unknown"),
        (["s" * 21], "payload_invalid"),
        ([f"s{idx}" for idx in range(9)], "too_many_seats"),
        (["s0"] * 101, "payload_invalid"),
        ([1], "payload_invalid"),
        ("s0", "payload_invalid"),
    ],
)
async def test_seats_that_cannot_be_asked_for_are_refused(system: System, seat_ids: Any, code: str) -> None:
    async with buyer(system, "direct", cookies=system.browser()) as ann:
        assert_problem(await ann.reserve(seatIds=seat_ids), 422, code)
        assert set((await ann.seat_statuses()).values()) == {"available"}


async def test_a_seat_named_twice_is_held_and_paid_once(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        held = await ann.hold(seatIds=["s1", "s1"])
        assert ([seat["id"] for seat in held["seats"]], held["totalPrice"]) == (["s1"], 100)


async def test_neither_or_both_of_seats_and_quantity_are_refused(system: System) -> None:
    async with buyer(system, "direct", cookies=system.browser()) as ann:
        assert_problem(await ann.reserve(), 422, "payload_invalid")
        assert_problem(await ann.reserve(seatIds=["s0"], quantity=1), 422, "payload_invalid")


async def test_the_last_of_two_equal_keys_counts(system: System, event_id: str) -> None:
    async with system.web.client() as client:
        body = b'{"wish":{"quantity":99},"wish":{"quantity":99}}'
        assert_problem(await client.post(f"/api/queue/{event_id}/join", content=body), 422, "payload_invalid")
        body = b'{"wish":{"quantity":1,"quantity":2}}'
        assert (await client.post(f"/api/queue/{event_id}/join", content=body)).status_code == 201


async def test_someone_else_s_reservation_is_as_unknown_as_none(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann, buyer(system, event_id) as eve:
        await ann.enter()
        await eve.enter()
        held = await ann.hold(seatIds=["s0"])
        path = f"/api/reservations/{held['id']}"
        for answer in (
            await eve.client.get(path),
            await eve.client.get(f"/api/seats/reservation/{held['id']}"),
            await eve.client.post(f"{path}/cancel"),
            await eve.pay(held["id"]),
        ):
            assert_problem(answer, 404, "reservation_unknown")
        assert (await eve.client.get("/api/reservations/my")).json() == {"reservations": [], "next": None}
        assert (await ann.client.get(path)).json()["reservation"] == held


async def test_an_unknown_way_to_pay_is_refused_and_the_hold_stays(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        held = await ann.hold(seatIds=["s0"])
        assert_problem(await ann.pay(held["id"], "promises"), 422, "payload_invalid")
        assert (await ann.client.get(f"/api/reservations/{held['id']}")).json()["reservation"] == held


@pytest.mark.parametrize("path", POSTS)
async def test_ten_megabytes_are_refused(system: System, event_id: str, path: str) -> None:
    async def in_chunks() -> Any:
        for _ in range(160):
            yield b" " * 65_536

    async with system.web.client() as client:
        address = path.replace("EVENT", event_id)
        assert_problem(await client.post(address, content=b" " * 10_000_000), 413, "body_too_large")
        assert_problem(await client.post(address, content=in_chunks()), 413, "body_too_large")
        just_fits = b"{" + b" " * (BODY_BYTES_MAX - 1)
        assert (await client.post(address, content=just_fits)).status_code == 400
    assert await system.last_number(event_id) == 0


async def test_a_patch_of_ten_megabytes_is_refused(system: System) -> None:
    async with system.web.client(headers=await system.bearer()) as client:
        answer = await client.patch("/api/admin/events/later/admission", content=b" " * 10_000_000)
        assert_problem(answer, 413, "body_too_large")


@pytest.mark.parametrize("key", ["", "k" * 61, "é"])
async def test_an_idempotency_key_that_cannot_be_kept_is_refused(system: System, key: str) -> None:
    async with buyer(system, "direct", cookies=system.browser()) as ann:
        answer = await ann.reserve(headers={"idempotency-key": key.encode()}, seatIds=["s0"])  # type: ignore[dict-item]
        assert_problem(answer, 422, "payload_invalid")


@pytest.mark.parametrize(
    "cookie",
    [
        b"tiketi_holder=\xff\xfe; tiketi_ticket_EVENT=\xff",
        b"tiketi_holder=" + b"A" * 30_000,
        b"tiketi_ticket_EVENT=" + b"A" * 30_000,
        b"tiketi_holder=",
        b"tiketi_holder",
        b"=;=;;;  ; tiketi_holder==",
        b"tiketi_holder=!!!!!!!!!!!!!!!!!!!!!!",
        b"tiketi_holder=" + "٣".encode() * 11,
        b"a=b; " * 3_000 + b"c=d",
    ],
)
async def test_a_strange_cookie_is_nobody_we_know(system: System, event_id: str, cookie: bytes) -> None:
    async with system.web.client(headers={b"cookie": cookie.replace(b"EVENT", event_id.encode())}) as client:
        joined = await client.post(f"/api/queue/{event_id}/join")
        assert joined.status_code == 201
        assert "tiketi_holder" in joined.cookies
        assert (await client.get("/api/reservations/my")).json() == {"reservations": [], "next": None}
        answer = await client.get(f"/api/queue/{event_id}/position")
        assert answer.status_code == 401


ROUTES = [
    ("POST", "/api/queue/later/join"),
    ("GET", "/api/queue/later/position"),
    ("GET", "/api/queue/later/stream"),
    ("POST", "/api/queue/later/claim"),
    ("POST", "/api/queue/later/leave"),
    ("GET", "/api/queue/later/status"),
    ("GET", "/api/events"),
    ("GET", "/api/events/later"),
    ("GET", "/api/seats/events/later"),
    ("POST", "/api/seats/reserve"),
    ("POST", "/api/payments/process"),
    ("GET", "/api/payments/methods"),
    ("GET", "/api/reservations/my"),
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/logout"),
    ("POST", "/api/auth/register"),
    ("GET", "/api/admin/events/later/admission/stream"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_wrong_method_is_refused_and_the_right_one_named(system: System, method: str, path: str) -> None:
    async with system.web.client() as client:
        for wrong in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} - {method}:
            answer = await client.request(wrong, path)
            assert answer.status_code == 405, (wrong, answer.text)
            assert answer.json()["code"] == "method_not_allowed"
            assert method in answer.headers["allow"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_trailing_slash_leads_to_the_same_place(system: System, method: str, path: str) -> None:
    async with system.web.client() as client:
        answer = await client.request(method, path + "/")
        assert answer.status_code == 307
        assert answer.headers["location"].endswith(path)


@pytest.mark.parametrize("path", ["/", "/nothing", "/api", "/api/queue", "/api/queue/later", "/api/nothing/%00"])
async def test_head_is_get_without_the_body(system: System, path: str) -> None:
    async with system.web.client() as client:
        get, head = await client.get(path), await client.head(path)
        assert (head.status_code, head.content) == (get.status_code, b"")


async def test_a_position_asked_with_head_is_answered_without_a_body(system: System) -> None:
    async with system.web.client() as client:
        assert (await client.head("/api/queue/later/position")).status_code == 401


async def test_only_the_seats_that_settings_allow_one_buyer_can_be_wished_for(system: System, event_id: str) -> None:
    web = await system.another_web(seats_per_buyer_max=2)
    async with buyer(system, event_id, web) as ann:
        assert_problem(await ann.join({"quantity": 3}), 422, "too_many_seats")
        assert await system.last_number(event_id) == 0
        await ann.enter({"quantity": 2})
        assert_problem(await ann.reserve(quantity=3), 422, "too_many_seats")
        assert_problem(await ann.reserve(seatIds=["s0", "s1", "s2"]), 422, "too_many_seats")


async def test_a_room_this_process_does_not_know_yet_lets_nobody_past_the_line(system: System, event_id: str) -> None:
    async with buyer(system, event_id, cookies=system.browser()) as ann:
        system.state["rooms"].views.pop(event_id)
        assert_problem(await ann.reserve(seatIds=["s0"]), 401, "pass_missing")
        assert (await ann.seat_statuses())["s0"] == "available"


async def test_an_expired_or_foreign_pass_opens_nothing(system: System, event_id: str) -> None:
    passes, now_s = system.state["passes"], int(datetime.now(UTC).timestamp())
    expired = AdmissionPass(event_id=event_id, epoch=1, number=1, holder=HOLDER, began_s=now_s - 9, expires_s=now_s - 1)
    async with buyer(system, event_id) as ann:
        answer = await ann.reserve(headers={"x-admission-pass": passes.sign(expired)}, seatIds=["s0"])
        assert_problem(answer, 410, "pass_expired")
        admin = (await system.bearer())["authorization"].removeprefix("Bearer ")
        answer = await ann.reserve(headers={"x-admission-pass": admin}, seatIds=["s0"])
        assert_problem(answer, 401, "pass_invalid")
