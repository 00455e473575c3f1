"""The seat map as people see it: what another takes is gone at once, also after a lost connection, also by polling."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.people import NewContext


def look(page: Page, section: str, live: str = "stream") -> None:
    """Open the map and choose the section's first seats by name later."""
    page.goto("/events/open-air/seats")
    expect(page.locator("#connection")).to_have_attribute("data-live", live)
    expect(page.locator(f"[aria-label^='Section {section}, row 3, seat 1,']")).to_be_visible()


def hold(page: Page, seat: str) -> None:
    page.locator(f"[aria-label^='{seat},']").click()
    page.locator("#hold").click()
    page.wait_for_url("**/reservations/*")


def give_back(page: Page) -> None:
    page.locator("details.leave summary").click()
    page.locator("form[action$='/cancel'] button").click()
    expect(page.locator("#reservation")).to_have_attribute("data-status", "cancelled")


@pytest.fixture
def two(new_context: NewContext) -> tuple[Page, Page]:
    return new_context().new_page(), new_context().new_page()


def test_what_one_holds_the_other_sees_without_asking_and_again_when_it_is_free(two: tuple[Page, Page]) -> None:
    one, other = two
    name = "Section A, row 3, seat 1"
    polls: list[str] = []
    other.on("request", lambda request: polls.append(request.url) if "since=" in request.url else None)
    for page in two:
        look(page, "A")
    seat = other.locator(f"[aria-label^='{name},']")
    left = other.locator("[data-left='R']")
    before = left.inner_text()
    hold(one, name)
    expect(seat).to_have_class(re.compile("taken"))
    expect(seat).to_have_attribute("aria-label", re.compile("held by someone"))
    expect(left).not_to_have_text(before)
    give_back(one)
    expect(seat).not_to_have_class(re.compile("taken"))
    expect(left).to_have_text(before)
    assert polls == [], "nothing was polled"


def test_a_chosen_seat_that_goes_is_said_politely(two: tuple[Page, Page]) -> None:
    one, other = two
    name = "Section B, row 3, seat 1"
    for page in two:
        look(page, "B")
    other.locator(f"[aria-label^='{name},']").press("Enter")
    expect(other.locator("#chosen-list li")).to_have_count(1)
    expect(other.locator("#seat-tip")).to_contain_text("chosen")
    hold(one, name)
    notice = other.locator("#seats-notice")
    expect(notice).to_have_text(re.compile(f"Taken by someone else: {name}"))
    expect(notice).to_have_attribute("aria-live", "polite")
    expect(other.locator("#chosen-list li")).to_have_count(0)
    expect(other.locator("#seat-tip")).to_contain_text("held by someone")
    give_back(one)


def test_what_was_missed_off_the_network_is_there_afterwards(two: tuple[Page, Page]) -> None:
    one, other = two
    name = "Section C, row 3, seat 1"
    for page in two:
        look(page, "C")
    other.context.set_offline(True)
    expect(other.locator("#connection")).to_have_attribute("data-live", "lost")
    hold(one, name)
    other.context.set_offline(False)
    expect(other.locator("#connection")).to_have_attribute("data-live", "stream")
    expect(other.locator(f"[aria-label^='{name},']")).to_have_class(re.compile("taken"))
    give_back(one)


def test_where_sockets_are_impossible_the_map_polls_and_returns_to_them_later(two: tuple[Page, Page]) -> None:
    one, other = two
    name = "Section D, row 3, seat 1"
    forbidden = True

    def route(socket: WebSocketRoute) -> None:
        if forbidden:
            socket.close(code=4999)
        else:
            socket.connect_to_server()

    other.route_web_socket(re.compile("/ws/seats/"), route)
    look(one, "D")
    look(other, "D", live="poll")
    hold(one, name)
    expect(other.locator(f"[aria-label^='{name},']")).to_have_class(re.compile("taken"))
    forbidden = False
    expect(other.locator("#connection")).to_have_attribute("data-live", "stream")
    give_back(one)
    expect(other.locator(f"[aria-label^='{name},']")).not_to_have_class(re.compile("taken"))


def test_a_page_that_missed_a_version_asks_for_it(two: tuple[Page, Page]) -> None:
    """One message is lost on its way: the next one begins after what the page knows."""
    one, other = two
    names = [f"Section E, row 3, seat {number}" for number in (1, 5)]
    losing = True

    def route(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        server.on_message(lambda message: None if losing and "seatIds" not in str(message) else socket.send(message))

    other.route_web_socket(re.compile("/ws/seats/"), route)
    look(one, "E")
    other.goto("/events/open-air/seats")
    expect(other.locator(f"[aria-label^='{names[0]},']")).to_be_visible()
    hold(one, names[0])
    losing = False
    give_back(one)
    one.goto("/events/open-air/seats")
    hold(one, names[1])
    expect(other.locator(f"[aria-label^='{names[1]},']")).to_have_class(re.compile("taken"))
    expect(other.locator(f"[aria-label^='{names[0]},']")).not_to_have_class(re.compile("taken"))
    give_back(one)
