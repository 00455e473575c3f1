"""A link that is shared in a chat: it shows the event, and the program that looks at it takes no place."""

from __future__ import annotations

import html
import re

import pytest

from tests.http.system import System
from tests.pictures import picture
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
BOTS = ("facebookexternalhit/1.1; kakaotalk-scrap/1.0", "Yeti/1.1", "Slackbot-LinkExpanding 1.0", "TelegramBot")


def told(text: str) -> dict[str, str]:
    found = re.findall(r'<meta property="og:([^"]+)" content="([^"]*)">', text)
    return {name: html.unescape(value) for name, value in found}


async def test_a_shared_link_shows_title_picture_and_date(system: System, event_id: str) -> None:
    admin = await system.bearer()
    async with system.web.client() as client:
        named = await client.put(f"/api/admin/events/{event_id}", json={"title": 'The "<Night>" & Day'}, headers=admin)
        assert named.is_success, named.text
        sent = await client.post(
            f"/api/admin/events/{event_id}/poster",
            content=picture("PNG", (600, 900)),
            headers={**admin, "content-type": "image/png"},
        )
        assert sent.is_success, sent.text

        async def has_poster() -> bool:
            return "image" in told((await client.get(f"/events/{event_id}")).text)

        await wait_until(has_poster, description="the poster was worked on")
        for path, lang in (("", "en"), ("/wait", "ko"), ("/seats", "en"), ("/waitlist", "ko")):
            answer = await client.get(f"/events/{event_id}{path}", headers={"accept-language": lang})
            said = told(answer.text)
            base = f"http://{client.base_url.host}:{client.base_url.port}"
            assert said["title"] == 'The "<Night>" & Day'
            assert said["url"] == f"{base}/events/{event_id}"
            assert said["image"].startswith(f"{base}/posters/")
            assert (await client.get(said["image"])).headers["content-type"] == "image/webp"
            assert re.search(r"\d{2}:\d{2}", said["description"]), "when it begins"
            assert said["locale"] == ("ko_KR" if lang == "ko" else "en_US")


async def test_a_preview_bot_takes_no_place(system: System, event_id: str) -> None:
    before = await system.last_number(event_id)
    for bot in BOTS:
        for path in ("", "/wait", "/seats", "/waitlist", "/check"):
            async with system.web.client(headers={"user-agent": bot}, follow_redirects=True) as client:
                assert (await client.get(f"/events/{event_id}{path}")).status_code == 200
                assert (await client.head(f"/events/{event_id}{path}")).status_code == 200
    assert await system.last_number(event_id) == before
