"""A buyer as a client developer would write one: joins, asks, follows the stream, claims, reserves, pays."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from starlette.routing import Match

from app.http.kit.api import ApiRoute
from app.http.kit.refusals import REFUSALS, code_of
from app.http.routes import api_routes
from tests.http.system import System, Web
from tests.waiting import wait_until

Answer = httpx2.Response


async def make_account(client: httpx2.AsyncClient, email: str, password: str, name: str = "Ann") -> Answer:
    """Register and log in, as a person does; what the log-in answered."""
    body = {"name": name, "email": email, "password": password}
    registered = await client.post("/api/auth/register", json=body)
    assert registered.status_code == 202, registered.text
    answer = await client.post("/api/auth/login", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    return answer


@dataclass
class Buyer:
    """`client` keeps the cookies, as a browser does."""

    client: httpx2.AsyncClient
    event_id: str

    async def post(self, name: str, **options: Any) -> Answer:
        return await self.client.post(f"/api/queue/{self.event_id}/{name}", **options)

    async def join(self, wish: dict[str, Any] | None = None, **options: Any) -> Answer:
        return await self.post("join", json={"wish": wish} if wish else {}, **options)

    async def position(self) -> dict[str, Any]:
        answer = await self.client.get(f"/api/queue/{self.event_id}/position")
        assert answer.status_code == 200, answer.text
        position: dict[str, Any] = answer.json()
        return position

    async def until(self, *states: str) -> dict[str, Any]:
        """Poll until the position is in one of `states`; that position."""

        async def stands() -> dict[str, Any] | None:
            position = await self.position()
            return position if position["state"] in states else None

        return await wait_until(stands, description=f"the buyer is {' or '.join(states)}")

    async def given(self) -> dict[str, Any]:
        """Poll until the seats of the wish are held; what the position says of them."""

        async def held() -> dict[str, Any] | None:
            return (await self.position()).get("reservation")

        return await wait_until(held, description="the wish's seats are held")

    async def claim(self) -> Answer:
        return await self.post("claim")

    async def enter(self, wish: dict[str, Any] | None = None) -> dict[str, Any]:
        """Join, wait for the turn, claim it; what the claim answered."""
        await self.join(wish)
        await self.until("admitted")
        answer = await self.claim()
        assert answer.status_code == 200, answer.text
        claimed: dict[str, Any] = answer.json()
        return claimed

    async def reserve(self, *, headers: dict[str, str] | None = None, **wanted: Any) -> Answer:
        return await self.client.post(
            "/api/seats/reserve", json={"eventId": self.event_id, **wanted}, headers=headers or {}
        )

    async def hold(self, **wanted: Any) -> dict[str, Any]:
        answer = await self.reserve(**wanted)
        assert answer.status_code == 201, answer.text
        reservation: dict[str, Any] = answer.json()["reservation"]
        return reservation

    async def pay(self, reservation_id: str, method: str = "kakao_pay") -> Answer:
        return await self.client.post(
            "/api/payments/process", json={"reservationId": reservation_id, "paymentMethod": method}
        )

    async def seat_statuses(self) -> dict[str, str]:
        answer = await self.client.get(f"/api/seats/events/{self.event_id}")
        return {seat["id"]: seat["status"] for seat in answer.json()["seats"]}

    @asynccontextmanager
    async def stream(self, **options: Any) -> AsyncIterator[Stream]:
        async with self.client.stream("GET", f"/api/queue/{self.event_id}/stream", **options) as answer:
            yield Stream(answer, answer.aiter_lines())


@dataclass
class Event:
    """One Server-Sent Event."""

    name: str
    data: Any
    id: str | None


@dataclass
class Stream:
    answer: Answer
    _lines: AsyncIterator[str]
    retry_ms: int | None = None

    async def events(self) -> AsyncIterator[Event]:
        """Every event until the stream ends, by the rules of the HTML standard."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line:
                if "data" in fields:
                    yield Event(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id"))
                fields = {}
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "retry":
                self.retry_ms = int(value)
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value

    async def next(self, name: str) -> Event:
        """The next event of this name; what comes before it is passed over."""
        async for event in self.events():
            if event.name == name:
                return event
        raise AssertionError(f"the stream ended without {name!r}")

    async def rest(self) -> list[Event]:
        """Everything until the server ends the stream."""
        return [event async for event in self.events()]


@asynccontextmanager
async def buyer(system: System, event_id: str, web: Web | None = None, **options: Any) -> AsyncIterator[Buyer]:
    async with (web or system.web).client(**options) as client:
        yield Buyer(client, event_id)


def described(answer: Answer) -> set[str]:
    """The codes that a route says it may answer with this status; all of them for what is no route of the API's."""
    asked = {"type": "http", "path": answer.request.url.path, "method": answer.request.method}
    for route in api_routes:
        if isinstance(route, ApiRoute) and route.matches(asked)[0] is Match.FULL:
            return {code_of(name) for name in route.operation.refusals.get(answer.status_code, ())}
    return {code_of(name) for name in REFUSALS}


def without_id(body: dict[str, Any]) -> dict[str, Any]:
    """A refusal as it is for everybody: every request has an id of its own."""
    return {name: value for name, value in body.items() if name != "requestId"}


def assert_problem(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """The answer is this refusal, told as RFC 9457 wants it, and tells nothing of our insides."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"urn:tiketi:problem:{code}"
    assert body["detail"].endswith((".", "?", "!"))
    assert body["next"].endswith(".")
    assert code in described(answer), "the route does not say that it refuses with this"
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text
    return body
