"""What only a drawn page shows: nothing jumps while it loads, colours that mean something stay where the reader's own
colours are forced, the first stop on the map is a seat, and what stops a line is in view.
"""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.people import NewContext, join, log_in_admin
from tests.browser.test_journeys import press_until_focused

SIZES = [{"width": 320, "height": 640}, {"width": 390, "height": 844}, {"width": 1280, "height": 720}]
NOTE_SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
SHIFT_MAX = 0.1  # above it a page counts as one that jumps (web.dev, Core Web Vitals)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size["width"]))
def test_the_map_is_drawn_without_a_jump(new_context: NewContext, size: dict[str, int]) -> None:
    page = new_context(viewport=size).new_page()
    page.add_init_script(NOTE_SHIFTS)
    for path in ("/events/open-air/seats", "/events/upcoming"):
        page.goto(path)
        if path.endswith("seats"):
            expect(page.locator("#connection")).to_have_attribute("data-live", "stream")
        page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        assert page.evaluate("window.shifted") < SHIFT_MAX, path


def test_in_forced_colours_the_legend_and_the_progress_are_still_seen(new_context: NewContext) -> None:
    page = new_context(forced_colors="active", reduced_motion="reduce").new_page()
    page.goto("/events/open-air/seats")
    press_until_focused(page, "#zoom-fit")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('.seat')"), "the next stop is a seat, not the drawing"
    swatches = page.locator(".swatch")
    colours = {swatches.nth(n).evaluate("each => getComputedStyle(each).backgroundColor") for n in range(3)}
    assert len(colours) == 3, colours
    page.goto("/events/demo/wait")
    page.evaluate("document.querySelector('[data-when=waiting]').hidden = false")
    progress = page.locator("#progress")
    progress.evaluate("each => { each.value = 50; }")
    drawn = Image.open(BytesIO(progress.screenshot())).convert("RGB")
    line = [drawn.getpixel((drawn.width * share // 4, drawn.height // 2)) for share in (1, 3)]
    assert line[0] != line[1], "what is done looks unlike what is not"


@pytest.mark.parametrize("size", [SIZES[0], SIZES[-1]], ids=lambda size: str(size["width"]))
def test_a_line_can_be_paused_without_scrolling(new_context: NewContext, size: dict[str, int]) -> None:
    page = new_context(viewport=size).new_page()
    log_in_admin(page)
    page.goto("/admin/events/demo")
    box = page.get_by_role("button", name="Pause").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= size["height"]


def test_back_from_the_payment_shows_what_is_held_and_stays(person: Page) -> None:
    join(person)
    person.wait_for_url("**/events/demo/seats")
    person.locator("#best button").click()
    person.wait_for_url("**/reservations/*")
    held = person.url
    person.go_back()
    person.wait_for_url("**/events/demo/seats")
    expect(person.locator("#mine a")).to_have_attribute("href", held.partition(person.url.partition("/events")[0])[2])
    expect(person.locator("#connection")).to_have_attribute("data-live", "stream")
    person.locator("#best button").click()
    person.wait_for_url(f"{held}?said=already_holding")
    expect(person.get_by_role("alert")).to_contain_text("These are the seats you hold already.")


def test_who_keeps_no_cookies_is_told_before_a_number_is_taken(new_context: NewContext) -> None:
    page = new_context().new_page()
    page.add_init_script("Object.defineProperty(Document.prototype, 'cookie', { get: () => '', set: () => {} })")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/events/demo")
    expect(page.locator("#join-notice")).to_contain_text("Your browser keeps no cookies")
    page.locator("#join-button").click()
    expect(page.locator("#join-button")).not_to_have_attribute("aria-disabled", "true")
    expect(page.locator("#join-notice")).to_contain_text("No number was taken")
    assert [url for url in asked if url.endswith("/join")] == []
