"""A visitor of another site in a browser: sent to wait, called at the turn, taken back to where they wanted to go."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.people import NewContext
from tests.browser.site import Site


def test_a_visitor_waits_is_called_and_comes_back_to_where_they_wanted_to_go(
    new_context: NewContext, site: Site
) -> None:
    page = new_context().new_page()
    page.goto(site.way_in)
    expect(page.locator("#waiting-title")).to_be_visible()
    expect(page.locator("header.top")).to_contain_text("달빛 상점")
    expect(page.locator("header.top a[href='/reservations']")).to_have_count(0)
    site.end_visit()
    page.wait_for_url(f"{site.url}/sale?size=M&tiketi_pass=*#top")
    expect(page.locator("#asked")).to_have_text("/sale?size=M")


def test_without_a_script_the_button_leads_back_as_well(new_context: NewContext, site: Site) -> None:
    page = new_context(java_script_enabled=False, locale="ko-KR").new_page()
    page.goto(site.way_in)
    expect(page.locator("#waiting-title")).to_be_visible()
    site.end_visit()
    while not page.locator("#enter").is_visible():
        page.goto(f"/wait/{site.room_id}")
    page.locator("#enter").click()
    page.wait_for_url(f"{site.url}/sale?size=M&tiketi_pass=*#top")


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("locale", ["ko-KR", "en-US"])
def test_no_state_of_the_page_is_wider_than_the_screen(
    new_context: NewContext, site: Site, width: int, locale: str
) -> None:
    page = new_context(viewport={"width": width, "height": 720}, locale=locale).new_page()

    def fits() -> bool:
        return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))

    page.goto(site.way_in)
    expect(page.locator("#waiting-title")).to_be_visible()
    assert fits()
    page.locator("[data-when=waiting] details.leave summary").click()
    page.locator("#leave button").click()
    expect(page.locator("#left-title")).to_be_visible()
    assert fits()
    assert site.admin.patch(f"/api/admin/events/{site.room_id}/admission", json={"state": "draining"}).is_success
    other = new_context(viewport={"width": width, "height": 720}, locale=locale).new_page()
    other.goto(site.way_in)
    expect(other.locator("#none-title")).to_be_visible()
    assert bool(other.evaluate("document.documentElement.scrollWidth <= innerWidth"))
