"""The lobby in a browser: a countdown, how many are there, then the place that the draw gave."""

from __future__ import annotations

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


def test_who_waits_in_the_lobby_sees_the_draw_come(admin: httpx2.Client, new_context: NewContext) -> None:
    now = datetime.now(UTC)
    wanted: dict[str, Any] = {"title": "Lobby", "venue": "Hall", "room": {"lobbyMinutes": 90}}
    wanted |= {
        "saleOpensAt": (now + timedelta(hours=1)).isoformat(),
        "eventDate": (now + timedelta(days=9)).isoformat(),
    }
    event_id = admin.post("/api/admin/events", json=wanted).json()["event"]["id"]
    seats = "section,row,seat,grade,x,y\nA,1,1,R,0,0\nA,1,2,R,1,0\n"
    admin.put(f"/api/admin/events/{event_id}", json={"ticketTypes": [{"grade": "R", "price": 1000}]})
    made = admin.post(f"/api/admin/events/{event_id}/seats", content=seats, headers={"content-type": "text/csv"})
    assert made.is_success, made.text
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
