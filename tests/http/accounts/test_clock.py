"""What ends by the clock ends by the process's own, which a test may set."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from tests.http.buyer import assert_problem, buyer
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_session_ends_when_its_time_is_over(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = await system.bearer()
    life_s = system.settings.session_s
    async with system.web.client(headers=headers) as client:
        assert (await client.get("/api/admin/users")).status_code == 200
        monkeypatch.setattr(system.state["clock"], "seconds", lambda: time.time() + life_s + 1)
        assert_problem(await client.get("/api/admin/users"), 401, "session_expired")


async def test_a_token_that_was_never_seen_before_ends_as_well(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    async with system.web.client(headers=await system.bearer()) as client:
        system.state["tokens"]._checked.clear()
        monkeypatch.setattr(system.state["clock"], "seconds", lambda: time.time() + system.settings.session_s + 1)
        assert_problem(await client.get("/api/admin/users"), 401, "session_expired")


async def test_a_pass_ends_when_its_time_is_over(
    system: System, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with buyer(system, event_id) as ann:
        admission = (await ann.enter())["pass"]
        monkeypatch.setattr(system.state["passes"], "_seconds", lambda: time.time() + system.settings.pass_s + 1)
        answer = await ann.reserve(headers={"x-admission-pass": admission}, seatIds=["s0"])
        assert_problem(answer, 410, "pass_expired")


async def test_the_sale_is_over_when_the_clock_says_so(
    system: System, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with system.web.client() as client:
        before = (await client.get(f"/api/events/{event_id}")).json()["event"]["status"]
        shift_s = timedelta(days=40).total_seconds()
        monkeypatch.setattr(system.state["clock"], "seconds", lambda: time.time() + shift_s)
        after = (await client.get(f"/api/events/{event_id}")).json()["event"]["status"]
    assert (before, after) == ("on_sale", "ended")
