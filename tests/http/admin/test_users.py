"""Accounts as admins see them: found, shut out at once, and never without an admin who can log in."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.ledger import account_admin, audit_log, users
from app.ledger.account_admin import AccountChange
from config.demo import ACCOUNTS
from tests.http.buyer import assert_problem, make_account
from tests.http.forms import send
from tests.http.system import ADMIN, System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
USERS = "/api/admin/users"


async def registered(system: System, name: str) -> dict[str, Any]:
    """A new account: its token and user."""
    async with system.web.client() as client:
        answer = await make_account(client, f"{name}@people.example", f"{name}-password-1", name)
    made: dict[str, Any] = answer.json()
    return made


def bearing(made: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {made['token']}"}


async def status_of(system: System, made: dict[str, Any]) -> int:
    """What the trail answers to whoever has this session: 200 an admin, 403 a buyer, 401 nobody."""
    async with system.web.client(headers=bearing(made)) as client:
        return (await client.get("/api/admin/trail")).status_code


async def ends(system: System, made: dict[str, Any]) -> None:
    async def is_over() -> bool:
        return await status_of(system, made) == 401

    await wait_until(is_over, description="the session ends")


async def test_accounts_are_found_by_a_part_of_email_or_name(system: System) -> None:
    made = await registered(system, "findable")
    async with system.web.client(headers=await system.bearer()) as client:
        for words in ("findab", "FINDABLE", "@people"):
            found = (await client.get(USERS, params={"q": words})).json()["users"]
            assert made["user"]["id"] in [one["id"] for one in found]
        assert (await client.get(USERS, params={"q": "%"})).json()["users"] == []
        one = (await client.get(f"{USERS}/{made['user']['id']}")).json()["user"]
        assert "password" not in str(one).lower()
        first = (await client.get(USERS, params={"limit": 1})).json()
        rest = (await client.get(USERS, params={"cursor": first["next"]})).json()
        assert first["users"][0]["id"] not in [each["id"] for each in rest["users"]]
        assert_problem(await client.get(f"{USERS}/nobody"), 404, "user_unknown")


async def test_who_is_shut_out_is_out_at_once_and_can_be_let_in(system: System) -> None:
    made = await registered(system, "shutout")
    user_id = made["user"]["id"]
    login = {"email": "shutout@people.example", "password": "shutout-password-1"}
    async with system.web.client(headers=await system.bearer()) as client, system.web.client() as nobody:
        for _ in range(2):
            assert (await client.post(f"{USERS}/{user_id}/disable")).json()["user"]["disabledAt"]
        await ends(system, made)
        assert (await nobody.post("/api/auth/login", json=login)).status_code == 403
        assert (await client.post(f"{USERS}/{user_id}/enable")).json()["user"]["disabledAt"] is None
        assert (await nobody.post("/api/auth/login", json=login)).status_code == 200
    entries = await audit_log.listed(system.db, audit_log.AuditFilter(subject=user_id), 9)
    assert [(entry.who, entry.action) for entry in entries] == [(ADMIN[0], "user.enable"), (ADMIN[0], "user.disable")]


async def test_another_role_ends_the_sessions_that_hold_the_old_one(system: System) -> None:
    made = await registered(system, "promoted")
    assert await status_of(system, made) == 403
    async with system.web.client(headers=await system.bearer()) as client:
        role = f"{USERS}/{made['user']['id']}/role"
        assert (await client.post(role, json={"role": "admin"})).json()["user"]["role"] == "admin"
        await ends(system, made)
        assert_problem(await client.post(role, json={"role": "king"}), 422, "payload_invalid")
        assert (await client.post(role, json={"role": "buyer"})).json()["user"]["role"] == "buyer"
    entries = await audit_log.listed(system.db, audit_log.AuditFilter(subject=made["user"]["id"]), 2)
    assert [(entry.change["role"], entry.change["was"]) for entry in entries] == [
        ("buyer", {"role": "admin"}),
        ("admin", {"role": "buyer"}),
    ]


async def test_whom_a_process_shut_out_and_died_is_out_everywhere(system: System) -> None:
    """Killed between the commit and its word to the others, who read it from SQL."""
    names = ("unheard", "demoted", "later", "doubted", "stolen")
    out, demoted, later, doubted, stolen = [await registered(system, name) for name in names]
    now = datetime.now(UTC)
    await account_admin.disable(system.db, out["user"]["id"], who="t", now=now)
    await account_admin.set_role(system.db, demoted["user"]["id"], "admin", who="t", now=now)
    await account_admin.disable(system.db, later["user"]["id"], who="t", now=now - timedelta(hours=1))
    await account_admin.enable(system.db, later["user"]["id"], who="t", now=now - timedelta(minutes=59))
    await account_admin.verify(system.db, doubted["user"]["id"], who="t", now=now - timedelta(hours=1))
    await account_admin.unverify(system.db, doubted["user"]["id"], who="t", now=now)
    await account_admin.set_password(system.db, stolen["user"]["id"], "a hash", who="t", now=now)
    await ends(system, stolen)
    await ends(system, out)
    await ends(system, demoted)
    await ends(system, doubted)
    await account_admin.set_role(system.db, demoted["user"]["id"], "buyer", who="t", now=now)
    assert await status_of(system, later) == 403, "a session from after it goes on"


async def test_an_admin_whose_password_is_public_gives_nothing_that_outlives_the_demo(system: System) -> None:
    made = await registered(system, "befriended")
    (demo,) = (account for account in ACCOUNTS if account.role == "admin")
    who = {"user_id": demo.id, "email": demo.email, "name": "D", "password": demo.password}
    await users.create(system.db, **who, role="admin", now=datetime.now(UTC))
    one = f"{USERS}/{made['user']['id']}"
    async with system.web.client(headers=await system.bearer((demo.email, demo.password))) as client:
        assert_problem(await client.post(f"{one}/role", json={"role": "admin"}), 403, "demo_admin")
        assert_problem(await client.post(f"{one}/verify"), 403, "demo_admin")
        assert (await client.post(f"{one}/role", json={"role": "buyer"})).status_code == 200
        assert (await client.get(one)).json()["user"]["role"] == "buyer"
    assert await status_of(system, made) in (401, 403)
    await account_admin.set_role(system.db, demo.id, "buyer", who="t", now=datetime.now(UTC))


async def test_the_last_admin_stays(system: System) -> None:
    async with system.web.client(headers={**await system.bearer(), "accept-language": "en"}) as client:
        (admin,) = (await client.get(USERS, params={"role": "admin"})).json()["users"]
        for verb, body in (("disable", None), ("role", {"role": "buyer"})):
            assert_problem(await client.post(f"{USERS}/{admin['id']}/{verb}", json=body), 409, "last_admin")
        page = f"/admin/users/{admin['id']}"
        refused = await send(client, page, page, {"do": "disable"})
        assert (refused.status_code, "the last admin" in refused.text) == (409, True)
        assert (await client.get("/admin/users", params={"q": "boss"})).status_code == 200
        assert (await send(client, page, page, {"do": "explode"})).status_code == 422
    assert await audit_log.listed(system.db, audit_log.AuditFilter(subject=admin["id"]), 9) == []


async def test_two_admins_who_shut_each_other_out_at_once_leave_one(system: System) -> None:
    now = datetime.now(UTC)
    kept = await account_admin.search(system.db, words=None, role="admin", after=None, limit=9)
    for number in range(4):
        await users.create(
            system.db,
            user_id=f"adm{number}",
            email=f"a{number}@x.gg",
            name="a",
            password="a-password",
            role="admin",
            now=now,
        )
    ids = [f"adm{number}" for number in range(4)] + [one.id for one in kept]
    try:
        became = await asyncio.gather(*(account_admin.disable(system.db, one, who="t", now=now) for one in ids))
        assert sorted(became) == [AccountChange.changed] * (len(ids) - 1) + [AccountChange.last_admin]
    finally:
        for one in kept:
            await account_admin.enable(system.db, one.id, who="t", now=now)
        for number in range(4):
            await account_admin.set_role(system.db, f"adm{number}", "buyer", who="t", now=now)
