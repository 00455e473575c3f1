"""What a sale leaves in the metrics, who may read them, and that no label grows with what strangers ask."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message, Receive, Scope, Send

from app import VERSION
from app.http.hot import front
from app.metrics.catalogue import CATALOGUE, exposed
from tests.http.buyer import assert_problem, buyer
from tests.http.system import BUYER, System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "a-token-of-some-length"


async def scraped(client: httpx2.AsyncClient) -> dict[str, float]:
    """Sample name and labels, process left out → the sum."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()) if name != "process")
            key = f"{sample.name}{{{labels}}}"
            found[key] = found.get(key, 0) + sample.value
    return found


async def test_a_sale_can_be_followed_in_the_metrics(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann, system.web.client() as prometheus:
        before = await scraped(prometheus)
        await ann.enter()
        held = await ann.hold(seatIds=["s0", "s1"])
        assert (await ann.pay(held["id"])).status_code == 201
        assert (await ann.reserve(seatIds=["s0"])).status_code in (409, 410)

        async def is_told() -> dict[str, float] | None:
            system.state["metrics"].stores.forget()
            now = await scraped(prometheus)
            return now if now.get(f"tiketi_reservations{{event_id={event_id},status=confirmed}}") else None

        now = await wait_until(is_told, description="the sale is in the metrics")

    def grown(name: str, **labels: str) -> float:
        key = f"{name}{{{','.join(f'{label}={value}' for label, value in sorted(labels.items()))}}}"
        return now.get(key, 0) - before.get(key, 0)

    assert grown("tiketi_joins_total", event_id=event_id, status="joined") == 1
    assert grown("tiketi_claims_total", event_id=event_id, status="claimed") == 1
    assert grown("tiketi_polls_total") >= 1
    assert grown("tiketi_lane_wait_seconds_count", command="hold") >= 1
    assert grown("tiketi_lane_wait_seconds_count", command="confirm") == 1
    assert grown("tiketi_revenue_won", event_id=event_id) == held["totalPrice"]
    assert grown("tiketi_seats", event_id=event_id, status="sold") == 2
    assert grown("tiketi_room_numbers_total", event_id=event_id) == 1
    assert grown("tiketi_room_admissions_total", event_id=event_id) == 1
    route = {"method": "POST", "route": "/api/seats/reserve", "status": "201"}
    assert grown("tiketi_request_seconds_count", **route) == 1
    assert now["tiketi_redis_up{}"] == now["tiketi_sql_up{}"] == now["tiketi_redis_aof_ok{}"] == 1
    assert now[f"tiketi_room_waiting{{event_id={event_id}}}"] == 0
    build = f"tiketi_build_info{{python={platform.python_version()},version={VERSION}}}"
    assert now[build] >= 1, "one for each process"
    assert now["tiketi_process_resident_memory_bytes{}"] > 0


async def test_a_machine_whose_stores_are_elsewhere_needs_no_data_folder(system: System, tmp_path: Path) -> None:
    web = await system.another_web(
        data_dir=tmp_path / "none",
        database_url=system.settings.database,
        keys_file=system.settings.data_dir / "keys.json",
    )
    async with web.client() as client:
        assert "tiketi_redis_up 1.0" in (await client.get("/metrics")).text
        assert (await client.get("/status")).status_code == 200

        async def is_ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        await wait_until(is_ready, description="the process is ready")
    assert not (tmp_path / "none").exists()


async def test_nothing_is_told_that_the_catalogue_does_not_have(system: System) -> None:
    known = {series for name in CATALOGUE for series in exposed(name)}
    async with system.web.client() as prometheus:
        assert {key.partition("{")[0] for key in await scraped(prometheus)} <= known


async def test_strangers_add_no_series(system: System) -> None:
    async with system.web.client() as client:
        for n in range(20):
            await client.get(f"/no/such/page/{n}")
            await client.get(f"/api/events/no-such-event-{n}")
            await client.request(f"METHOD{n}", "/")
        routes = [key for key in await scraped(client) if key.startswith("tiketi_request_seconds_count")]
    assert [key for key in routes if "unknown" in key and "GET" in key and "404" in key]
    assert not [key for key in routes if "no-such" in key or "/no/" in key or "METHOD" in key]


async def test_a_stream_took_as_long_as_its_answer_took_to_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends when its reader goes: an admin who looks on for an hour is no slow request."""
    now_s = [100.0]
    told: list[float] = []
    monkeypatch.setattr(time, "perf_counter", lambda: now_s[0])

    async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
        now_s[0] += 0.25
        await send({"type": "http.response.start", "status": 200, "headers": []})
        now_s[0] += 3_600
        await send({"type": "http.response.body", "body": b"data: 1"})

    async def taken(_: Message) -> None: ...

    requests = SimpleNamespace(add=lambda labels, seconds: told.append(seconds))
    state = {"meters": SimpleNamespace(requests=requests), "visitor_of": lambda _: None}
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/admin/dashboard/stats/stream",
        "headers": [],
        "state": state,
    }
    await front.Front(streaming)(scope, cast(Receive, None), taken)
    assert told == [0.25]


async def test_with_a_token_only_who_sends_it_reads_the_metrics(system: System, tmp_path: Path) -> None:
    web = await system.another_web(metrics_token=TOKEN)
    async with web.client() as client:
        assert_problem(await client.get("/metrics"), 401, "login_required")
        wrong = {"authorization": "Bearer wrong"}
        assert_problem(await client.get("/metrics", headers=wrong), 403, "metrics_refused")
        right = {"authorization": f"Bearer {TOKEN}"}
        assert (await client.get("/metrics", headers=right)).status_code == 200
        assert (await client.get("/metrics", headers=await system.bearer())).status_code == 200
        assert_problem(await client.get("/metrics", headers=await system.bearer(BUYER)), 403, "metrics_refused")


@pytest.mark.parametrize("name", ["forwarded", "x-forwarded-for", "x-real-ip"])
async def test_who_comes_through_a_proxy_is_not_from_this_machine(system: System, name: str) -> None:
    async with system.web.client() as client:
        assert_problem(await client.get("/metrics", headers={name: "127.0.0.1"}), 401, "login_required")


async def test_a_public_address_closes_the_metrics_to_who_cannot_prove_anything(system: System) -> None:
    web = await system.another_web(public_url="https://tiketi.example")
    async with web.client() as client:
        assert_problem(await client.get("/metrics"), 401, "login_required")
        assert (await client.get("/metrics", headers=await system.bearer())).status_code == 200
