"""A pass nobody uses ends by itself."""

from __future__ import annotations

import pytest

from tests.http.buyer import assert_problem, buyer
from tests.http.system import System
from tests.waiting import wait_until

SETTINGS = {"pass_s": 2}
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_pass_ends_and_opens_nothing_afterwards(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        admission_pass = (await ann.enter())["pass"]
        await ann.until("lapsed")

        async def is_refused() -> bool:
            answer = await ann.reserve(headers={"x-admission-pass": admission_pass}, seatIds=["s0"])
            assert_problem(answer, 410, answer.json()["code"])
            return answer.json()["code"] in ("pass_expired", "pass_spent")

        await wait_until(is_refused, description="the pass is refused")
        assert_problem(await ann.claim(), 410, "turn_lapsed")
