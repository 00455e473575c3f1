"""Sends a form as the page has it: with the token that only this browser was given."""

from __future__ import annotations

import re

import httpx2


async def send(
    client: httpx2.AsyncClient, page: str, action: str, fields: dict[str, str], **options: object
) -> httpx2.Response:
    """The answer to the form `action` with the token found in `page`."""
    found = re.search(r'name="csrf" value="([^"]+)"', (await client.get(page)).text)
    assert found, f"{page} has no form with a token"
    return await client.post(action, data={**fields, "csrf": found[1]}, **options)  # type: ignore[arg-type]
