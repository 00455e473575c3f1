"""The lobby in a browser: a countdown, how many are there, then the place that the draw gave."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from playwright.sync_api import expect

from tests.browser.people import NewContext, join
from tests.run.test_up import Up


@pytest.fixture
def admin(system: Up) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"http://{system.netloc}", timeout=30) as client:
        login = client.post("/api/auth/login", json={"email": "admin@tiketi.gg", "password": "admin123"})
        client.headers["Authorization"] = f"Bearer {login.json()['token']}"
        yield client


def event_in_lobby(admin: httpx2.Client, opens_in: timedelta) -> str:
    """The id of an event whose lobby is open, with two seats."""
    now = datetime.now(UTC)
    wanted: dict[str, Any] = {"title": "Lobby", "venue": "Hall", "room": {"lobbyMinutes": 90}}
    wanted |= {
        "saleOpensAt": (now + opens_in).isoformat(),
        "eventDate": (now + timedelta(days=9)).isoformat(),
    }
    event_id: str = admin.post("/api/admin/events", json=wanted).json()["event"]["id"]
    seats = "section,row,seat,grade,x,y\nA,1,1,R,0,0\nA,1,2,R,1,0\n"
    admin.put(f"/api/admin/events/{event_id}", json={"ticketTypes": [{"grade": "R", "price": 1000}]})
    made = admin.post(f"/api/admin/events/{event_id}/seats", content=seats, headers={"content-type": "text/csv"})
    assert made.is_success, made.text
    return event_id


def test_who_waits_in_the_lobby_sees_the_draw_come(admin: httpx2.Client, new_context: NewContext) -> None:
    event_id = event_in_lobby(admin, timedelta(hours=1))
    page, plain = new_context().new_page(), new_context(locale="ko-KR", java_script_enabled=False).new_page()
    join(page, event_id)
    expect(page.locator("#lobby-title")).to_be_visible()
    expect(page.locator("#entries")).to_have_text("1")
    expect(page.locator("#lobby-left")).to_contain_text(":")
    join(plain, event_id)
    expect(plain.locator("#lobby-title")).to_be_visible()
    expect(page.locator("#entries")).to_have_text("2")
    opened = admin.patch(
        f"/api/admin/events/{event_id}/admission", json={"state": "open", "ratePerSecond": 0.1, "burst": 1}
    )
    assert opened.is_success, opened.text
    expect(page.locator("#lobby-title")).to_be_hidden()


@pytest.mark.parametrize(
    ("language", "counting", "inside"),
    [
        ("en-US", r"Opens in (\d+ min )?\d+ s\.", "lobby: 1."),
        ("ko-KR", r"(\d+분 )?\d+초 뒤에 열립니다\.", "사람: 1명."),
    ],
)
def test_an_admin_sees_the_opening_come_nearer_between_two_samples(
    admin: httpx2.Client, new_context: NewContext, language: str, counting: str, inside: str
) -> None:
    event_id = event_in_lobby(admin, timedelta(minutes=30))
    page = new_context(locale=language, extra_http_headers={"accept-language": language}).new_page()
    page.goto("/admin")
    page.locator("[name=email]").fill("admin@tiketi.gg")
    page.locator("[name=password]").fill("admin123")
    page.locator("main form button").first.click()
    page.wait_for_url("**/admin")
    page.route("**/admission/stream*", lambda route: route.abort())
    page.route("**/admission", lambda route: route.abort())
    page.goto(f"/admin/events/{event_id}")
    opening = page.locator("#opening")
    expect(opening).to_contain_text(re.compile(counting))
    first = opening.text_content() or ""
    expect(opening).not_to_have_text(first)
    expect(opening).to_contain_text(re.compile(counting))
    page.unroute_all()
    join(new_context().new_page(), event_id)
    page.reload()
    expect(opening).to_contain_text(inside)
    opened = admin.patch(f"/api/admin/events/{event_id}/admission", json={"state": "open"})
    assert opened.is_success, opened.text
    expect(opening).not_to_contain_text(re.compile(counting))
