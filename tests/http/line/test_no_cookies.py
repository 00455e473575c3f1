"""A browser that keeps no cookies is told so before it is given a number, and who logs in elsewhere loses nothing."""

from __future__ import annotations

import re

import pytest

from tests.http.buyer import make_account
from tests.http.pages import ENGLISH, page, send, visitor
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_browser_without_cookies_is_told_so_and_gets_no_number(system: System, event_id: str) -> None:
    before = await system.last_number(event_id)
    for lang, words in (("en", "Your browser keeps no cookies"), ("ko", "쿠키를 저장하지 않아")):
        async with system.web.client(headers={"accept-language": lang}) as client:
            form = (await client.get(f"/events/{event_id}")).text
            token = re.findall(r'name="csrf" value="([^"]+)"', form)[-1]
            client.cookies.clear()
            answer = await client.post(f"/events/{event_id}/join", data={"csrf": token})
            assert answer.status_code == 403
            assert words in answer.text
    assert await system.last_number(event_id) == before


async def test_who_logs_in_in_one_tab_pays_in_the_other(system: System) -> None:
    async with visitor(system, "direct") as one:
        await one.client.get("/events/direct")
        held = (await send(one, "/events/direct/reserve", quantity="1")).headers["location"]
        token = re.findall(r'name="csrf" value="([^"]+)"', await page(one, held))[-1]
        await make_account(one.client, "tabs@example.com", "long-enough-to-keep")
        answer = await one.client.post(f"{held}/pay", data={"method": "naver_pay", "csrf": token})
        back = f"{held}?said=form_stale&method=naver_pay"
        assert (answer.status_code, answer.headers["location"]) == (303, back)
        shown = await page(one, back)
        assert "You logged in or out in another tab meanwhile" in shown
        assert 'value="naver_pay" required checked' in shown, "what was chosen is not lost"
        token = re.findall(r'name="csrf" value="([^"]+)"', shown)[-1]
        paid = await one.client.post(f"{held}/pay", data={"method": "naver_pay", "csrf": token}, headers=ENGLISH)
        assert (paid.status_code, paid.headers["location"]) == (303, held)
        assert 'data-status="confirmed"' in await page(one, held)
