"""Every page that a visitor of a site sees is the site's, also one that says what went wrong: its name, its colours,
the way back to it, no menu of this shop, and words that speak of a site and not of tickets for an event."""

from __future__ import annotations

import re

import pytest

from app.http.kit.i18n import SITE, TEXTS, TEXTS_OF_SITES, Lang
from tests.http.origins.site import SECRETIVE, TARGET, Site, asked, make_site, visitor
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = SECRETIVE
BOOKING = re.compile(
    r"예매|공연|좌석|주최|티켓|\b(?:tickets?|seats?|sale|events?|organiser|buy|bought)\b", re.IGNORECASE
)
OF_EVENTS = re.compile(  # said by pages of events alone
    r"line\.(?:turn\.wish|wish|admitted\.(?:held|none)|soldout|closed\.(?:sale|event)|room\.(?:says\.)?direct|resume)"
)
SAID = (
    *("not_found", "method_not_allowed", "room_unknown", "room_not_open", "room_closed", "line_unavailable", "busy"),
    *("store_unavailable", "ticket_missing", "ticket_invalid", "ticket_foreign_event", "ticket_old_epoch"),
    *("not_admitted", "turn_lapsed", "pass_missing", "pass_invalid", "pass_spent", "pass_expired", "place_given_up"),
    *("pass_foreign_event", "holder_missing", "holder_other", "invitation_required", "invitation_expired"),
    *("invitation_foreign", "invitation_invalid", "invitation_unread", "numbers_short", "cookies_needed"),
    *("form_stale", "cross_site", "internal_error", "event_unknown", "challenge_required", "challenges_short"),
    *("captcha_refused", "solution_spent", "to_site", "title", "request_id"),
)


async def made_site(system: System) -> Site:
    site = await make_site(system)
    look = {"light": "#8a1c5b", "dark": "#ff9ad5"}
    assert (await asked(system, "PUT", f"/origins/{site.origin_id}", {"look": look})).status_code == 200
    return site


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/nothing/below", 404),
        ("POST", "", 405),
        ("POST", "/leave", 403),
    ],
)
async def test_what_went_wrong_is_said_in_the_look_of_the_site(
    system: System, method: str, path: str, status: int
) -> None:
    site = await made_site(system)
    async with visitor(system, headers={"accept": "text/html", "accept-language": "en"}) as ann:
        page = await ann.client.request(method, f"/wait/{site.room_id}{path}")
    assert page.status_code == status
    assert '<span class="brand">A shop</span>' in page.text
    assert f'href="/look/{site.origin_id}.css"' in page.text
    assert f'<a class="button plain" href="{TARGET}">Go to A shop</a>' in page.text
    assert_no_shop(page.text)
    link = "" if method == "GET" else f"/wait/{site.room_id}"
    assert f'<a href="{link}?lang=ko"' in page.text, "in the other language nobody is led to the shop's events"


def assert_no_shop(text: str) -> None:
    for address in ("/", "/reservations", "/login?next=", "/admin"):
        assert f'href="{address}"' not in text, address
    assert 'class="account"' not in text
    assert "Tiketi" not in text.partition("</head>")[0]


async def test_where_no_site_is_known_the_page_is_nobody_s(system: System) -> None:
    async with visitor(system, headers={"accept": "text/html", "accept-language": "en"}) as ann:
        for path in ("/wait/nowhere", "/wait/nowhere/nothing", "/?c=nobody&e=nowhere", "/error/hash/?c=nobody&e=x"):
            page = await ann.client.get(path)
            assert page.status_code == 404, path
            assert '<span class="brand">Waiting room</span>' in page.text
            assert_no_shop(page.text)


async def test_what_a_connector_was_refused_is_said_in_the_look_of_its_customer(system: System) -> None:
    site = await make_site(system)
    customer = site.origin_id.replace("-", "")
    assert (await asked(system, "PUT", f"/origins/{site.origin_id}", {"customerId": customer})).status_code == 200
    async with visitor(system, headers={"accept": "text/html", "accept-language": "en"}) as ann:
        for path in (f"/?c={customer}&e=nowhere", f"/shop/?c={customer}&e=nowhere", f"/cancel/{customer}/nowhere"):
            page = await ann.client.get(path)
            assert page.status_code == 404, path
            assert '<span class="brand">A shop</span>' in page.text, path
            assert_no_shop(page.text)
        assert 'href="/reservations"' in (await ann.client.get("/")).text, "the shop's own page is the shop's"


async def test_an_address_that_ends_with_a_stroke_is_the_page_before_it(system: System) -> None:
    site = await make_site(system)
    async with visitor(system, cookies=system.browser()) as ann:
        answer = await ann.client.get(f"/wait/{site.room_id}/?t=https%3A%2F%2Fshop.example%2F")
    assert answer.headers["location"].endswith(f"/wait/{site.room_id}?t=https%3A%2F%2Fshop.example%2F")


@pytest.mark.parametrize("lang", ["ko", "en"])
async def test_what_a_site_s_visitors_read_speaks_of_no_tickets(lang: Lang) -> None:
    texts = TEXTS_OF_SITES[lang]
    read = {key: entry for key, entry in texts.under("line.").items() if not OF_EVENTS.match(key)}
    read |= {f"kit.error.{code}": texts.entries[f"kit.error.{code}"] for code in SAID}
    read |= {key: texts.entries[key] for key in ("events.opens", "events.rejoin", "events.join.button")}
    assert {key: entry for key, entry in read.items() if BOOKING.search(str(entry))} == {}


async def test_a_text_of_sites_stands_for_one_of_the_shop() -> None:
    for texts in TEXTS.values():
        alone = [key for key in texts.entries if key.endswith(SITE) and key.removesuffix(SITE) not in texts.entries]
        assert alone == []
        assert texts("line.left.lead") != TEXTS_OF_SITES[texts.lang]("line.left.lead")
