"""What a connector says raises an alarm if several clients come with it, and never because one says it again."""

from __future__ import annotations

import pytest

from app.metrics.web import CLIENTS_S, Meters
from app.origins.connector.tokens import QueueToken, signed
from tests.http.origins.site import SECRETIVE, Site, visitor
from tests.http.origins.test_connector import make_shop, refusing
from tests.http.system import System, Web

SETTINGS = SECRETIVE
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def says(system: System, site: Site, address: str, visit: str, web: Web | None = None) -> None:
    """Somebody at this address has a token for this visit, and says that the shop's secret is another."""
    ends_s = int(system.state["clock"].seconds()) + 100
    token = signed(QueueToken(room=site.room_id, queue_id=visit, ends_s=ends_s, valid_minutes=1), site.secret)
    async with visitor(system, web=web, headers={"x-forwarded-for": address}) as ann:
        assert (await ann.client.get(refusing(site, "hash", token))).status_code == 302


def clients(site: Site, *webs: Web) -> int:
    counts = [web.state["meters"].clients_lately() for web in webs]
    return sum(found.get((site.origin_id, "secret_differs"), 0) for found in counts)


async def test_one_client_is_one_however_often_it_says_so(system: System) -> None:
    site = await make_shop(system)
    other = await system.another_web(**SECRETIVE)
    for visit in ("a", "b", "c", "d"):
        await says(system, site, "203.0.113.1", visit)
        await says(system, site, "203.0.113.1", visit, web=other)
    assert clients(site, system.web, other) == 1
    assert system.state["meters"].connectors[site.origin_id, "secret_differs"] == 4


async def test_one_visit_is_one_from_however_many_addresses(system: System) -> None:
    site = await make_shop(system)
    for last in range(1, 5):
        await says(system, site, f"203.0.113.{last}", "same")
        await says(system, site, f"2001:db8::{last}", f"v6-{last}")
    assert clients(site, system.web) == 2


async def test_several_clients_are_counted_by_all_processes_together(system: System) -> None:
    site = await make_shop(system)
    other = await system.another_web(**SECRETIVE)
    for last in range(1, 4):
        await says(system, site, f"203.0.113.{last}", f"visit-{last}", web=other if last % 2 else None)
    assert clients(site, system.web, other) == 3


async def test_a_client_counts_for_ten_minutes() -> None:
    now_s = [100.0]
    meters = Meters(lambda: now_s[0])
    meters.connector_client("acme", "secret_differs", None)
    now_s[0] += CLIENTS_S - 1
    meters.connector_client("acme", "secret_differs", None)
    assert meters.clients_lately() == {("acme", "secret_differs"): 2}
    now_s[0] += 1
    assert meters.clients_lately() == {("acme", "secret_differs"): 1}
