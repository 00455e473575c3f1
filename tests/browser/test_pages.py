"""The buyer's and the admin's pages in a real browser: the turn, the seat map by keyboard, a second tab, polling."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.people import NewContext, join, log_in_admin

PHONE = {"width": 320, "height": 640}


def test_the_turn_calls_back_and_takes_in_by_itself(person: Page, paused: Callable[[], None]) -> None:
    join(person, quantity="2")
    expect(person.locator("#connection")).to_have_attribute("data-live", "stream")
    expect(person.locator("#room-says")).to_contain_text("Paused")
    paused()
    person.wait_for_url("**/reservations/*")
    expect(person.locator("#reservation")).to_have_attribute("data-status", "pending")
    expect(person.locator("#hold-left")).to_have_text(re.compile(r"[45]:\d\d"))
    person.get_by_role("button", name="Pay").click()
    expect(person.get_by_role("heading", level=1)).to_have_text("Your tickets are confirmed")


def test_who_wants_to_press_enter_finds_it_under_their_finger(person: Page, paused: Callable[[], None]) -> None:
    join(person)
    person.get_by_label("Take me in automatically at my turn").uncheck()
    paused()
    expect(person.locator("#enter")).to_be_focused()
    expect(person).to_have_title(re.compile("It is your turn|Waiting room"))
    expect(person.locator("#claim-left")).to_contain_text("Enter within")
    person.keyboard.press("Enter")
    person.wait_for_url("**/events/demo/seats")
    expect(person.locator("#pass-left")).to_have_text(re.compile(r"\d+:\d\d"))


def test_a_reload_and_a_second_tab_keep_the_place(person: Page, paused: Callable[[], None]) -> None:
    join(person)
    expect(person.locator("#connection")).to_have_attribute("data-live", "stream")
    number = person.locator("#number").inner_text()
    person.reload()
    expect(person.locator("#number")).to_have_text(number)
    second = person.context.new_page()
    second.goto("/events/demo")
    second.get_by_role("link", name="See my place").click()
    expect(second.locator("#number")).to_have_text(number)
    expect(second.locator("#connection")).to_have_attribute("data-live", "poll")  # one stream per browser and line


def test_where_streaming_is_impossible_the_page_polls(new_context: NewContext, paused: Callable[[], None]) -> None:
    context = new_context()
    context.route("**/stream", lambda route: route.fulfill(status=503))
    page = context.new_page()
    join(page)
    expect(page.locator("#connection")).to_have_attribute("data-live", "poll")
    paused()
    page.wait_for_url("**/events/demo/seats")


def test_leaving_asks_first_and_offers_a_way_back(person: Page, paused: Callable[[], None]) -> None:
    join(person)
    person.locator("[data-when=waiting] summary").click()
    person.get_by_role("button", name="Yes, leave").click()
    expect(person.get_by_role("heading", level=1)).to_have_text("You have left the line")
    person.get_by_role("button", name="Join again").click()
    expect(person.locator("#ahead")).to_be_visible()


def test_an_admin_changes_the_room_and_who_waits_is_told(new_context: NewContext, paused: Callable[[], None]) -> None:
    buyer, admin = new_context().new_page(), new_context().new_page()
    join(buyer)
    log_in_admin(admin)
    admin.get_by_role("link", name="Lumina").click()
    expect(admin.locator("#connection")).to_have_attribute("data-live", "stream")
    admin.locator("#message-en").fill("<i>Back at eight</i>")
    admin.get_by_role("button", name="Send").click()
    expect(buyer.locator("#message")).to_contain_text("<i>Back at eight</i>")
    admin.get_by_label("People let in per second").fill("12.5")
    admin.get_by_label("People let in per second").press("Enter")
    expect(admin.locator("#rate-said")).to_have_text("Applied")
    expect(admin.locator("#changes tr").first).to_contain_text("rate per second: 12.5")
    expect(admin.locator("#full")).to_be_hidden()
    admin.get_by_label("At once, at most").fill("99999999")
    admin.get_by_label("At once, at most").press("Enter")
    assert admin.locator("#burst").evaluate("input => input.validity.rangeOverflow"), "the browser says so itself"
    expect(admin.locator("#burst-said")).to_have_text(re.compile("From 1 to 100,000. It is still [0-9]+"))
    admin.get_by_label("At once, at most").fill("12")
    expect(admin.locator("#burst-said")).to_be_empty()
    expect(admin.locator("#rate-said")).to_have_text("Applied")
    admin.get_by_role("button", name="Resume").click()
    buyer.wait_for_url("**/events/demo/seats")


def test_a_line_for_accounts_asks_to_log_in_and_goes_on_from_there(new_context: NewContext) -> None:
    buyer, admin = new_context().new_page(), new_context().new_page()
    log_in_admin(admin)
    admin.get_by_role("link", name="Basement").click()
    admin.get_by_role("button", name="Accounts only", exact=True).click()
    expect(admin.locator("#door-said")).to_have_text("Applied")
    expect(admin.get_by_role("button", name="Accounts only", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(admin.locator("#changes tr").first).to_contain_text("who may join: Accounts only")
    buyer.goto("/events/small")
    buyer.get_by_role("link", name="Log in to join").click()
    buyer.get_by_label("E-mail").fill("test@tiketi.gg")
    buyer.get_by_label("Password").fill("test1234")
    buyer.get_by_role("button", name="Log in").click()
    buyer.wait_for_url("**/events/small")
    buyer.locator("#join-button").click()
    buyer.wait_for_url(re.compile("/events/small/(wait|seats)"))


def test_seats_are_chosen_and_held_with_the_keyboard_alone(person: Page) -> None:
    person.goto("/events/open-air/seats")
    seat = person.locator(".seat[tabindex='0']")
    expect(seat).to_have_count(1)
    expect(seat).to_have_attribute("aria-label", re.compile(r"Section A, row 1, seat \d+, R, ₩66,000, available"))
    seat.focus()
    for key in (" ", "ArrowRight", "Enter", "ArrowDown", "Home", "Enter"):
        person.keyboard.press(key)
    expect(person.locator("#chosen-list li")).to_have_count(3)
    expect(person.locator("#chosen-spoken")).to_contain_text("3 in all, ₩198,000")
    person.locator("#chosen-list button").last.click()  # the first would leave a seat alone
    expect(person.locator("#chosen-list li")).to_have_count(2)
    person.locator("#hold").click()
    person.wait_for_url("**/reservations/*")
    expect(person.locator("tfoot")).to_contain_text("₩132,000")


def test_a_choice_that_leaves_a_seat_alone_is_held_when_pressed_again(person: Page) -> None:
    person.goto("/events/open-air/seats")
    person.locator("[aria-label^='Section F, row 5, seat 2,']").click()
    person.locator("#hold").click()
    expect(person.locator("#seats-notice")).to_contain_text("leaves one seat alone: Section F, row 5, seat 1.")
    expect(person.locator("#chosen-list li")).to_have_count(1)
    person.locator("#hold").click()
    person.wait_for_url("**/reservations/*")
    expect(person.get_by_role("row", name="Section F, row 5, seat 2")).to_be_visible()


def test_the_slower_of_two_is_told_which_seats_went(new_context: NewContext) -> None:
    people = [new_context().new_page() for _ in range(2)]
    for page in people:
        page.goto("/events/open-air/seats")
        page.locator("[aria-label^='Section E, row 2, seat 3,']").click()
    people[0].locator("#hold").click()
    people[0].wait_for_url("**/reservations/*")
    expect(people[1].locator("#seats-notice")).to_contain_text("Section E, row 2, seat 3")
    expect(people[1].locator("#chosen-list li")).to_have_count(0)


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_a_small_phone_scrolls_only_downwards(new_context: NewContext, lang: str) -> None:
    page = new_context(viewport=PHONE).new_page()
    for path in ("/", "/events/demo", "/events/upcoming", "/events/demo/wait", "/events/demo/seats", "/nowhere"):
        page.goto(f"{path}?lang={lang}")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path


def test_without_a_script_the_place_is_still_told(new_context: NewContext, paused: Callable[[], None]) -> None:
    page = new_context(java_script_enabled=False).new_page()
    join(page)
    expect(page.locator("#ahead")).to_have_text(re.compile(r"\d+"))
    refresh = page.locator(
        "[data-when=waiting] noscript a"
    )  # by element: Playwright looks for no text inside <noscript>
    expect(refresh).to_be_visible()
    paused()
    refresh.click()
    expect(page.locator("#enter")).to_be_visible()
    page.locator("#enter").click()
    page.wait_for_url("**/events/demo/seats")
