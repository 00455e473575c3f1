"""A site behind a room, as tests need it: made by an admin, asked about by a proxy, and visited by a browser."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.http.system import System, Web

HOST = "shop.example"
TARGET = f"https://{HOST}/sale"
SECRETIVE = {"trusted_proxies": "127.0.0.1"}  # this machine's proxy is believed
WAITING = {"ratePerSecond": 0.1, "burst": 1, "maxActive": 1}  # whoever comes after the first waits
_numbers = itertools.count(1)


@dataclass
class Site:
    """`secret` and `api_key`: as its owner was shown them."""

    origin_id: str
    room_id: str
    secret: str
    api_key: str


async def asked(system: System, method: str, path: str, body: Any = None) -> httpx2.Response:
    async with system.web.client(headers=await system.bearer()) as client:
        return await client.request(method, f"/api/admin{path}", json=body)


async def make_site(system: System, **room: Any) -> Site:
    """An origin with one room, open at once, which the web process knows when this returns."""
    name = f"site-{next(_numbers)}"
    origin = {"id": name, "name": "A shop", "hosts": [HOST, "http://localhost:3000"], "targetUrl": TARGET}
    made = await asked(system, "POST", "/origins", origin)
    assert made.status_code == 201, made.text
    wanted = {"id": f"{name}-sale", "origin": name, "name": "Sale", "ratePerSecond": 1000, "burst": 1000, **room}
    answer = await asked(system, "POST", "/rooms", wanted)
    assert answer.status_code == 201, answer.text
    return Site(name, f"{name}-sale", made.json()["secret"], made.json()["apiKey"])


async def check(
    system: System, room_id: str, uri: str = "/sale", headers: dict[str, str] | None = None, **how: Any
) -> httpx2.Response:
    """What a proxy is answered that asks about a request for `uri`, a page that a browser wants."""
    asking = {"x-forwarded-method": "GET", "x-forwarded-proto": "https", "x-forwarded-host": HOST}
    asking |= {"x-forwarded-uri": uri, "accept": "text/html", "sec-fetch-mode": "navigate", "host": HOST}
    web: Web = how.pop("web", system.web)
    async with web.client() as client:
        query = how.pop("query", "")
        return await client.get(f"/check/{room_id}{query}", headers={**asking, **(headers or {})}, **how)


@dataclass
class Visitor:
    """A browser without scripts: it follows redirects at our own host until it is sent elsewhere, or shown a page."""

    client: httpx2.AsyncClient

    async def go(self, path: str) -> httpx2.Response:
        answer = await self.client.get(path)
        for _ in range(5):
            if answer.status_code not in (302, 303) or not answer.headers["location"].startswith("/"):
                break
            answer = await self.client.get(answer.headers["location"])
        return answer

    async def submit(self, path: str) -> httpx2.Response:
        page = await self.client.get("/login")
        token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        return await self.client.post(path, data={"csrf": token})


@asynccontextmanager
async def visitor(system: System, web: Web | None = None, **options: Any) -> AsyncIterator[Visitor]:
    async with (web or system.web).client(**options) as client:
        yield Visitor(client)


def pass_in(location: str) -> str:
    """The pass in the address that somebody is sent to."""
    (token,) = parse_qs(urlsplit(location).query)["tiketi_pass"]
    return token


async def let_in(system: System, room_id: str) -> str:
    """The pass of somebody who was let in just now."""
    async with visitor(system) as ann:
        answer = await ann.go(f"/wait/{room_id}")
        for _ in range(500):
            if not answer.headers.get("location", "/").startswith("/"):
                return pass_in(answer.headers["location"])
            answer = await ann.submit(f"/wait/{room_id}/claim")
    raise AssertionError("nobody was let in")
