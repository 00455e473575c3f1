"""Logging in with the organiser's provider: one subject is one verified account, and nobody's account is taken over."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
import sqlalchemy
from structlog.testing import capture_logs

from app.ledger import account_admin, audit_log, users
from app.ledger.tables.accounts import users as users_table
from tests.http.system import System, Web
from tests.identity.provider import CLIENT_ID, CLIENT_SECRET, FakeProvider, serving_provider

pytestmark = pytest.mark.asyncio(loop_scope="module")
PASSWORD = "a long enough one"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[FakeProvider]:
    async with serving_provider(FakeProvider()) as provider:
        yield provider


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("openid") / "secret"
    file.write_text(f"{CLIENT_SECRET}\n")
    return file


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web(system: System, served: FakeProvider, secret: Path) -> AsyncIterator[Web]:
    named = {"oidc_issuer": served.url, "oidc_client_id": CLIENT_ID, "oidc_name": "The Club"}
    yield await system.another_web(**named, oidc_client_secret_file=secret)


@pytest.fixture
def provider(served: FakeProvider) -> Iterator[FakeProvider]:
    """The provider, with somebody nobody has seen logged in to it."""
    served.person = {"sub": secrets.token_hex(8), "name": "Ann"}
    yield served
    served.forge, served.refuses, served.is_away = (lambda claims: claims), "", False


def email_of(provider: FakeProvider) -> str:
    """An address that the provider says is checked, from now on."""
    email = f"{provider.person['sub']}@club.example"
    provider.person |= {"email": email.upper(), "email_verified": True}
    return email


async def away(client: httpx2.AsyncClient, web: Web, query: str = "next=/reservations") -> str:
    """Go to the provider and log in there: the address that it sends the browser back to, as this process has it."""
    sent = await client.get(f"/login/openid?{query}")
    assert sent.status_code == 303, sent.text
    async with httpx2.AsyncClient() as elsewhere:
        back = (await elsewhere.get(sent.headers["location"])).headers["location"]
    return f"/login/openid/callback?{back.partition('?')[2]}"


async def log_in(client: httpx2.AsyncClient, web: Web, query: str = "next=/reservations") -> httpx2.Response:
    return await client.get(await away(client, web, query))


async def user_of(system: System, provider: FakeProvider) -> users.User | None:
    return await users.of_subject(system.db, users.LoginElsewhere(provider.url, provider.person["sub"]))


async def with_password(system: System, email: str) -> str:
    """An account that somebody made here; its id."""
    user_id = f"u_{secrets.token_hex(6)}"
    made = {"user_id": user_id, "email": email, "name": "Ann", "password": PASSWORD}
    assert await users.create(system.db, **made, role="buyer", now=datetime.now(UTC))
    return user_id


def refused_with(answer: httpx2.Response) -> str:
    assert answer.status_code == 303
    assert not answer.cookies.get("tiketi_session")
    at, _, query = answer.headers["location"].partition("?")
    assert at == "/login"
    code: str = dict(httpx2.QueryParams(query).items())["refused"]
    return code


async def test_who_logs_in_there_has_a_verified_account_here_and_the_same_one_each_time(
    web: Web, system: System, provider: FakeProvider
) -> None:
    email = email_of(provider)
    strict = await system.event()
    await system.change(strict, door="verified")
    await web.state["rooms"].reload(strict)
    async with web.client(headers={"accept-language": "en"}) as client:
        page = (await client.get("/login?next=/reservations")).text
        assert "Log in with The Club" in page
        assert 'href="/login/openid?next=/reservations"' in page
        answer = await log_in(client, web)
        assert (answer.status_code, answer.headers["location"]) == (303, "/reservations")
        assert "tiketi_openid" not in client.cookies
        assert (await client.post(f"/api/queue/{strict}/join")).status_code == 201
    made = await user_of(system, provider)
    assert made is not None
    assert (made.email, made.name, made.role, made.password_hash) == (email, "Ann", "buyer", "")
    assert made.verified_at is not None
    async with web.client() as another:
        await log_in(another, web)
        assert (await another.post(f"/api/queue/{strict}/join")).json()["number"] == 1
        assert (await another.post("/api/auth/logout")).status_code == 200
        assert (await another.post(f"/api/queue/{strict}/join")).status_code == 401
    again = await user_of(system, provider)
    assert again == made


async def test_many_first_log_ins_at_once_make_one_account(web: Web, system: System, provider: FakeProvider) -> None:
    email_of(provider)

    async def first() -> str:
        async with web.client() as client:
            onward: str = (await log_in(client, web)).headers["location"]
            return onward

    assert await asyncio.gather(*(first() for _ in range(6))) == ["/reservations"] * 6
    async with system.db.read() as tx:
        named = users_table.c.email.contains(provider.person["sub"])
        found = (await tx.execute(sqlalchemy.select(users_table.c.id).where(named))).all()
    assert len(found) == 1


@pytest.mark.parametrize("person", [{}, {"email": "ann@club.example"}, {"email": "none", "email_verified": True}])
async def test_an_address_that_nobody_checked_is_no_address_of_the_account(
    web: Web, system: System, provider: FakeProvider, person: dict[str, Any]
) -> None:
    provider.person |= {**person, "name": "\x00"}
    async with web.client() as client:
        assert (await log_in(client, web)).headers["location"] == "/reservations"
    made = await user_of(system, provider)
    assert made is not None
    assert made.email.endswith("@openid.invalid")
    assert made.name == "The Club"


async def test_an_account_with_the_same_email_is_not_taken_over(
    web: Web, system: System, provider: FakeProvider
) -> None:
    email = email_of(provider)
    owner = await with_password(system, email)
    async with web.client(headers={"accept-language": "en"}) as stranger:
        answer = await log_in(stranger, web)
        assert refused_with(answer) == "openid_email_taken"
        said = await stranger.get(answer.headers["location"])
        assert (said.status_code, "log in with that password first" in said.text) == (409, True)
        assert 'href="/login/openid?next=/reservations&amp;separate=1"' in said.text
        assert await user_of(system, provider) is None
        answer = await log_in(stranger, web, "next=/reservations&separate=1")
        assert answer.headers["location"] == "/reservations"
    made, kept = await user_of(system, provider), await users.get(system.db, owner)
    assert made is not None
    assert kept is not None
    assert made.id != owner
    assert made.email.endswith("@openid.invalid")
    assert (kept.email, kept.verified_at) == (email, None)


async def test_its_owner_connects_it_by_logging_in_first(web: Web, system: System, provider: FakeProvider) -> None:
    email = email_of(provider)
    owner = await with_password(system, email)
    async with web.client(headers={"accept-language": "en"}) as client:
        login = {"email": email, "password": PASSWORD}
        assert (await client.post("/api/auth/login", json=login)).status_code == 200
        assert "Connect this account with The Club" in (await client.get("/account/password")).text
        assert (await log_in(client, web)).headers["location"] == "/reservations"
    found = await user_of(system, provider)
    assert found is not None
    assert (found.id, found.verified_at is not None) == (owner, True)
    (entry,) = await audit_log.listed(system.db, audit_log.AuditFilter(subject=owner), 9)
    assert (entry.who, entry.action) == (provider.url, "user.verify")
    async with web.client() as another:
        await log_in(another, web)
        await account_admin.unverify(system.db, owner, who="t", now=datetime.now(UTC))
        await log_in(another, web)
    found = await user_of(system, provider)
    assert found is not None
    assert found.verified_at is None, "what an admin took back no log-in gives again"


async def test_somebody_else_who_is_logged_in_connects_nothing(
    web: Web, system: System, provider: FakeProvider
) -> None:
    email = email_of(provider)
    await with_password(system, email)
    await with_password(system, f"other-{email}")
    async with web.client() as client:
        await client.post("/api/auth/login", json={"email": f"other-{email}", "password": PASSWORD})
        answer = await log_in(client, web)
        assert refused_with(answer) == "openid_email_taken"
    assert await user_of(system, provider) is None


async def test_a_disabled_account_stays_out(web: Web, system: System, provider: FakeProvider) -> None:
    async with web.client() as client:
        await log_in(client, web)
        made = await user_of(system, provider)
        assert made is not None
        await account_admin.disable(system.db, made.id, who="t", now=datetime.now(UTC))
    async with web.client() as client:
        assert refused_with(await log_in(client, web)) == "account_disabled"


async def test_what_comes_back_must_have_been_sent_from_here_and_is_good_once(web: Web, provider: FakeProvider) -> None:
    async with web.client() as victim, web.client() as thief:
        planted = await away(thief, web)
        assert refused_with(await victim.get(planted)) == "openid_stale"
        begun = thief.cookies["tiketi_openid"]
        wrong = planted.replace("state=", "state=x")
        assert refused_with(await thief.get(wrong)) == "openid_stale"
        thief.cookies.set("tiketi_openid", begun)
        assert (await thief.get(planted)).headers["location"] == "/reservations"
    async with web.client() as again:
        again.cookies.set("tiketi_openid", begun)
        assert refused_with(await again.get(planted)) == "openid_stale"
        again.cookies.set("tiketi_openid", begun[:-2])
        assert refused_with(await again.get(planted)) == "openid_stale"


async def test_one_that_took_too_long_is_begun_anew(
    web: Web, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.http.accounts.openid.BEGUN_S", 0)
    async with web.client() as client:
        back = await away(client, web)
        assert refused_with(await client.get(back)) == "openid_stale"


async def test_a_token_of_a_session_does_not_pass_for_a_begun_log_in(web: Web, provider: FakeProvider) -> None:
    async with web.client() as client:
        await log_in(client, web)
        session = client.cookies["tiketi_session"]
    async with web.client(cookies={"tiketi_openid": session}) as client:
        assert refused_with(await client.get("/login/openid/callback?code=a&state=b")) == "openid_stale"
    async with web.client() as client:
        await client.get("/login/openid")
        begun = {"authorization": f"Bearer {client.cookies['tiketi_openid']}"}
        answer = await client.get("/api/reservations/my", headers=begun)
        assert answer.json()["code"] == "session_invalid"


async def test_a_token_that_was_forged_logs_nobody_in(web: Web, system: System, provider: FakeProvider) -> None:
    provider.forge = lambda claims: claims | {"nonce": "another"}
    async with web.client(headers={"accept-language": "en"}) as client:
        with capture_logs() as logs:
            answer = await log_in(client, web)
        assert refused_with(answer) == "openid_refused"
        said = await client.get(answer.headers["location"])
        assert (said.status_code, "could not show who you are" in said.text) == (403, True)
        assert "code=" not in str(said.url)
    assert [one["event"] for one in logs if one["event"].startswith("openid")] == ["openid_refused"]
    assert await user_of(system, provider) is None


async def test_another_issuer_that_answers_is_not_believed(web: Web, provider: FakeProvider) -> None:
    async with web.client() as client:
        back = await away(client, web)
        mixed = back.replace("iss=http", "iss=https")
        assert mixed != back
        assert refused_with(await client.get(mixed)) == "openid_refused"


async def test_who_leaves_the_log_in_there_is_told_so(web: Web, provider: FakeProvider) -> None:
    provider.refuses = "access_denied"
    async with web.client() as client:
        assert refused_with(await log_in(client, web)) == "openid_denied"


async def test_while_it_is_away_people_are_told_so_and_it_is_counted(
    web: Web, system: System, provider: FakeProvider
) -> None:
    lost = await system.another_web(oidc_issuer="http://127.0.0.1:1", oidc_client_id=CLIENT_ID)
    async with lost.client(headers={"accept-language": "en"}) as client:
        answer = await client.get("/login/openid?next=/reservations")
        assert refused_with(answer) == "openid_away"
        assert "next=%2Freservations" in answer.headers["location"]
        said = await client.get(answer.headers["location"])
        assert (said.status_code, "does not answer at the moment" in said.text) == (503, True)
        assert "Log in with 127.0.0.1" in said.text
    assert lost.state["meters"].accounts["openid_away",] == 1
    async with web.client() as client:
        back = await away(client, web)
        provider.is_away = True
        assert refused_with(await client.get(back)) == "openid_away"


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/%0d%0aset-cookie:a", "javascript:alert(1)"],
)
async def test_nobody_is_led_to_another_site(web: Web, provider: FakeProvider, target: str) -> None:
    async with web.client() as client:
        answer = await log_in(client, web, f"next={target}")
        assert answer.headers["location"] == "/"
        assert (await client.get(f"/login?next={target}&refused=nonsense")).status_code == 200


async def test_a_link_of_another_site_logs_nobody_in(web: Web, provider: FakeProvider) -> None:
    async with web.client(headers={"sec-fetch-site": "cross-site"}) as client:
        answer = await client.get("/login/openid?next=/reservations")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Freservations")
        assert "tiketi_openid" not in client.cookies


async def test_an_account_without_a_password_cannot_be_entered_by_one(
    web: Web, system: System, provider: FakeProvider
) -> None:
    email = email_of(provider)
    async with web.client() as client:
        await log_in(client, web)
        for password in ("", " ", "nobody's password", "None"):
            answer = await client.post("/api/auth/login", json={"email": email, "password": password or "x"})
            assert answer.json()["code"] == "login_refused"
        change = {"password": "x", "newPassword": "another long one"}
        answer = await client.post("/api/auth/password", json=change)
        assert (answer.status_code, answer.json()["code"]) == (403, "password_none")


async def test_where_no_provider_is_set_there_is_nothing(system: System) -> None:
    async with system.web.client() as client:
        assert "/login/openid" not in (await client.get("/login")).text
        for path in ("/login/openid", "/login/openid/callback?code=a&state=b"):
            assert (await client.get(path)).status_code == 404


async def test_the_codes_of_an_address_are_counted(system: System, secret: Path, provider: FakeProvider) -> None:
    few = await system.another_web(
        oidc_issuer=provider.url,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret_file=secret,
        logins_per_address_max=1,
        login_window_s=86_400,
        trusted_proxies="127.0.0.1",
    )
    provider.forge = lambda claims: claims | {"nonce": "another"}
    async with few.client(headers={"x-forwarded-for": "203.0.113.9"}) as client:
        assert refused_with(await log_in(client, few)) == "openid_refused"
        provider.asked.clear()
        answer = await log_in(client, few)
        assert answer.status_code == 429
        assert "/token" not in provider.asked


async def test_an_address_makes_no_more_accounts_by_logging_in_there_than_by_registering(
    system: System, secret: Path, provider: FakeProvider
) -> None:
    few = await system.another_web(
        oidc_issuer=provider.url,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret_file=secret,
        registrations_per_address_max=2,
        login_window_s=86_400,
        trusted_proxies="127.0.0.1",
    )

    async def status(subject: str, address: str = "203.0.113.10") -> int:
        provider.person = {"sub": subject, "name": "Ann"}
        async with few.client(headers={"x-forwarded-for": address}) as client:
            return (await log_in(client, few)).status_code

    people = [secrets.token_hex(8) for _ in range(4)]
    assert [await status(each) for each in people[:3]] == [303, 303, 429]
    assert await user_of(system, provider) is None
    assert await status(people[0]) == 303, "who has an account comes in"
    assert await status(people[2], "203.0.113.11") == 303
