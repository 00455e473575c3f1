"""The shop window and the frame of every page: the search, what a card says, and the links that lead on."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

import app
from app.http.kit.i18n import TEXTS
from tests.http.admin.pages.test_events import FORM, admin, made, submit
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
CARD = re.compile(r'<li class="card event-card">(.*?)</li>', re.DOTALL)


async def test_the_window_is_searched_by_words_and_by_status(system: System) -> None:
    async with admin(system) as client:
        wanted = await made(client)
        fields = {**FORM, "title": "Quiet evening", "en_title": "", "opens": ""}
        other = await submit(client, "/admin/events/new", "/admin/events", fields)
        other_id = other.headers["location"].split("/")[3]
        everything = (await client.get("/")).text
        assert f'href="/events/{wanted}"' in everything
        assert f'href="/events/{other_id}"' in everything
        for query, found, missed in (
            ("q=LUMINA", wanted, other_id),
            ("q=루미나", wanted, other_id),
            ("status=upcoming", wanted, other_id),
            ("status=on_sale&q=evening", other_id, wanted),
        ):
            page = (await client.get(f"/?{query}")).text
            assert f'href="/events/{found}"' in page, query
            assert f'href="/events/{missed}"' not in page, query
        nothing = (await client.get("/?q=%3Cb%3Enowhere")).text
        assert "No event matches" in nothing
        assert 'value="&lt;b&gt;nowhere"' in nothing
        assert CARD.findall((await client.get("/?status=%00&from=-1&q=")).text), "what means nothing is not asked for"


async def test_a_card_says_when_the_sale_opens_and_nothing_of_a_line_that_is_not_moving_yet(system: System) -> None:
    async with admin(system) as client:
        event_id = await made(client)
        cards = [card for card in CARD.findall((await client.get("/")).text) if event_id in card]
        assert len(cards) == 1
        assert "The sale opens Tue 1 Apr 2031, 09:00 (EDT, America/New_York)" in cards[0]
        assert "room-" not in cards[0]


async def test_an_event_whose_seats_were_not_sent_yet_is_not_sold_out(system: System) -> None:
    async with admin(system) as client:
        page = (await client.get(f"/events/{await made(client)}")).text
        assert re.findall(r'<td class="number">([^<₩]*)</td></tr>', page) == ["–", "–"]
        assert "/waitlist" not in page


async def test_another_language_keeps_the_search_and_leaves_a_refused_form(system: System) -> None:
    async with system.web.client(headers={"accept-language": "en"}) as client:
        page = unescape((await client.get("/?q=a%26b&lang=en")).text)
        assert 'href="?q=a%26b&status=' not in page
        assert 'href="?q=a%26b&lang=ko"' in page
        refused = await client.post("/login", data={})
        assert refused.status_code == 403
        assert 'href="/?lang=ko"' in refused.text


async def test_only_an_admin_is_shown_the_way_to_the_admin_pages_which_says_where_one_is(system: System) -> None:
    async with system.web.client(headers={"accept-language": "en"}) as client:
        assert 'href="/admin"' not in (await client.get("/")).text
    async with admin(system) as client:
        assert '<a href="/admin">Admin</a>' in (await client.get("/")).text
        page = (await client.get("/admin/users")).text
        assert '<a href="/admin/users" aria-current="page">' in page
        assert page.count('href="/admin"') == 1
        form = (await client.get(f"/admin/events/{await made(client)}/edit")).text
        assert '<a href="/admin/events" aria-current="true">' in form


async def test_the_trail_has_words_for_everything_admins_do() -> None:
    """Every `thing.verb` that is written into the trail anywhere."""
    things = "event|poster|seats|user|room|gateway|reservation|reservations|sales"
    verbs = "create|edit|cancel|upload|remove|replace|role|disable|enable|change|refund|export"
    action = re.compile(rf'"((?:{things})\.(?:{verbs}))"')
    sources = [path.read_text() for path in Path(app.__file__).parent.rglob("*.py")]
    actions = {found for source in sources for found in action.findall(source)}
    assert {"event.create", "poster.upload", "seats.replace", "user.disable"} <= actions
    for texts in TEXTS.values():
        assert [action for action in actions if not texts.has(f"admin.action.{action}")] == []
