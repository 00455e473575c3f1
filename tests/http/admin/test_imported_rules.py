"""An admin sends the configuration that a connector had, sees the rules that it would be, and saves them."""

from __future__ import annotations

import pytest

from tests.http.buyer import assert_problem
from tests.http.origins.site import make_site
from tests.http.system import System
from tests.origins.connector.test_imported import integration, part

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_rules_of_a_configuration_are_shown_and_may_be_saved(system: System) -> None:
    site = await make_site(system)
    path = f"/api/admin/rooms/{site.room_id}"
    queued = integration("Queue", part("PagePath", "Contains", "/sale"), event="Their-Id")
    config = {"Version": 3, "Integrations": [queued, integration("Cancel", part("PagePath", "Equals", "/ok"))]}
    async with system.web.client(headers=await system.bearer()) as client:
        shown = await client.post(f"{path}/rules/import?event=their-id", json=config)
        assert shown.status_code == 200, shown.text
        rules = shown.json()["rules"]
        assert rules[0] == {"action": "queue", "path": ["*/sale*"]}
        assert "Tiketi-Visit" in shown.json()["notes"][0]
        assert (await client.get(path)).json()["room"]["rules"] == [], "nothing was saved"
        assert (await client.put(path, json={"rules": rules})).json()["room"]["rules"] == rules


async def test_what_is_no_configuration_of_this_room_is_refused(system: System) -> None:
    site = await make_site(system)
    path = f"/api/admin/rooms/{site.room_id}/rules/import"
    config = {"Integrations": [integration("Queue", event="other")]}
    async with system.web.client(headers=await system.bearer()) as client:
        assert_problem(await client.post(path, json=config), 422, "connector_config_invalid")
        assert_problem(await client.post(path, content=b"[" * 10_000), 422, "connector_config_invalid")
        assert_problem(await client.post(path, content=b" " * 1_100_000), 413, "body_too_large")
        assert_problem(await client.post(path.replace(site.room_id, "nowhere"), json=config), 404, "room_unknown")
