"""The API of the rooms: who may use it, what may be changed of a room, and what is remembered of it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.control.rooms import RoomChange, RoomControl
from app.domain.ticket import holder_text
from app.http.accounts.tokens import LOGIN_AUDIENCE, SESSION_AUDIENCE, Session
from app.http.admin import rooms as admin
from app.ledger import audit_log, rooms
from tests.http.buyer import Stream, assert_problem, buyer, without_id
from tests.http.system import ADMIN, BUYER, System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


def room(event_id: str) -> str:
    return f"/api/admin/events/{event_id}/admission"


async def asked(system: System, headers: dict[str, str], event_id: str = "later") -> list[httpx2.Response]:
    """The three ways to ask as an admin."""
    async with system.web.client(headers=headers) as client:
        return [
            await client.get(room(event_id)),
            await client.patch(room(event_id), json={"ratePerSecond": 7}),
            await client.get(room(event_id) + "/stream"),
        ]


async def test_nobody_changes_a_room_without_logging_in(system: System) -> None:
    for answer in await asked(system, {}):
        assert_problem(answer, 401, "login_required")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_buyer_s_session_changes_nothing(system: System) -> None:
    for answer in await asked(system, await system.bearer(BUYER)):
        assert_problem(answer, 403, "admin_only")


def _b64(data: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def forgeries(system: System) -> dict[str, str]:
    tokens = system.state["tokens"]
    now = datetime.now(UTC)
    claims: dict[str, Any] = {
        "iss": "tiketi",
        "aud": SESSION_AUDIENCE,
        "sub": "u_1",
        "email": ADMIN[0],
        "name": "Boss",
        "role": "admin",
        "jti": "s_1",
    }
    claims |= {"iat": int(now.timestamp()), "exp": int(now.timestamp()) + 600}
    (key,) = tokens.jwks()["keys"]
    kid, own = key["kid"], Ed25519PrivateKey.generate()
    session = Session(
        user_id="u_1",
        email=ADMIN[0],
        name="Boss",
        role="admin",
        session_id="s_1",
        began_s=now.timestamp(),
        expires_s=int(now.timestamp()) + 600,
    )
    genuine = tokens.sign_session(session)
    head, body, signature = genuine.split(".")
    boss = _b64({**claims, "sub": "u_9"})
    return {
        "nonsense": "nonsense",
        "not ascii": "pässword",
        "signed by another key": jwt.encode(claims, own, algorithm="EdDSA", headers={"kid": kid}),
        "a key of its own choice": jwt.encode(claims, own, algorithm="EdDSA", headers={"kid": "mine", "jwk": key}),
        "no key named": jwt.encode(claims, own, algorithm="EdDSA"),
        "no signature": jwt.encode(claims, "", algorithm="none", headers={"kid": kid}),
        "signature cut off": f"{head}.{body}.",
        "the public key as a secret": jwt.encode(claims, key["x"] * 2, algorithm="HS256", headers={"kid": kid}),
        "another body": f"{head}.{boss}.{signature}",
        "expired": tokens.sign_session(replace(session, expires_s=int(now.timestamp()) - 3600)),
        "for another audience": tokens._sign({**claims, "aud": LOGIN_AUDIENCE}),
        "for no audience": tokens._sign({name: value for name, value in claims.items() if name != "aud"}),
        "from another issuer": tokens._sign({**claims, "iss": "elsewhere"}),
        "that never ends": tokens._sign({name: value for name, value in claims.items() if name != "exp"}),
        "without a role": tokens._sign({name: value for name, value in claims.items() if name != "role"}),
        "key id of a wrong type": f"{_b64({'alg': 'EdDSA', 'kid': []})}.{body}.{signature}",
        "header nested a thousand deep": f"{'eyJhIjo' + 'W1tb' * 400}.{body}.{signature}",
        "far too long": genuine + "A" * 4000,
    }


async def test_no_forged_session_opens_anything(system: System) -> None:
    for name, token in forgeries(system).items():
        headers = {b"authorization": b"Bearer " + token.encode()}
        for answer in await asked(system, headers):  # type: ignore[arg-type]
            assert answer.status_code == 401, name
            assert answer.json()["code"] == ("session_expired" if name == "expired" else "session_invalid"), name
    async with system.web.client(headers=await system.bearer()) as client:
        assert (await client.get(room("later"))).json()["ratePerSecond"] == 1000


async def test_a_pass_is_no_session(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        admission_pass = (await ann.enter())["pass"]
    for answer in await asked(system, {"authorization": f"Bearer {admission_pass}"}):
        assert_problem(answer, 401, "session_invalid")


async def test_a_change_by_cookie_needs_the_header_no_other_site_can_send(system: System, event_id: str) -> None:
    async with system.web.client() as client:
        await client.post("/api/auth/login", json={"email": ADMIN[0], "password": ADMIN[1]})
        assert (await client.get(room(event_id))).status_code == 200
        assert_problem(await client.patch(room(event_id), json={"burst": 5}), 403, "cross_site")
        wrong = await client.patch(room(event_id), json={"burst": 5}, headers={"x-requested-with": "XMLHttpRequest"})
        assert_problem(wrong, 403, "cross_site")
        right = await client.patch(room(event_id), json={"burst": 5}, headers={"x-requested-with": "tiketi"})
        assert right.json()["burst"] == 5


async def test_logging_in_gives_a_session_by_cookie_and_by_token(system: System) -> None:
    async with system.web.client() as client:
        answer = await client.post("/api/auth/login", json={"email": "Boss@Example.com", "password": ADMIN[1]})
    body = answer.json()
    assert body["user"] == {"id": "u_1", "name": "u_1", "email": ADMIN[0], "role": "admin"}
    assert answer.cookies["tiketi_session"] == body["token"]
    (session,) = (each for each in answer.headers.get_list("set-cookie") if each.startswith("tiketi_session="))
    assert session.split("; ")[1:] == ["Max-Age=43200", "Path=/", "HttpOnly", "SameSite=Lax"]
    assert answer.headers["cache-control"] == "no-store"


async def test_a_wrong_password_and_an_unknown_email_are_refused_alike(system: System) -> None:
    async with system.web.client() as client:
        wrong = await client.post("/api/auth/login", json={"email": ADMIN[0], "password": "guess"})
        nobody = await client.post("/api/auth/login", json={"email": "nobody@example.com", "password": "guess"})
    refused = [without_id(assert_problem(each, 401, "login_refused")) for each in (wrong, nobody)]
    assert refused[0] == refused[1]


async def test_the_room_is_shown_with_its_settings_and_numbers(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann, system.web.client(headers=await system.bearer()) as client:
        await ann.join()

        async def is_counted() -> bool:
            return bool((await client.get(room(event_id))).json()["waiting"] == 1)

        await wait_until(is_counted, description="the room counts who joined")
        shown = (await client.get(room(event_id))).json()
        assert (shown["state"], shown["admitted"], shown["active"], shown["lastNumber"]) == ("paused", 0, 0, 1)
        await system.change(event_id, state="open")
        await ann.until("admitted")
        await ann.claim()
        await ann.until("claimed")
        shown = (await client.get(room(event_id))).json()
        assert (shown["waiting"], shown["admitted"], shown["active"], shown["cursor"]) == (0, 0, 1, 1)


async def test_a_line_that_stands_still_lets_nobody_in_and_one_that_is_over_has_nobody_waiting(
    system: System, event_id: str
) -> None:
    async with (
        buyer(system, event_id) as ann,
        buyer(system, event_id) as ben,
        system.web.client(headers=await system.bearer()) as client,
    ):
        await ann.enter()
        await system.change(event_id, state="paused")
        await ben.join()

        async def waits() -> bool:
            return bool((await client.get(room(event_id))).json()["waiting"] == 1)

        await wait_until(waits, description="somebody waits")
        shown = (await client.get(room(event_id))).json()
        assert (shown["outflowPerSecond"], shown["etaSeconds"]) == (0, None), "she was let in within the last seconds"
        await system.change(event_id, state="closed")
        shown = (await client.get(room(event_id))).json()
        assert (shown["waiting"], shown["oldestWaitSeconds"], shown["etaSeconds"]) == (0, 0, None)
        assert (await client.get(f"/api/queue/{event_id}/status")).json()["waiting"] == 0


async def test_the_admins_page_knows_what_happened_before_it_was_opened(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann, system.web.client(headers=await system.bearer()) as client:
        await ann.join()

        async def is_told() -> bool:
            page = (await client.get(f"/admin/events/{event_id}")).text
            block = re.search(r'id="page-data"[^>]*>(.*?)</script>', page, re.S)
            assert block is not None
            return bool([past for past in json.loads(block[1])["past"] if past["waiting"] == 1])

        await wait_until(is_told, description="the page's chart has the line of a moment ago")


async def test_every_setting_can_be_changed_and_is_remembered_with_who_and_when(system: System, event_id: str) -> None:
    started = datetime.now(UTC)
    wanted = {"state": "paused", "ratePerSecond": 0.5, "burst": 3, "maxActive": 9, "message": "조금만 기다려 주세요"}
    async with system.web.client(headers=await system.bearer()) as client:
        changed = (await client.patch(room(event_id), json=wanted)).json()
        assert {name: changed[name] for name in wanted} == wanted
        (change,) = changed["changes"]
        assert change["who"] == ADMIN[0]
        assert change["change"] == wanted
        assert started <= datetime.fromisoformat(change["at"]) <= datetime.now(UTC)
        again = (await client.patch(room(event_id), json={"message": ""})).json()
        assert [one["change"] for one in again["changes"]] == [{"message": ""}, wanted]
        assert (await client.patch(room(event_id), json={})).json()["changes"] == again["changes"]


async def test_a_message_in_two_languages_is_remembered_and_replaced_as_a_whole(system: System, event_id: str) -> None:
    texts = {"ko": "잠시만요", "en": "A moment"}
    async with system.web.client(headers=await system.bearer()) as client:
        said = (await client.patch(room(event_id), json={"messages": texts})).json()
        assert (said["message"], said["messages"]) == ("A moment", texts)
        stored = await rooms.get(system.db, event_id)
        assert stored is not None
        assert stored.config["messages"] == texts, "a room made again says it again"
        again = (await client.patch(room(event_id), json={"message": "Go"})).json()
        assert (again["message"], again["messages"]) == ("Go", {})
        page = (await client.get(f"/admin/events/{event_id}", params={"lang": "en"})).text
        assert "messages: ko: 잠시만요; en: A moment" in page
        latest = (await audit_log.room_changes(system.db, event_id, 1))[0].change
        assert latest == {"message": "Go", "was": {"message": "A moment", "messages": texts}}


async def test_a_change_is_written_down_before_it_is_made(system: System, event_id: str) -> None:
    """The process dies between the two: the trail may say more than was done, never less."""
    control = system.state["room_control"]

    class Died(Exception):
        pass

    class Dying:
        async def change(self, *_: object) -> tuple[str, str]:
            raise Died

    class Knows:
        scripts = Dying()

    control = RoomControl(control.redis, Knows(), control.db, control.now)  # type: ignore[arg-type]
    with pytest.raises(Died):
        await control.change(event_id, "op", RoomChange(burst=7))
    (entry,) = await audit_log.room_changes(system.db, event_id, 9)
    assert (entry.who, entry.change["burst"]) == ("op", 7)
    assert list(entry.change["was"]) == ["burst"], "what it replaces"


async def test_a_refused_change_is_in_the_trail_and_not_among_the_changes(system: System, event_id: str) -> None:
    async with system.web.client(headers=await system.bearer()) as client:
        assert_problem(await client.patch(room(event_id), json={"state": "scheduled"}), 409, "change_refused")
        assert (await client.get(room(event_id))).json()["changes"] == []
    refusal, asked = await audit_log.listed(system.db, audit_log.AuditFilter(event_id=event_id), 9)
    assert (refusal.action, refusal.change["of"]) == ("refused", asked.id)


ALLOWED = {
    "scheduled": {"open", "paused", "closed"},
    "open": {"paused", "draining", "closed"},
    "paused": {"open", "draining", "closed"},
    "draining": {"open", "paused", "closed"},
    "closed": {"open"},
}


@pytest.mark.parametrize("before", ["open", "paused", "draining", "closed"])
async def test_a_room_goes_only_where_its_state_allows(system: System, event_id: str, before: str) -> None:
    async with system.web.client(headers=await system.bearer()) as client:
        for after in ("scheduled", "recovering", "open", "paused", "draining", "closed"):
            await _bring(client, event_id, before)
            answer = await client.patch(room(event_id), json={"state": after})
            if after == before or after in ALLOWED[before]:
                assert answer.json()["state"] == after
            else:
                problem = assert_problem(answer, 409, "change_refused")
                assert before in problem["detail"]
                assert (await client.get(room(event_id))).json()["state"] == before


async def _bring(client: httpx2.AsyncClient, event_id: str, state: str) -> None:
    await client.patch(room(event_id), json={"state": "open"})
    assert (await client.patch(room(event_id), json={"state": state})).json()["state"] == state


@pytest.mark.parametrize(
    "wanted",
    [
        {"ratePerSecond": 0},
        {"ratePerSecond": 0.05},
        {"ratePerSecond": -1},
        {"ratePerSecond": 10_001},
        {"ratePerSecond": "10"},
        {"ratePerSecond": True},
        {"burst": 0},
        {"burst": 1.5},
        {"burst": 10**30},
        {"maxActive": 0},
        {"maxActive": -5},
        {"message": "x" * 501},
        {"message": 5},
        {"messages": {"ko": "x" * 501}},
        {"messages": {"fr": "Bientôt"}},
        {"messages": "x"},
        {"state": "OPEN"},
        {"state": ""},
        {"state": ["open"]},
        {"rate_per_second": 5},
        {"epoch": 9},
        [],
        "open",
    ],
)
async def test_a_change_that_makes_no_sense_changes_nothing(system: System, wanted: Any) -> None:
    async with system.web.client(headers=await system.bearer()) as client:
        before = (await client.get(room("later"))).json()
        assert_problem(await client.patch(room("later"), json=wanted), 422, "payload_invalid")
        after = (await client.get(room("later"))).json()
        assert {name: after[name] for name in ("state", "ratePerSecond", "burst", "maxActive", "changes")} == {
            name: before[name] for name in ("state", "ratePerSecond", "burst", "maxActive", "changes")
        }


async def test_an_unknown_room_can_neither_be_seen_nor_changed(system: System) -> None:
    for answer in await asked(system, await system.bearer(), "nobody"):
        assert_problem(answer, 404, "event_unknown")


async def test_the_live_feed_sends_the_room_again_and_again(system: System, event_id: str) -> None:
    async with (
        system.web.client(headers=await system.bearer()) as client,
        client.stream("GET", room(event_id) + "/stream") as answer,
    ):
        feed = Stream(answer, answer.aiter_lines())
        first = await feed.next("sample")
        assert (first.data["eventId"], first.data["state"]) == (event_id, "open")
        await system.change(event_id, state="paused")
        async for event in feed.events():
            if event.data["state"] == "paused":
                break


async def test_the_live_feed_ends_with_the_session(
    system: System, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "FEED_EVERY_S", 0.05)
    login = {"email": ADMIN[0], "password": ADMIN[1]}
    async with system.web.client() as client, (await system.another_web()).client() as elsewhere:
        token = (await client.post("/api/auth/login", json=login)).json()["token"]
        bearing = {"authorization": f"Bearer {token}"}
        async with client.stream("GET", room(event_id) + "/stream", headers=bearing) as answer, asyncio.timeout(20):
            feed = Stream(answer, answer.aiter_lines())
            await feed.next("sample")
            assert (await elsewhere.post("/api/auth/logout", headers=bearing)).status_code == 200
            await feed.rest()


async def test_two_admins_at_once_lose_no_change(system: System, event_id: str) -> None:
    other = await system.another_web()
    headers = await system.bearer()
    async with system.web.client(headers=headers) as one, other.client(headers=headers) as two:
        await asyncio.gather(
            *(one.patch(room(event_id), json={"burst": burst}) for burst in range(1, 6)),
            *(two.patch(room(event_id), json={"maxActive": people}) for people in range(1, 6)),
        )
        kept = await system.redis.hmget(f"tiketi:{{{event_id}}}:room", ["burst", "max_active"])  # type: ignore[misc]

        async def shown() -> dict[str, Any] | None:
            """What one shows, once it has heard of what two changed last."""
            room_shown: dict[str, Any] = (await one.get(room(event_id))).json()
            told = [room_shown["burst"], room_shown["maxActive"]] == [int(value) for value in kept]
            return room_shown if told else None

        last = await wait_until(shown, description="the room is shown as it is kept")
        assert len(last["changes"]) == 10


async def test_any_origin_can_check_a_pass_with_our_public_keys(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        claimed = await ann.enter()
        jwks = (await ann.client.get("/.well-known/jwks.json")).json()
        holder = system.state["browsers"].read(ann.client.cookies["tiketi_holder"].encode())
        assert holder is not None
    (key,) = jwt.PyJWKSet.from_dict(jwks).keys
    claims = jwt.decode(claimed["pass"], key, algorithms=["EdDSA"], audience=event_id, issuer="tiketi")
    assert jwt.get_unverified_header(claimed["pass"])["kid"] == key.key_id
    assert (claims["jti"], claims["number"], claims["sub"]) == (f"{event_id}.1.1", 1, holder_text(holder))
    assert claims["nbf"] == claims["iat"] == claims["exp"] - system.settings.pass_s
    assert datetime.fromtimestamp(claims["exp"], UTC) == datetime.fromisoformat(claimed["expiresAt"])
    assert not [name for name in jwks["keys"][0] if name in ("d", "k", "p")]
