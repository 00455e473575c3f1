"""Accounts from outside: made, entered, left; who guesses is slowed down; what is over is over in every process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest

from app.http.admin import users as admin_users
from app.ledger import passwords, users
from app.ledger.passwords import Passwords
from app.limits.limits import Attempt
from tests.http.buyer import assert_problem
from tests.http.system import ADMIN, System, Web
from tests.waiting import wait_until

SETTINGS = {"logins_per_account_max": 5, "logins_per_address_max": 10_000}
pytestmark = pytest.mark.asyncio(loop_scope="module")
ME = "/api/admin/events/later/admission"
PASSWORD = "correct horse"


async def register(system: System, address: str, **changed: Any) -> httpx2.Response:
    async with system.web.client() as client:
        return await client.post("/api/auth/register", json=person(address, **changed))


def person(address: str, **changed: Any) -> dict[str, Any]:
    return {"name": "Ann", "email": address, "password": PASSWORD, **changed}


async def log_in(web: Web, email: str, password: str = PASSWORD) -> httpx2.Response:
    async with web.client() as client:
        return await client.post("/api/auth/login", json={"email": email, "password": password})


async def ask(web: Web, token: str) -> httpx2.Response:
    """Something only an admin may see: 403 says that the session is good, 401 why it is not."""
    async with web.client(headers={"authorization": f"Bearer {token}"}) as client:
        return await client.get(ME)


async def test_a_new_account_is_logged_in_and_can_log_in_again(system: System) -> None:
    async with system.web.client() as client:
        made = await client.post("/api/auth/register", json=person(" Ann@Example.com ", name="Ann  Smith"))
        assert made.status_code == 201
        assert made.headers["cache-control"] == "no-store"
        user = made.json()["user"]
        assert {**user, "id": ""} == {"id": "", "name": "Ann Smith", "email": "ann@example.com", "role": "buyer"}
        cookie = made.headers["set-cookie"]
        assert all(flag in cookie for flag in ("tiketi_session=", "HttpOnly", "SameSite=Lax", "Path=/"))
        assert (await client.get(ME)).json()["code"] == "admin_only", "the cookie is a session"
    assert_problem(await ask(system.web, made.json()["token"]), 403, "admin_only")
    again = await log_in(system.web, "ANN@example.com")
    assert again.status_code == 200
    assert again.json()["user"] == user


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"email": "no email"}, "email_invalid"),
        ({"name": " \t "}, "name_invalid"),
        ({"name": "\u202e" + "evil"}, "name_invalid"),
        ({"password": "1234567"}, "password_too_short"),
        ({"password": "refused@example.com"}, "password_too_plain"),
        ({"password": "x" * 201}, "payload_invalid"),
        ({"role": "admin"}, "payload_invalid"),
        ({"email": 5}, "payload_invalid"),
    ],
)
async def test_what_no_account_can_be_made_of_makes_none(system: System, changed: dict[str, Any], code: str) -> None:
    assert_problem(await register(system, "refused@example.com", **changed), 422, code)
    assert await users.find(system.db, "refused@example.com") is None


async def test_of_many_who_register_an_email_at_once_one_succeeds(system: System) -> None:
    answers = await asyncio.gather(*(register(system, "many@example.com", name=f"n{n}") for n in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5]
    taken = next(answer for answer in answers if answer.status_code == 409)
    assert_problem(taken, 409, "email_taken")
    assert "n0" not in taken.text


async def test_log_in_refuses_an_unknown_email_and_a_wrong_password_alike(system: System) -> None:
    await register(system, "alike@example.com")
    wrong = await log_in(system.web, "alike@example.com", "wrong")
    unknown = await log_in(system.web, "unknown@example.com", "wrong")
    assert_problem(wrong, 401, "login_refused")
    assert wrong.json() == unknown.json()


async def test_who_guesses_one_account_s_password_is_stopped_and_others_are_not(system: System) -> None:
    await register(system, "guessed@example.com")
    await register(system, "other@example.com")
    guesses = await asyncio.gather(*(log_in(system.web, "guessed@example.com", f"guess {n}") for n in range(12)))
    statuses = [guess.status_code for guess in guesses]
    assert (statuses.count(401), statuses.count(429)) == (5, 7), "checked and counted in one step"
    stopped = await log_in(system.web, "Guessed@example.com ")
    assert_problem(stopped, 429, "too_many_attempts")
    assert 1 <= int(stopped.headers["retry-after"]) == stopped.json()["retryAfterSeconds"] <= 60
    assert (await log_in(system.web, "other@example.com")).status_code == 200


async def test_logging_in_rightly_is_not_counted(system: System) -> None:
    await register(system, "often@example.com")
    for _ in range(8):
        assert (await log_in(system.web, "often@example.com")).status_code == 200
    statuses = [(await log_in(system.web, "often@example.com", "wrong")).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]


async def test_one_address_may_fail_only_so_often_whatever_the_account(system: System) -> None:
    web = await system.another_web(logins_per_address_max=3, trusted_proxies="127.0.0.1")
    async with web.client(headers={"x-forwarded-for": "203.0.113.7"}) as client:
        answers = [
            await client.post("/api/auth/login", json={"email": f"nobody{n}@example.com", "password": "x"})
            for n in range(4)
        ]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        right = await client.post("/api/auth/login", json={"email": ADMIN[0], "password": ADMIN[1]})
        assert_problem(right, 429, "too_many_attempts")
        elsewhere = {"x-forwarded-for": "203.0.113.8"}
        wrong = await client.post(
            "/api/auth/login", json={"email": "a@example.com", "password": "x"}, headers=elsewhere
        )
        assert wrong.status_code == 401, "another address behind the same proxy is another one"


async def test_nobody_chooses_an_address_unless_a_proxy_is_trusted(system: System) -> None:
    seen: list[str] = []
    web = await system.another_web()
    take = web.state["limits"].take

    async def noted(attempts: Sequence[Attempt], now_ms: int | None = None) -> int:
        seen.extend(who for _, who in attempts)
        return await take(attempts, now_ms)

    web.state["limits"].take = noted  # type: ignore[method-assign]
    async with web.client(headers={"x-forwarded-for": "203.0.113.9"}) as client:
        await client.post("/api/auth/login", json={"email": "chooser@example.com", "password": "x"})
    assert seen == ["chooser@example.com", "127.0.0.1"]


async def test_one_address_may_make_only_so_many_accounts(system: System) -> None:
    web = await system.another_web(registrations_per_address_max=2, trusted_proxies="127.0.0.1")
    async with web.client(headers={"x-forwarded-for": "2001:db8::1"}) as client:
        made = [await client.post("/api/auth/register", json=person(f"maker{n}@example.com")) for n in range(2)]
        assert [answer.status_code for answer in made] == [201, 201]
        neighbour = {"x-forwarded-for": "2001:db8::2"}
        refused = await client.post("/api/auth/register", json=person("maker2@example.com"), headers=neighbour)
        assert_problem(refused, 429, "too_many_attempts")


async def test_logging_out_ends_the_session_in_every_process(system: System) -> None:
    other_web = await system.another_web()
    await register(system, "leaver@example.com")
    kept, left = [(await log_in(system.web, "leaver@example.com")).json()["token"] for _ in range(2)]
    assert_problem(await ask(other_web, left), 403, "admin_only")  # which also remembers that its signature is good
    async with system.web.client(headers={"authorization": f"Bearer {left}"}) as client:
        assert (await client.post("/api/auth/logout")).status_code == 200
    assert_problem(await ask(system.web, left), 401, "session_ended")

    async def over_there() -> bool:
        return bool((await ask(other_web, left)).json()["code"] == "session_ended")

    await wait_until(over_there, description="the session is over in the other process")
    assert_problem(await ask(other_web, kept), 403, "admin_only")
    async with system.web.client(headers={"authorization": f"Bearer {left}"}) as client:
        assert (await client.post("/api/auth/logout")).status_code == 200, "a repeat changes nothing"


async def test_the_cookie_goes_with_the_log_out(system: System) -> None:
    await register(system, "cookie@example.com")
    async with system.web.client() as client:
        await client.post("/api/auth/login", json={"email": "cookie@example.com", "password": PASSWORD})
        assert "tiketi_session" in client.cookies
        await client.post("/api/auth/logout")
        assert "tiketi_session" not in client.cookies
        assert_problem(await client.get(ME), 401, "login_required")


async def test_a_disabled_account_is_out_everywhere_until_it_is_enabled(system: System) -> None:
    other_web = await system.another_web()
    made = (await register(system, "disabled@example.com")).json()
    await admin_users.disable(system.state, "boss", made["user"]["id"])
    assert_problem(await ask(system.web, made["token"]), 401, "session_ended")

    async def over_there() -> bool:
        return bool((await ask(other_web, made["token"])).json()["code"] == "session_ended")

    await wait_until(over_there, description="the session is over in the other process")
    assert_problem(await log_in(system.web, "disabled@example.com"), 403, "account_disabled")
    assert_problem(await log_in(system.web, "disabled@example.com", "wrong"), 401, "login_refused")
    await admin_users.enable(system.state, "boss", made["user"]["id"])
    again = (await log_in(system.web, "disabled@example.com")).json()["token"]
    assert_problem(await ask(system.web, again), 403, "admin_only")
    assert_problem(await ask(system.web, made["token"]), 401, "session_ended")


async def test_an_account_disabled_while_it_logs_in_gets_no_lasting_session(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password is being checked when the admin acts: the account was read before, the session is made after."""
    user_id = (await register(system, "racer@example.com")).json()["user"]["id"]
    check = Passwords.check

    async def disabled_meanwhile(self: Passwords, password_hash: str | None, password: str, whose: str = "") -> bool:
        right = await check(self, password_hash, password, whose)
        await admin_users.disable(system.state, "boss", user_id)
        return right

    monkeypatch.setattr(Passwords, "check", disabled_meanwhile)
    entered = await log_in(system.web, "racer@example.com")
    assert_problem(await ask(system.web, entered.json()["token"]), 401, "session_ended")


async def test_when_too_many_wait_for_a_hash_the_next_is_told_to_come_later(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system.state["passwords"], "_most", 0)
    answer = await log_in(system.web, *ADMIN)
    assert_problem(answer, 503, "busy")
    assert "retry-after" in answer.headers
    assert_problem(await register(system, "busy@example.com"), 503, "busy")


async def test_an_address_with_too_many_passwords_under_way_is_told_when_to_come_again(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system.state["passwords"], "_most_of_one", 1)
    go = threading.Event()
    monkeypatch.setattr(passwords, "matches", lambda *_: go.wait(10))
    first = asyncio.create_task(log_in(system.web, *ADMIN))

    async def is_under_way() -> bool:
        return bool(system.state["passwords"]._asked)

    try:
        await wait_until(is_under_way, description="the first password is checked")
        for answer in (await log_in(system.web, *ADMIN), await register(system, "crowded@example.com")):
            assert_problem(answer, 429, "too_many_at_once")
            assert answer.headers["retry-after"] == "1"
    finally:
        go.set()
    assert (await first).status_code == 200
