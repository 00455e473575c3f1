"""Accounts from outside: made, entered, left; who guesses is slowed down; what is over is over in every process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from app.http.accounts import sessions
from app.http.admin import users as admin_users
from app.ledger import passwords, users
from app.ledger.passwords import Passwords
from app.limits.limits import Attempt
from config.demo import ACCOUNTS
from tests.http.buyer import assert_problem, make_account, without_id
from tests.http.system import ADMIN, BUYER, System, Web
from tests.waiting import wait_until

SETTINGS = {"logins_per_account_max": 5, "logins_per_address_max": 10_000}
pytestmark = pytest.mark.asyncio(loop_scope="module")
ME = "/api/admin/events/later/admission"
PASSWORD = "correct horse"


async def register(system: System, address: str, **changed: Any) -> httpx2.Response:
    async with system.web.client() as client:
        return await client.post("/api/auth/register", json=person(address, **changed))


async def enter(system: System, address: str) -> dict[str, Any]:
    """Make an account and log in: a token and whose it is."""
    async with system.web.client() as client:
        entered: dict[str, Any] = (await make_account(client, address, PASSWORD)).json()
    return entered


def person(address: str, **changed: Any) -> dict[str, Any]:
    return {"name": "Ann", "email": address, "password": PASSWORD, **changed}


async def log_in(web: Web, email: str, password: str = PASSWORD) -> httpx2.Response:
    async with web.client() as client:
        return await client.post("/api/auth/login", json={"email": email, "password": password})


async def ask(web: Web, token: str) -> httpx2.Response:
    """Something only an admin may see: 403 says that the session is good, 401 why it is not."""
    async with web.client(headers={"authorization": f"Bearer {token}"}) as client:
        return await client.get(ME)


async def test_who_registered_logs_in_and_can_do_so_again(system: System) -> None:
    async with system.web.client() as client:
        made = await client.post("/api/auth/register", json=person(" Ann@Example.com ", name="Ann  Smith"))
        assert made.status_code == 202
        assert "tiketi_session" not in client.cookies
        entered = await client.post("/api/auth/login", json={"email": "ann@example.com", "password": PASSWORD})
        assert entered.headers["cache-control"] == "no-store"
        user = entered.json()["user"]
        assert {**user, "id": ""} == {"id": "", "name": "Ann Smith", "email": "ann@example.com", "role": "buyer"}
        cookie = entered.headers["set-cookie"]
        assert all(flag in cookie for flag in ("tiketi_session=", "HttpOnly", "SameSite=Lax", "Path=/"))
        assert (await client.get(ME)).json()["code"] == "admin_only", "the cookie is a session"
    assert_problem(await ask(system.web, entered.json()["token"]), 403, "admin_only")
    again = await log_in(system.web, "ANN@example.com")
    assert again.status_code == 200
    assert again.json()["user"] == user


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"email": "no email"}, "email_invalid"),
        ({"name": " \t "}, "name_invalid"),
        ({"name": "\u202e" + "evil"}, "name_invalid"),
        ({"password": "123456789"}, "password_too_short"),
        ({"password": "Password123"}, "password_too_plain"),
        ({"password": "refused@example.com"}, "password_too_plain"),
        ({"password": "x" * 201}, "payload_invalid"),
        ({"role": "admin"}, "payload_invalid"),
        ({"email": 5}, "payload_invalid"),
    ],
)
async def test_what_no_account_can_be_made_of_makes_none(system: System, changed: dict[str, Any], code: str) -> None:
    assert_problem(await register(system, "refused@example.com", **changed), 422, code)
    assert await users.find(system.db, "refused@example.com") is None


async def test_of_many_who_register_an_email_at_once_one_has_it_and_no_answer_tells_who(system: System) -> None:
    passwords = [f"password of n{n}" for n in range(5)]  # as many wrong ones as one may try
    tries = [register(system, "many@example.com", name=f"n{n}", password=each) for n, each in enumerate(passwords)]
    answers = await asyncio.gather(*tries, register(system, "single@example.com"))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(name for name, _ in answer.headers.items()) for answer in answers}) == 1
    entered = [await log_in(system.web, "many@example.com", each) for each in passwords]
    assert sorted(answer.status_code for answer in entered) == [200, *[401] * 4]


@pytest.mark.parametrize("event", ["registered", "registration_refused"])
async def test_the_time_of_an_answer_does_not_tell_whether_an_account_was_made(
    system: System, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    """Storing one takes longer than not storing one: no answer comes before either is surely over."""
    if event == "registration_refused":
        await register(system, f"{event}@example.com")
    surely_over = asyncio.Event()
    monkeypatch.setattr(sessions, "_stored_time", surely_over.wait)
    with capture_logs() as logged:
        asked = asyncio.create_task(register(system, f"{event}@example.com"))

        async def is_stored() -> bool:
            return any(line["event"] == event for line in logged)

        await wait_until(is_stored, description="the account is stored, or was there")
    assert not asked.done()
    surely_over.set()
    assert (await asked).status_code == 202


async def test_log_in_refuses_an_unknown_email_and_a_wrong_password_alike(system: System) -> None:
    await register(system, "alike@example.com")
    wrong = await log_in(system.web, "alike@example.com", "wrong")
    unknown = await log_in(system.web, "unknown@example.com", "wrong")
    assert_problem(wrong, 401, "login_refused")
    assert without_id(wrong.json()) == without_id(unknown.json())


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
        assert [answer.status_code for answer in made] == [202, 202]
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
    made = await enter(system, "disabled@example.com")
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
    user_id = (await enter(system, "racer@example.com"))["user"]["id"]
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


async def test_without_the_demo_no_demo_account_can_log_in(system: System) -> None:
    """Also in data that once had them, and as if there were none."""
    (buyer,) = (account for account in ACCOUNTS if account.role == "buyer")
    who = {"user_id": buyer.id, "email": buyer.email, "name": "T", "password": buyer.password}
    await users.create(system.db, **who, role="buyer", now=system.state["clock"].now())
    before = await log_in(system.web, buyer.email, buyer.password)
    off = await system.another_web(demo=False)
    assert_problem(await log_in(off, buyer.email, buyer.password), 401, "login_refused")
    assert_problem(await ask(system.web, before.json()["token"]), 403, "admin_only")
    assert_problem(await ask(off, before.json()["token"]), 401, "session_ended")


async def test_another_password_ends_every_session_but_this_browser_s_new_one(system: System) -> None:
    await register(system, "changes@example.com")
    elsewhere = (await log_in(system.web, "changes@example.com")).json()["token"]
    async with system.web.client() as client:
        before = await client.post("/api/auth/login", json={"email": "changes@example.com", "password": PASSWORD})
        changing = {"password": "wrong horse", "newPassword": "another horse"}
        assert_problem(await client.post("/api/auth/password", json=changing), 403, "password_wrong")
        weak = {"password": PASSWORD, "newPassword": "password123"}
        assert_problem(await client.post("/api/auth/password", json=weak), 422, "password_too_plain")
        changed = await client.post("/api/auth/password", json={**changing, "password": PASSWORD})
        assert changed.status_code == 200
        assert (await client.get(ME)).json()["code"] == "admin_only", "the new cookie is a session"
    for token in (elsewhere, before.json()["token"]):
        assert_problem(await ask(system.web, token), 401, "session_ended")
    assert_problem(await log_in(system.web, "changes@example.com"), 401, "login_refused")
    assert (await log_in(system.web, "changes@example.com", "another horse")).status_code == 200
    async with system.web.client() as nobody:
        assert_problem(await nobody.post("/api/auth/password", json=changing), 401, "login_required")


async def test_guessing_the_old_password_is_counted_as_a_log_in(system: System) -> None:
    await register(system, "borrowed@example.com")
    async with system.web.client(headers=None) as client:
        token = (await log_in(system.web, "borrowed@example.com")).json()["token"]
        client.headers["authorization"] = f"Bearer {token}"
        tries = [
            await client.post("/api/auth/password", json={"password": f"guess {n}", "newPassword": "another horse"})
            for n in range(6)
        ]
    assert [each.status_code for each in tries] == [403] * 5 + [429]


async def test_nobody_keeps_out_a_browser_that_logged_in_before(system: System) -> None:
    await register(system, "target@example.com")
    await register(system, "attacker@example.com")
    right = {"email": "target@example.com", "password": PASSWORD}
    async with system.web.client() as known, system.web.client() as attacker:
        assert (await known.post("/api/auth/login", json=right)).status_code == 200
        await known.post("/api/auth/logout")
        await attacker.post("/api/auth/login", json={"email": "attacker@example.com", "password": PASSWORD})
        wrong = {**right, "password": "guess"}
        assert [(await attacker.post("/api/auth/login", json=wrong)).status_code for _ in range(6)] == [401] * 5 + [429]
        assert_problem(await attacker.post("/api/auth/login", json=right), 429, "too_many_attempts")
        assert (await known.post("/api/auth/login", json=right)).status_code == 200
        assert [(await known.post("/api/auth/login", json=wrong)).status_code for _ in range(6)] == [401] * 5 + [429]
        known.cookies.set("tiketi_device", "00" * 12 + "." + "00" * 16)
        assert (await known.post("/api/auth/login", json=right)).status_code == 429, "a forged one counts as none"


async def test_what_happens_to_accounts_is_logged_without_their_emails(system: System) -> None:
    with capture_logs() as logged:
        await register(system, "logged@example.com")
        await log_in(system.web, "logged@example.com", "wrong")
        await log_in(system.web, ADMIN[0], ADMIN[1])
        await ask(system.web, (await log_in(system.web, "logged@example.com")).json()["token"])
    said = {line["event"]: line for line in logged}
    assert {"registered", "login_failed", "admin_login", "login", "request"} <= said.keys()
    assert said["login_failed"]["account"] == said["login"]["account"] == said["request"]["account"]
    assert said["login"]["network"] == said["request"]["network"] == "127.0.0.1"
    assert "logged@example.com" not in str(logged)


async def test_who_finds_out_by_logging_in_which_emails_have_an_account_soon_learns_no_more(system: System) -> None:
    """The password that a stranger registers an email with is right only if the email was free."""
    taken = [f"probed{n}@example.com" for n in range(3)]
    for each in taken:
        await register(system, each)
    web = await system.another_web(trusted_proxies="127.0.0.1", logins_per_address_max=20)

    async def probe(client: httpx2.AsyncClient, email: str) -> int:
        await client.post("/api/auth/register", json=person(email, password="a stranger's"))
        return (await client.post("/api/auth/login", json={"email": email, "password": "a stranger's"})).status_code

    async with web.client(headers={"x-forwarded-for": "203.0.113.77"}) as client:
        assert [await probe(client, each) for each in taken] == [401, 401, 429]
        assert await probe(client, "unprobed@example.com") == 429
        right = {"email": BUYER[0], "password": BUYER[1]}
        assert (await client.post("/api/auth/login", json=right)).status_code == 200, "others there are not shut out"
    async with web.client(headers={"x-forwarded-for": "203.0.113.78"}) as elsewhere:
        for n in range(4):
            assert await probe(elsewhere, f"honest{n}@example.com") == 200, "who is right is not counted"
