"""What is logged: enough to follow a sale, and nothing that lets the reader of a log buy, change a room or pretend."""

from __future__ import annotations

import logging

import pytest
from structlog.testing import capture_logs

from tests.http.buyer import buyer
from tests.http.system import ADMIN, System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_no_ticket_pass_session_holder_or_password_is_ever_logged(
    system: System, event_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logged:
        async with buyer(system, event_id) as ann:
            secrets = [ADMIN[1], "a wrong password"]
            secrets += [(await ann.join({"quantity": 1})).json()["ticket"], ann.client.cookies["tiketi_holder"]]
            await ann.until("admitted")
            async with ann.stream() as stream:
                await stream.next("admitted")
            secrets.append((await ann.claim()).json()["pass"])

            async def is_held() -> str:
                return str((await ann.position()).get("reservation", {}).get("id", ""))

            held = await wait_until(is_held, description="the wish is held")
            await ann.pay(held)
            await ann.post("leave")
            await ann.client.post("/api/auth/login", json={"email": ADMIN[0], "password": secrets[1]})
            secrets.append((await system.bearer())["authorization"].removeprefix("Bearer "))
            await ann.client.get(f"/api/queue/{event_id}/position", headers={"x-queue-ticket": secrets[2] + "AAAA"})
            await ann.reserve(headers={"x-admission-pass": secrets[4] + "A"}, seatIds=["s0"])
    of_ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx2", "httpcore2"))]
    text = repr(logged) + repr(of_ours)
    assert "gateway_charged" in text
    assert f"/api/queue/{event_id}/claim" in text
    for secret in secrets:
        assert len(secret) >= 8
        assert secret not in text


async def test_probes_that_succeed_are_not_worth_a_line(system: System) -> None:
    with capture_logs() as logged:
        async with system.web.client() as client:
            for path in ("/healthz", "/readyz", "/api/events"):
                await client.get(path)
            await client.post("/healthz")
    lines = [(line["path"], line["status"], line["log_level"]) for line in logged if line["event"] == "request"]
    assert ("/healthz", 405, "info") in lines
    assert ("/api/events", 200, "info") in lines
    assert not [line for line in lines if line[:2] == ("/healthz", 200) and line[2] == "info"]
