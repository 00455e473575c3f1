"""An admin sees every state of a site's waiting pages in its look, sends a logo, and joins nothing by looking."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from app.http.admin.pages.origin_look import PLACES, STATES
from tests.http.origins.site import SECRETIVE, Site, asked, make_site
from tests.http.origins.test_branding import BOOKING
from tests.http.system import System
from tests.pictures import picture

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = SECRETIVE
UNREAD = re.compile(r"<head>.*?</head>|<script.*?</script>|<[^>]+>", re.DOTALL)


@pytest_asyncio.fixture(loop_scope="module")
async def admin(system: System) -> AsyncIterator[httpx2.AsyncClient]:
    async with system.web.client(headers={"accept-language": "en", **await system.bearer()}) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def site(system: System) -> Site:
    made = await make_site(system)
    look = {"light": "#8a1c5b", "text": {"en": "Welcome", "ko": "어서 오세요"}}
    assert (await asked(system, "PUT", f"/origins/{made.origin_id}", {"look": look})).status_code == 200
    return made


@pytest.mark.parametrize("lang", ["ko", "en"])
@pytest.mark.parametrize("state", STATES)
async def test_every_state_is_drawn_in_the_look_of_the_site(
    system: System, admin: httpx2.AsyncClient, site: Site, state: str, lang: str
) -> None:
    drawn = await admin.get(f"/admin/origins/{site.origin_id}/look/{lang}/{state}")
    assert f'<html lang="{lang}">' in drawn.text
    assert '<span class="brand">A shop</span>' in drawn.text
    assert f'href="/look/{site.origin_id}.css"' in drawn.text
    assert 'href="/reservations"' not in drawn.text
    assert BOOKING.findall(UNREAD.sub(" ", drawn.text)) == []
    if state in PLACES:
        assert ("어서 오세요" if lang == "ko" else "Welcome") in drawn.text
    policy = drawn.headers["content-security-policy"]
    assert "connect-src 'none'" in policy
    assert "form-action 'none'" in policy
    assert policy.endswith("frame-ancestors 'self'")
    assert ("sandbox allow-same-origin" in policy) is (state == "noscript")
    assert all("tiketi_ticket" not in line for line in drawn.headers.get_list("set-cookie"))
    assert "tiketi_lang" not in drawn.headers.get("set-cookie", ""), "the admin's own language stays"
    assert await system.last_number(site.room_id) == 0


async def test_the_states_are_those_of_the_page(admin: httpx2.AsyncClient, site: Site) -> None:
    shown = {}
    for state in ("scheduled", *PLACES):
        drawn = (await admin.get(f"/admin/origins/{site.origin_id}/look/en/{state}")).text
        shown[state] = drawn.partition('data-state="')[2].partition('"')[0]
    assert shown == {
        **dict.fromkeys(("waiting", "near", "paused", "full", "recovering", "noscript"), "waiting"),
        "scheduled": "none",
        "turn": "admitted",
        "claimed": "claimed",
        "lapsed": "lapsed",
        "left": "left",
        "closed": "closed",
    }


async def test_the_page_has_the_chosen_state_in_a_frame_and_takes_a_logo(admin: httpx2.AsyncClient, site: Site) -> None:
    here = f"/admin/origins/{site.origin_id}/look"
    page = await admin.get(f"{here}?state=turn&language=ko&width=1280")
    assert f'src="{here}/ko/turn" width="1280"' in page.text
    assert "frame-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["content-security-policy"].endswith("frame-ancestors 'none'")
    token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
    wrong = await admin.post(f"{here}/logo", data={"csrf": token}, files={"file": ("a.svg", b"<svg/>")})
    assert wrong.status_code == 422
    assert "This picture cannot be a logo" in wrong.text
    stale = await admin.post(f"{here}/logo", data={"csrf": "x"}, files={"file": ("a.png", picture())})
    assert stale.status_code == 403
    good = await admin.post(f"{here}/logo", data={"csrf": token}, files={"file": ("a.png", picture())})
    assert good.status_code == 303
    page = await admin.get(here)
    assert 'class="logo" src="/look/' in page.text
    drawn = await admin.get(f"{here}/en/waiting")
    assert 'alt="A shop" width="120" height="160"' in drawn.text
    removed = await admin.post(f"{here}/logo/remove", data={"csrf": token})
    assert removed.status_code == 303
    assert 'class="logo"' not in (await admin.get(here)).text


async def test_nobody_else_sees_it(system: System, admin: httpx2.AsyncClient, site: Site) -> None:
    here = f"/admin/origins/{site.origin_id}/look"
    async with system.web.client() as anybody:
        for path in (here, f"{here}/en/waiting"):
            assert (await anybody.get(path)).headers["location"] == "/admin/login"
    for path in (f"{here}/en/nothing", f"{here}/fr/waiting", "/admin/origins/nobody/look/en/waiting"):
        assert (await admin.get(path)).status_code == 404
