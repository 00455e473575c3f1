"""An admin brings along a connector's configuration: looked at with what is not taken, then saved."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from tests.http.forms import send
from tests.http.origins.site import asked, make_site
from tests.http.system import System
from tests.origins.connector.test_imported import integration, part

pytestmark = pytest.mark.asyncio(loop_scope="module")
QUEUED = integration("Queue", part("PagePath", "Contains", "/sale"), event="Their-Id")
ENDS = {**integration("Cancel", part("PagePath", "Equals", "/ok")), "Name": "<b>Bye"}
CONFIG = json.dumps({"Version": 3, "Integrations": [QUEUED, ENDS]})


@pytest_asyncio.fixture(loop_scope="module")
async def admin(system: System) -> AsyncIterator[httpx2.AsyncClient]:
    async with system.web.client(headers={"accept-language": "en", **await system.bearer()}) as client:
        yield client


async def rules_now(system: System, room_id: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (await asked(system, "GET", f"/rooms/{room_id}")).json()["room"]["rules"]
    return found


@pytest.mark.parametrize("way", ["pasted", "as a file"])
async def test_a_configuration_is_looked_at_and_then_saved(system: System, admin: httpx2.AsyncClient, way: str) -> None:
    site = await make_site(system)
    page = f"/admin/origins/{site.origin_id}/rooms/{site.room_id}/import"
    if way == "pasted":
        seen = await send(admin, page, page, {"config": CONFIG, "event": "their-id", "do": "look"})
    else:
        files = {"file": ("config.json", CONFIG.encode())}
        seen = await send(admin, page, f"{page}/file", {"event": "their-id"}, files=files)
    assert seen.status_code == 200
    assert "*/sale*" in seen.text
    assert "<strong>&lt;b&gt;Bye</strong>: no rule ends a visit." in seen.text
    assert await rules_now(system, site.room_id) == [], "nothing was saved"
    hidden = dict(re.findall(r'name="(rules|version)" value="([^"]*)"', seen.text))
    rules = html.unescape(hidden["rules"])
    saved = await send(admin, page, page, {"rules": rules, "version": hidden["version"], "do": "save"})
    assert saved.headers["location"] == f"/admin/origins/{site.origin_id}/rooms/{site.room_id}?done=saved"
    assert await rules_now(system, site.room_id) == json.loads(rules)
    again = await send(admin, page, page, {"rules": "[]", "version": hidden["version"], "do": "save"})
    assert again.status_code == 409, "somebody has changed the room since it was looked at"


@pytest.mark.parametrize("config", ["", "[", '{"Integrations": []}', CONFIG.replace("Their-Id", "other")])
async def test_what_is_no_configuration_of_this_room_is_said(
    system: System, admin: httpx2.AsyncClient, config: str
) -> None:
    site = await make_site(system)
    page = f"/admin/origins/{site.origin_id}/rooms/{site.room_id}/import"
    answer = await send(admin, page, page, {"config": config, "event": "their-id", "do": "look"})
    assert (answer.status_code, 'id="refused"' in answer.text, 'id="taken"' in answer.text) == (422, True, False)


async def test_the_page_is_that_of_a_room_of_this_site_and_its_forms_are_ours(
    system: System, admin: httpx2.AsyncClient
) -> None:
    site, other = await make_site(system), await make_site(system)
    page = f"/admin/origins/{site.origin_id}/rooms/{site.room_id}/import"
    assert (await admin.get(f"/admin/origins/{other.origin_id}/rooms/{site.room_id}/import")).status_code == 404
    foreign = await admin.post(f"{page}/file", data={"csrf": "x"}, files={"file": ("a", CONFIG.encode())})
    assert foreign.status_code == 403
