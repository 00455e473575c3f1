"""Every admin route, found in the app's own table so that later ones are held to it too: nobody and buyers are refused,
and nothing is changed by their asking."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx2
import pytest
from sqlalchemy import select

from app.http.routes import api_routes, page_routes
from app.ledger import audit_log
from app.ledger.tables.accounts import users as users_table
from app.ledger.tables.events import events as events_table
from app.ledger.tables.rooms import rooms as rooms_table
from tests.http.forms import send
from tests.http.system import BUYER, System

pytestmark = pytest.mark.asyncio(loop_scope="module")
FOR_ALL = {("GET", "/admin/login"), ("POST", "/admin/login"), ("POST", "/admin/logout")}


def doors(beginning: str) -> Iterator[tuple[str, str]]:
    """(method, address) of every route under `beginning`, with a real event and made-up other ids."""
    for route in [*api_routes, *page_routes]:
        path = getattr(route, "path", "")
        if path == beginning or path.startswith(f"{beginning}/"):
            for method in sorted(getattr(route, "methods", None) or {"GET"}):
                if (method, path) not in FOR_ALL and method != "HEAD":
                    yield method, re.sub(r"{[^}]*}", "x1", path.replace("{event_id}", "event-0"))


async def test_there_are_admin_routes() -> None:
    assert len(list(doors("/api/admin"))) >= 8
    assert len(list(doors("/admin"))) >= 7


@pytest.mark.parametrize(("method", "address"), list(doors("/api/admin")))
async def test_the_admin_api_refuses_everybody_else(system: System, method: str, address: str) -> None:
    async with system.web.client() as nobody, system.web.client(headers=await system.bearer(BUYER)) as buyer:
        before = await moment(system)
        assert (await nobody.request(method, address)).status_code == 401
        refused = await buyer.request(method, address)
        assert (refused.status_code, refused.json()["code"]) == (403, "admin_only")
        assert await moment(system) == before


@pytest.mark.parametrize(("method", "address"), list(doors("/admin")))
async def test_the_admin_pages_refuse_everybody_else(system: System, method: str, address: str) -> None:
    """The forms too, and though they carry the token of this very browser."""
    words = {"accept-language": "en"}
    async with (
        system.web.client(headers=words) as nobody,
        system.web.client(headers={**words, **await system.bearer(BUYER)}) as buyer,
    ):
        before = await moment(system)
        sent = await ask(nobody, method, address)
        assert (sent.status_code, sent.headers["location"]) == (303, "/admin/login")
        refused = await ask(buyer, method, address)
        assert (refused.status_code, "You may not see this page." in refused.text) == (403, True)
        assert await moment(system) == before


async def ask(client: httpx2.AsyncClient, method: str, address: str) -> httpx2.Response:
    return await send(client, "/admin/login", address, {}) if method == "POST" else await client.get(address)


async def moment(system: System) -> list[object]:
    """What a refused request must not change: the trail, the users, the events, the rooms but for how far they are."""
    settings = select(rooms_table.c.event_id, rooms_table.c.epoch, rooms_table.c.config)
    async with system.db.read() as tx:
        rows = [(await tx.execute(query)).all() for query in (select(users_table), select(events_table), settings)]
    return [*rows, await audit_log.listed(system.db, audit_log.AuditFilter(), 100)]
