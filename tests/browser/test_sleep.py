"""A device that slept: browsers stop their steady clock and every timer meanwhile, and the wall clock goes on.

A page is told that it was drawn a minute ago, as one is that slept for that minute; then its wall clock jumps.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.people import Ask, NewContext, join
from tests.browser.test_open_pages import made

SLEPT_S = 60
CLOCKS = """
const real = Date.now.bind(Date);
let slept = 0;
Date.now = () => real() + slept;
window.wakeAfter = (seconds) => { slept += seconds * 1000; };
"""


def drawn_before_the_sleep(route: Route) -> None:
    answer = route.fetch()

    def earlier(found: re.Match[str]) -> str:
        return f'"now":"{(datetime.fromisoformat(found[1]) - timedelta(seconds=SLEPT_S)).isoformat()}"'

    route.fulfill(response=answer, body=re.sub(r'"now":"([^"]+)"', earlier, answer.text()))


@pytest.fixture
def sleeper(new_context: NewContext) -> Page:
    page = new_context().new_page()
    page.add_init_script(CLOCKS)
    return page


def look_before_the_opening(page: Page, ask: Ask, seconds: int) -> str:
    """Show the page of an event that opens in so many seconds, which counts a minute more."""
    opens = datetime.now(UTC) + timedelta(seconds=seconds)
    event_id = made(ask, "room", saleOpensAt=opens.isoformat())
    page.route(f"**/events/{event_id}", drawn_before_the_sleep, times=1)  # the page, not what it asks later
    page.goto(f"/events/{event_id}")
    expect(page.locator("#opening-left")).to_have_text(re.compile(r"1:\d\d"))
    return event_id


def test_who_wakes_before_the_opening_joins_at_the_opening(sleeper: Page, ask: Ask) -> None:
    event_id = look_before_the_opening(sleeper, ask, 12)
    sleeper.evaluate(f"wakeAfter({SLEPT_S})")
    expect(sleeper.locator("#opening-left")).to_have_text(re.compile(r"0:\d\d"))
    sleeper.wait_for_url(re.compile(f"/events/{event_id}/(wait|seats)$"))


def test_a_clock_that_is_wrong_is_set_by_the_next_answer(sleeper: Page, ask: Ask) -> None:
    look_before_the_opening(sleeper, ask, 50)
    sleeper.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # which asks whether the page still holds
    expect(sleeper.locator("#opening-left")).to_have_text(re.compile(r"0:\d\d"))
    sleeper.evaluate("wakeAfter(-3600)")
    sleeper.evaluate("wakeAfter(3600)")  # set forward by hand: as if it had slept an hour
    sleeper.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(sleeper.locator("#opening-left")).to_have_text(re.compile(r"0:\d\d"))


def test_who_wakes_in_line_asks_at_once_how_it_stands(sleeper: Page, paused: Callable[[], None]) -> None:
    join(sleeper)
    expect(sleeper.locator("#connection")).to_have_attribute("data-live", "stream")
    with sleeper.expect_request("**/position"):
        sleeper.evaluate(f"wakeAfter({SLEPT_S})")
