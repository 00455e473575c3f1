"""A buyer who reads English pages, for the tests of what pages say."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from tests.http.buyer import Buyer, buyer
from tests.http.system import System

ENGLISH = {"accept-language": "en"}


@asynccontextmanager
async def visitor(system: System, event_id: str, **options: Any) -> AsyncIterator[Buyer]:
    """A buyer who reads English."""
    async with buyer(system, event_id, headers=ENGLISH, **options) as one:
        yield one


async def page(one: Buyer, path: str = "") -> str:
    """A page of the buyer's event, or another path."""
    answer = await one.client.get(path if path.startswith("/") else f"/events/{one.event_id}{path and '/' + path}")
    assert answer.status_code == 200, answer.text
    return answer.text


async def send(one: Buyer, path: str, **fields: str) -> httpx2.Response:
    """A form, with the token that every form of a page has."""
    found = re.search(r'name="csrf" value="([^"]+)"', (await one.client.get("/login")).text)
    assert found is not None
    return await one.client.post(path, data={**fields, "csrf": found[1]})
