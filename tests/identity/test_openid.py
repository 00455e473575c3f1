"""What a log-in elsewhere proves: only what its provider signed for this shop and this attempt, in time."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.fetching import AGAIN_S, ANSWER_BYTES_MAX, KEPT_S, STALE_S
from app.identity.openid import LEEWAY_S, UNDER_WAY_MAX, OpenId
from app.identity.subject import Attempt, Client, LoginRefused, ProviderAway, Subject, TooManyAtOnce
from tests.identity.provider import CLIENT_ID, CLIENT_SECRET, Claims, FakeProvider, new_key, serving_provider

SHOP = "http://127.0.0.1:1/login/openid/callback"


@dataclass
class World:
    provider: FakeProvider
    openid: OpenId
    steady_s: float = 1_000.0
    late_s: float = 0.0  # by how much our clock is ahead

    async def through(self) -> tuple[str, Attempt]:
        """A browser goes there and comes back: the code it brings, and what was remembered."""
        url, attempt = await self.openid.begin()
        async with httpx2.AsyncClient() as browser:
            back = (await browser.get(url)).headers["location"]
        query = parse_qs(urlsplit(back).query)
        assert back.startswith(f"{SHOP}?")
        assert query["state"] == [attempt.state]
        return query["code"][0], attempt

    async def log_in(self) -> Subject:
        return await self.openid.finish(*await self.through())


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with serving_provider(FakeProvider()) as provider:
        made = World(provider, None)  # type: ignore[arg-type]
        client = Client(CLIENT_ID, CLIENT_SECRET, SHOP)
        made.openid = OpenId(provider.url, client, lambda: time.time() + made.late_s, lambda: made.steady_s)
        yield made
        await made.openid.close()


async def test_who_logged_in_there_is_known_here(world: World) -> None:
    assert await world.log_in() == Subject("person-7", "", "Ann")
    world.provider.person |= {"email": "ann@example.com", "email_verified": True}
    assert await world.log_in() == Subject("person-7", "ann@example.com", "Ann")
    for unsure in (False, None, "true", 1):
        world.provider.person["email_verified"] = unsure
        assert (await world.log_in()).email == "", "nobody checked the address"
    assert world.provider.asked.count("/keys") == 1
    assert world.provider.asked.count("/.well-known/openid-configuration") == 1


async def test_a_code_is_good_once_and_for_this_attempt_only(world: World) -> None:
    code, attempt = await world.through()
    await world.openid.finish(code, attempt)
    with pytest.raises(LoginRefused, match="invalid_grant"):
        await world.openid.finish(code, attempt)
    stolen, _ = await world.through()
    _, other = await world.openid.begin()
    with pytest.raises(LoginRefused, match="invalid_grant"):
        await world.openid.finish(stolen, other)


@pytest.mark.parametrize("code", ["", "x" * 2_001])
async def test_what_is_no_code_is_not_asked_about(world: World, code: str) -> None:
    _, attempt = await world.openid.begin()
    with pytest.raises(LoginRefused):
        await world.openid.finish(code, attempt)
    assert "/token" not in world.provider.asked


def unsigned(claims: Claims) -> str:
    return jwt.encode(claims, "", algorithm="none")


NOW = int(time.time())
FORGED: dict[str, Callable[[Claims], Claims | str]] = {
    "another nonce": lambda claims: claims | {"nonce": "another"},
    "no nonce": lambda claims: {name: value for name, value in claims.items() if name != "nonce"},
    "expired": lambda claims: claims | {"exp": NOW - 10 * LEEWAY_S, "iat": NOW - 20 * LEEWAY_S},
    "never expires": lambda claims: {name: value for name, value in claims.items() if name != "exp"},
    "from the future": lambda claims: claims | {"iat": NOW + 100_000, "exp": NOW + 200_000},
    "another audience": lambda claims: claims | {"aud": "another-shop"},
    "another audience, said to be for us": lambda claims: claims | {"aud": "another-shop", "azp": CLIENT_ID},
    "several audiences, for another": lambda claims: claims | {"aud": [CLIENT_ID, "x"], "azp": "x"},
    "another issuer": lambda claims: claims | {"iss": "https://elsewhere.example"},
    "no issuer": lambda claims: {name: value for name, value in claims.items() if name != "iss"},
    "nobody": lambda claims: {name: value for name, value in claims.items() if name != "sub"},
    "an empty subject": lambda claims: claims | {"sub": ""},
    "a huge subject": lambda claims: claims | {"sub": "x" * 256},
    "a subject that is none": lambda claims: claims | {"sub": ["person-7"]},
    "alg none": unsigned,
    "alg NONE": lambda claims: unsigned(claims).replace(unsigned(claims).split(".")[0], b64({"alg": "NONE"})),
    "signed by somebody else": lambda claims: jwt.encode(claims, new_key(), algorithm="RS256", headers={"kid": "one"}),
    "signed with the client's secret": lambda claims: jwt.encode(claims, CLIENT_SECRET, algorithm="HS256"),
    "its signature cut off": lambda claims: unsigned(claims).replace("none", "RS256"),
    "no token": lambda _: "hello",
    "a wrong hash of the access token": lambda claims: claims | {"at_hash": "AAAA"},
}


def b64(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("name", list(FORGED))
async def test_a_token_that_says_anything_else_proves_nobody(world: World, name: str) -> None:
    world.provider.forge = FORGED[name]
    with pytest.raises(LoginRefused):
        await world.log_in()


async def test_a_mac_keyed_with_the_public_key_proves_nobody(world: World) -> None:
    public = world.provider.keys["one"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def forge(claims: Claims) -> str:
        said = f"{b64({'alg': 'HS256', 'kid': 'one'})}.{b64(claims)}"
        mac = hmac.digest(public, said.encode(), "sha256")
        return f"{said}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    world.provider.forge = forge
    with pytest.raises(LoginRefused):
        await world.log_in()


async def test_times_are_asked_of_our_own_clock(world: World) -> None:
    code, attempt = await world.through()
    world.late_s = 60 + LEEWAY_S + 10
    with pytest.raises(LoginRefused, match="expired"):
        await world.openid.finish(code, attempt)


async def test_a_key_that_it_signs_with_since_then_is_found_at_a_bounded_rate(world: World) -> None:
    await world.log_in()
    world.provider.keys["two"] = new_key()
    with pytest.raises(LoginRefused, match="kid"):
        await world.log_in()
    assert world.provider.asked.count("/keys") == 1, "it was asked just now"
    world.steady_s += AGAIN_S
    assert (await world.log_in()).subject == "person-7"
    world.provider.forge = lambda claims: jwt.encode(
        claims, world.provider.keys["two"], algorithm="RS256", headers={"kid": "three"}
    )
    for _ in range(5):
        with pytest.raises(LoginRefused, match="kid"):
            await world.log_in()
    assert world.provider.asked.count("/keys") == 2


@pytest.mark.parametrize(
    "lie",
    [
        {"issuer": "https://elsewhere.example"},
        {"issuer": None},
        {"authorization_endpoint": "http://elsewhere.example/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://a.example/x\r\nset-cookie: a=b"},
        {"token_endpoint": "http://169.254.169.254/latest"},
        {"token_endpoint": "file:///etc/passwd"},
        {"token_endpoint": "https://user:word@a.example/token"},
        {"jwks_uri": ["https://a.example"]},
        {"jwks_uri": "http://[::ffff/keys"},
    ],
)
async def test_a_provider_that_lies_about_itself_is_none(world: World, lie: Claims) -> None:
    world.provider.about = lie
    with pytest.raises(ProviderAway):
        await world.openid.begin()


async def test_one_that_is_away_is_left_alone_and_what_it_said_before_is_used_for_a_day(world: World) -> None:
    world.provider.is_away = True
    for _ in range(3):
        with pytest.raises(ProviderAway):
            await world.openid.begin()
    assert len(world.provider.asked) == 1
    world.provider.is_away = False
    world.steady_s += AGAIN_S
    code, attempt = await world.through()
    world.provider.is_away = True
    with pytest.raises(ProviderAway):
        await world.openid.finish(code, attempt)
    world.steady_s += KEPT_S
    await world.openid.begin()
    world.steady_s += STALE_S
    with pytest.raises(ProviderAway):
        await world.openid.begin()


async def test_one_that_cannot_be_reached_is_away() -> None:
    openid = OpenId("http://127.0.0.1:1", Client("a", "", SHOP), time.time, lambda: 0.0)
    with pytest.raises(ProviderAway):
        await openid.begin()
    await openid.close()


async def raw(answer: bytes) -> tuple[asyncio.Server, str]:
    """A server that says this to everybody."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b" " * (ANSWER_BYTES_MAX + 1),
        b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"what?\r\n\r\n",
    ],
    ids=["too long", "elsewhere", "packed", "no JSON", "no object", "no HTTP"],
)
async def test_an_answer_outside_the_limits_is_none(answer: bytes) -> None:
    server, url = await raw(answer)
    async with server:
        openid = OpenId(url, Client("a", "", SHOP), time.time, lambda: 0.0)
        with pytest.raises(ProviderAway):
            await openid.begin()
        await openid.close()


async def test_one_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.fetching.TIMEOUT_S", 0.05)
    waits = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await waits.wait()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        openid = OpenId(url, Client("a", "", SHOP), time.time, lambda: 0.0)
        with pytest.raises(ProviderAway, match="Timeout"):
            await openid.begin()
        waits.set()
        await openid.close()


async def test_no_more_codes_are_asked_about_at_once_than_may_be(world: World) -> None:
    _, attempt = await world.openid.begin()
    asked = [asyncio.create_task(world.openid.finish("code", attempt)) for _ in range(UNDER_WAY_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyAtOnce):
        await world.openid.finish("code", attempt)
    assert all(isinstance(each, LoginRefused) for each in await asyncio.gather(*asked, return_exceptions=True))
    assert (await world.log_in()).subject == "person-7"
