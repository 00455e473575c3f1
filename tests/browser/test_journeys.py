"""Whole ways of a buyer through the pages: wait, turn, pick, pay, cancel; with the keyboard alone; off the network."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.people import NewContext, join

TABS_MAX = 60  # of one page until what is looked for has the focus


def press_until_focused(page: Page, selector: str) -> None:
    """Tab on, as somebody without a mouse does, until the element has the focus."""
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement?.matches(selector) ?? false", selector):
            return
    raise AssertionError(f"{selector} cannot be reached with the Tab key on {page.url}")


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_wait_turn_pick_pay_cancel(new_context: NewContext, paused: Callable[[], None], lang: str) -> None:
    page = new_context(locale="ko-KR" if lang == "ko" else "en-US").new_page()
    join(page)
    expect(page.locator("html")).to_have_attribute("lang", lang)
    expect(page.locator("#connection")).to_have_attribute("data-live", "stream")
    paused()
    page.wait_for_url("**/events/demo/seats")
    page.locator(".seat:not(.taken)").first.click()
    expect(page.locator("#chosen-list li")).to_have_count(1)
    page.locator("#hold").click()
    page.wait_for_url("**/reservations/*")
    page.locator("form[action$='/pay'] button").click()
    reservation = page.locator("#reservation")
    expect(reservation).to_have_attribute("data-status", "confirmed")
    page.locator("details.leave summary").click()
    page.locator("form[action$='/cancel'] button").click()
    expect(reservation).to_have_attribute("data-status", "refunded")
    page.get_by_role("main").get_by_role("link").last.click()
    expect(page.locator("#join-button")).to_be_visible()


def test_the_whole_way_with_the_keyboard_alone(person: Page) -> None:
    person.goto("/")
    press_until_focused(person, "a[href='/events/demo']")
    person.keyboard.press("Enter")
    person.wait_for_url("**/events/demo")
    press_until_focused(person, "#join-button")
    person.keyboard.press("Enter")
    person.wait_for_url("**/events/demo/seats")
    expect(person.locator(".seat[tabindex='0']")).to_have_count(1)  # of the map, which is drawn by the script
    press_until_focused(person, ".seat")
    person.keyboard.press("Enter")
    expect(person.locator("#chosen-list li")).to_have_count(1)
    press_until_focused(person, "#hold")
    person.keyboard.press("Enter")
    person.wait_for_url("**/reservations/*")
    press_until_focused(person, "input[name=method]")
    person.keyboard.press("ArrowDown")
    press_until_focused(person, "form[action$='/pay'] button")
    person.keyboard.press("Enter")
    expect(person.locator("#reservation")).to_have_attribute("data-status", "confirmed")
    press_until_focused(person, "details.leave summary")
    person.keyboard.press("Enter")
    press_until_focused(person, "form[action$='/cancel'] button")
    person.keyboard.press("Enter")
    expect(person.locator("#reservation")).to_have_attribute("data-status", "refunded")


def test_off_the_network_and_back_the_place_is_the_same(person: Page, paused: Callable[[], None]) -> None:
    join(person)
    connection = person.locator("#connection")
    expect(connection).to_have_attribute("data-live", "stream")
    number = person.locator("#number").inner_text()
    person.context.set_offline(True)
    expect(connection).to_have_attribute("data-live", "lost")
    person.context.set_offline(False)
    expect(connection).to_have_attribute("data-live", re.compile("stream|poll"))
    expect(person.locator("#number")).to_have_text(number)
    paused()
    person.wait_for_url("**/events/demo/seats")
