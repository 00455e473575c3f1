"""The waiting pages of an origin have its colours and its text, and no markup or style of anybody's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.buyer import assert_problem
from tests.http.origins.site import SECRETIVE, WAITING, asked, let_in, make_site, visitor
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = SECRETIVE
LOOK = {"light": "#8a1c5b", "dark": "#ff9ad5", "text": {"en": "<b>Welcome</b>\nto the sale"}}


async def test_a_waiting_page_has_the_site_s_colours_and_its_text(system: System) -> None:
    made = await make_site(system, **WAITING)
    set_ = await asked(system, "PUT", f"/origins/{made.origin_id}", {"look": LOOK})
    assert set_.json()["origin"]["look"] == LOOK
    await let_in(system, made.room_id)
    for lang in ("en", "ko"):
        async with visitor(system, headers={"accept-language": lang, "accept": "text/html"}) as ben:
            page = await ben.go(f"/wait/{made.room_id}")
            assert page.status_code == 200
            assert "&lt;b&gt;Welcome&lt;/b&gt;" in page.text, "in the other language, where there is none"
            assert f'<link rel="stylesheet" href="/look/{made.origin_id}.css">' in page.text
            style = await ben.client.get(f"/look/{made.origin_id}.css")
    assert style.headers["content-type"].startswith("text/css")
    light, dark = style.text.splitlines()
    assert "--accent: #8a1c5b; --accent-ink: #ffffff;" in light
    assert "--accent: #ff9ad5; --accent-ink: #000000;" in dark


async def test_a_site_without_a_look_has_ours(system: System) -> None:
    made = await make_site(system, **WAITING)
    await let_in(system, made.room_id)
    async with visitor(system, headers={"accept": "text/html"}) as ben:
        assert "/look/" not in (await ben.go(f"/wait/{made.room_id}")).text
        for origin_id in (made.origin_id, "nobody"):
            assert (await ben.client.get(f"/look/{origin_id}.css")).text == ""


@pytest.mark.parametrize(
    ("look", "code"),
    [
        ({"light": "#cccccc"}, "contrast_low"),
        ({"dark": "#222222"}, "contrast_low"),
        ({"light": "red"}, "payload_invalid"),
        ({"light": "#000000;} body{display:none"}, "payload_invalid"),
        ({"text": {"fr": "Bonjour"}}, "payload_invalid"),
        ({"text": {"en": "x" * 501}}, "payload_invalid"),
        ({"css": "x"}, "payload_invalid"),
    ],
)
async def test_a_look_that_cannot_be_read_or_is_more_than_a_look_is_refused(
    system: System, look: dict[str, Any], code: str
) -> None:
    made = await make_site(system)
    assert_problem(await asked(system, "PUT", f"/origins/{made.origin_id}", {"look": look}), 422, code)
