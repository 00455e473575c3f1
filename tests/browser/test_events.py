"""An admin makes an event in Seoul with a browser elsewhere: nine is nine on every page, and 00:00Z in the API."""

from __future__ import annotations

import httpx2
import pytest
from playwright.sync_api import expect

from tests.browser.people import NewContext, log_in_admin
from tests.run.test_up import Up

PROGRAM = {"X-Requested-With": "tiketi"}
TYPED = "2031-04-01T09:00"


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_nine_typed_in_seoul_is_nine_everywhere(new_context: NewContext, system: Up, zone: str, scripts: bool) -> None:
    page = new_context(timezone_id=zone, java_script_enabled=scripts).new_page()
    log_in_admin(page)
    page.get_by_role("link", name="Manage events").click()
    page.get_by_role("link", name="New event").click()
    page.get_by_label("Title", exact=True).fill("Nine o'clock")
    page.get_by_label("Venue", exact=True).fill("Hall")
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Seoul")
    page.get_by_label("The event begins").fill("2031-05-01T19:00")
    page.get_by_label("Sale opens").fill(TYPED)
    page.get_by_label("Grade 1", exact=True).fill("R")
    page.get_by_label("Price 1 (KRW)").fill("100000")
    page.get_by_role("button", name="Make the event").click()
    expect(page.get_by_role("status")).to_have_text("The event was made.")
    expect(page.get_by_label("Sale opens")).to_have_value(TYPED)
    page.get_by_role("link", name="See its public page").click()
    expect(page.locator("dl.facts")).to_contain_text("Tue 1 Apr 2031, 09:00 (KST, Asia/Seoul)")
    event_id = page.url.rpartition("/")[2]
    with httpx2.Client(base_url=f"http://{system.netloc}", timeout=30) as client:
        event = client.get(f"/api/events/{event_id}").json()["event"]
    assert event["saleOpensAt"] == "2031-04-01T00:00:00Z"
    assert event["eventDate"] == "2031-05-01T10:00:00Z"


def test_an_event_is_edited_and_cancelled_by_keyboard_and_everyone_is_told(new_context: NewContext) -> None:
    admin, buyer = new_context().new_page(), new_context().new_page()
    log_in_admin(admin)
    admin.goto("/admin/events/new")
    admin.get_by_label("Title", exact=True).fill("Short lived")
    admin.get_by_label("Venue", exact=True).fill("Hall")
    admin.get_by_label("The event begins").fill("2031-05-01T19:00")
    admin.keyboard.press("Enter")
    expect(admin.get_by_role("status")).to_have_text("The event was made.")
    event_id = admin.url.split("/")[-2]
    buyer.goto(f"/events/{event_id}")
    expect(buyer.locator("#join-title")).to_have_text("No seats yet")
    seats = admin.request.post(
        f"/api/admin/events/{event_id}/seats", params={"prices": "R=1"}, data={"seats": ["R/1F/A/1/1"]}, headers=PROGRAM
    )
    assert seats.ok, seats.text()
    buyer.goto(f"/events/{event_id}")
    expect(buyer.locator(".sale-on_sale")).to_be_visible()
    admin.get_by_role("link", name="Manage its line").click()
    admin.get_by_role("button", name="Pause").click()
    expect(admin.locator("#state")).to_have_text("Paused")  # or the buyer is let in
    buyer.locator("#join-button").click()
    expect(buyer.locator("#connection")).to_have_attribute("data-live", "stream")
    admin.goto(f"/admin/events/{event_id}/edit")
    admin.get_by_role("link", name="Cancel the event").press("Enter")
    admin.get_by_label("Yes, cancel this event").press("Space")
    admin.get_by_role("button", name="Cancel it now").press("Enter")
    expect(admin.get_by_role("status")).to_contain_text("The event is cancelled")
    expect(buyer.locator("#closed-title")).to_have_text("This event was cancelled")
    buyer.goto(f"/events/{event_id}")
    expect(buyer.locator("#join-title")).to_have_text("This event was cancelled.")
