"""The waiting page in a frame of another site, in a browser: there it waits, is called and goes on, by cookies that
stay with the site around it; the browser shows it to nobody whom the site does not name.
"""

from __future__ import annotations

from contextlib import closing

from playwright.sync_api import Browser, expect

from tests.browser.people import NewContext
from tests.browser.site import Site
from tests.run.test_up import Up


def framed_by(site: Site, *ancestors: str) -> None:
    change = {"frameAncestors": [*ancestors]}
    assert site.admin.put(f"/api/admin/origins/{site.origin_id}", json=change).is_success


def test_in_a_frame_of_the_site_a_visitor_waits_is_called_and_goes_on(
    system: Up, new_context: NewContext, site: Site
) -> None:
    """The site is at `localhost`, and this at 127.0.0.1: to a browser they are two sites."""
    framed_by(site, site.url)
    context = new_context()
    page = context.new_page()
    page.goto(site.around(f"http://{system.netloc}{site.way_in}"))
    framed = page.frame_locator("iframe")
    expect(framed.locator("#waiting-title")).to_be_visible()
    expect(framed.locator("#connection")).to_have_attribute("data-live", "stream")
    kept = context.cookies()
    assert kept
    assert {each["sameSite"] for each in kept} == {"None"}
    assert all(each["secure"] for each in kept)
    number = framed.locator("#number").inner_text()
    page.reload()
    expect(framed.locator("#number")).to_have_text(number)
    site.end_visit()
    expect(framed.locator("#asked")).to_have_text("/sale?size=M")
    assert page.url.startswith(site.url + "/around"), "the page around it stays"


def test_in_a_frame_the_buttons_work_without_a_script_as_well(system: Up, new_context: NewContext, site: Site) -> None:
    framed_by(site, site.url)
    page = new_context(java_script_enabled=False).new_page()
    page.goto(site.around(f"http://{system.netloc}{site.way_in}"))
    framed = page.frame_locator("iframe")
    framed.locator("[data-when=waiting] details.leave summary").click()
    framed.locator("#leave button").click()
    expect(framed.locator("#left-title")).to_be_visible()
    framed.locator("[data-when=left] form button").click()
    expect(framed.locator("#waiting-title")).to_be_visible()


def test_a_browser_shows_it_in_no_other_frame(system: Up, chromium: Browser, site: Site) -> None:
    framed_by(site, "https://other.example")
    with closing(chromium.new_context()) as context:  # which may break the policy: that is what is looked for
        page = context.new_page()
        with page.expect_console_message(lambda said: "frame-ancestors" in said.text):
            page.goto(site.around(f"http://{system.netloc}{site.way_in}"))
        expect(page.frame_locator("iframe").locator("#room")).to_have_count(0)
