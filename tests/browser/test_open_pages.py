"""Pages that were left open say what became of things meanwhile, without a reload by hand."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.people import Ask, NewContext, join, log_in_admin
from tests.run.test_up import Up

# Whoever comes back to a page is told at once; who stays is told within a minute, which no test waits for.
COMING_BACK = "setInterval(() => document.dispatchEvent(new Event('visibilitychange')), 500)"
DAY = "2031-05-01T10:00:00Z"


@pytest.fixture
def new_context(new_context: NewContext) -> NewContext:
    """People who come back to every page of theirs again and again."""

    def make(**options: Any) -> BrowserContext:
        context = new_context(**options)
        context.add_init_script(COMING_BACK)
        return context

    return make


def made(ask: Ask, admission: str = "open", **more: object) -> str:
    event = {"title": "Open", "venue": "Hall", "eventDate": DAY, "admission": admission, **more}
    event_id = str(ask("POST", "events", {**event, "ticketTypes": [{"grade": "R", "price": 50_000}]})["event"]["id"])
    give_seats(ask, event_id, "1F")
    return event_id


def give_seats(ask: Ask, event_id: str, floor: str) -> None:
    ask("POST", f"events/{event_id}/seats", {"seats": [f"R/{floor}/A/1/{number}" for number in range(1, 7)]})


def look_at_seats(page: Page, event_id: str) -> None:
    page.goto(f"/events/{event_id}/seats")
    expect(page.locator("#connection")).to_have_attribute("data-live", "stream")


def hold_best(page: Page, event_id: str) -> str:
    look_at_seats(page, event_id)
    page.locator("#best button").click()
    page.wait_for_url("**/reservations/*")
    return page.url


def test_the_map_follows_when_its_seats_and_prices_are_replaced(person: Page, ask: Ask) -> None:
    event_id = made(ask)
    look_at_seats(person, event_id)
    give_seats(ask, event_id, "2F")  # as many as before, and of the same ids
    expect(person.locator(".seat").first).to_have_attribute("aria-label", re.compile("2F.*₩50,000"))
    expect(person.locator("#connection")).to_have_attribute("data-live", "stream")
    ask("PUT", f"events/{event_id}", {"ticketTypes": [{"grade": "R", "price": 70_000}]})
    expect(person.locator(".seat").first).to_have_attribute("aria-label", re.compile("₩70,000"))
    expect(person.locator(".legend")).to_contain_text("₩70,000")


def test_pages_of_a_cancelled_event_say_so(new_context: NewContext, ask: Ask) -> None:
    event_id = made(ask)
    context = new_context()
    event, seats = context.new_page(), context.new_page()
    event.goto(f"/events/{event_id}")
    look_at_seats(seats, event_id)
    seats.locator(".seat").first.click()
    ask("POST", f"events/{event_id}/cancel")
    expect(event.locator("#join-title")).to_have_text("This event was cancelled.")
    expect(seats.get_by_role("main")).to_contain_text("This event was cancelled.")
    expect(seats.locator("#best button")).to_be_disabled()


def test_the_event_page_follows_its_prices_seats_and_line(new_context: NewContext, ask: Ask) -> None:
    event_id = made(ask, "room")
    page = new_context().new_page()
    page.goto(f"/events/{event_id}")
    page.locator("details.wish summary").click()
    ask("PUT", f"events/{event_id}", {"title": "Renamed", "ticketTypes": [{"grade": "R", "price": 70_000}]})
    expect(page.get_by_role("heading", level=1)).to_have_text("Renamed")
    expect(page.locator("table.prices")).to_contain_text("₩70,000")
    give_seats_of = page.locator("[data-left=R]")
    expect(give_seats_of).to_have_text("6 seats")
    buyer = new_context().new_page()
    join(buyer, event_id)
    buyer.wait_for_url("**/seats")
    hold_best(buyer, event_id)
    expect(give_seats_of).to_have_text("4 seats")
    ask("PATCH", f"events/{event_id}/admission", {"state": "closed"})
    expect(page.locator("#join")).to_have_count(0)


def test_who_counts_down_joins_at_once_when_the_sale_is_moved_earlier(person: Page, ask: Ask) -> None:
    event_id = made(ask, "room", saleOpensAt="2031-04-01T10:00:00Z")
    person.goto(f"/events/{event_id}")
    expect(person.locator("#opening-left")).to_contain_text("days")
    ask("PUT", f"events/{event_id}", {"saleOpensAt": "2031-03-01T10:00:00Z"})
    expect(person.locator("#opening")).to_have_attribute("data-until", re.compile("2031-03-01"))
    ask("PUT", f"events/{event_id}", {"saleOpensAt": "2021-01-01T10:00:00Z"})
    person.wait_for_url(re.compile(f"/events/{event_id}/(wait|seats)$"))


def test_who_counts_down_joins_by_itself_at_the_opening(person: Page, ask: Ask) -> None:
    event_id = count_down(person, ask)
    person.wait_for_url(re.compile(f"/events/{event_id}/(wait|seats)$"))


def count_down(person: Page, ask: Ask) -> str:
    """Show an event that opens so soon that it is waited for; later if this machine is slow to draw its page."""
    waits: list[bool] = []

    def draw(route: Route) -> None:
        answer = route.fetch()
        waits.append('id="opening"' in answer.text())
        route.fulfill(response=answer)

    for seconds in (2, 10, 50):
        opens = datetime.now(UTC) + timedelta(seconds=seconds)
        event_id = made(ask, "room", saleOpensAt=opens.isoformat())
        person.route(f"**/events/{event_id}", draw, times=1)  # the page, not what it asks later
        person.goto(f"/events/{event_id}")
        if waits[-1]:
            return event_id
    raise AssertionError("the page was never drawn before the sale opened")


def stop_between_transactions(worker: int, file: Path) -> None:
    """Stopped while it writes, it would keep everybody else from writing."""
    for _ in range(1_000):
        os.kill(worker, signal.SIGSTOP)
        try:
            with closing(sqlite3.connect(file, timeout=0.05)) as db:
                db.execute("BEGIN IMMEDIATE")
                return
        except sqlite3.OperationalError:
            os.kill(worker, signal.SIGCONT)
    raise AssertionError("it writes without end")


def test_who_counts_down_joins_though_no_tick_has_opened_the_line_yet(person: Page, ask: Ask, system: Up) -> None:
    event_id = made(ask, "room", saleOpensAt="2031-04-01T10:00:00Z")
    person.goto(f"/events/{event_id}")
    expect(person.locator("#opening-left")).to_contain_text("days")
    worker = system.children()["worker-1"]
    try:
        stop_between_transactions(worker, system.folder / "tiketi.db")
        ask("PUT", f"events/{event_id}", {"saleOpensAt": "2021-01-01T10:00:00Z"})
        person.wait_for_url(f"**/events/{event_id}/wait")
    finally:
        os.kill(worker, signal.SIGCONT)
    person.wait_for_url(f"**/events/{event_id}/seats")


def test_who_is_told_that_it_is_too_early_when_it_is_not_asks_again(person: Page, ask: Ask) -> None:
    """The clock of the page, of the web process and of Redis may differ."""
    event_id = made(ask, "room")
    person.goto(f"/events/{event_id}")
    early = {"code": "room_not_open", "detail": "The line opens.", "opensAt": "2021-01-01T10:00:00Z"}
    person.route("**/join", lambda route: route.fulfill(status=409, json=early), times=2)
    person.locator("#join-button").click()
    person.wait_for_url(re.compile(f"/events/{event_id}/(wait|seats)$"))


def test_what_is_paid_in_one_tab_or_given_back_by_an_admin_is_seen_in_the_others(
    new_context: NewContext, ask: Ask
) -> None:
    event_id = made(ask)
    context = new_context()
    one, other, mine = context.new_page(), context.new_page(), context.new_page()
    other.goto(hold_best(one, event_id))
    mine.goto("/reservations")
    expect(mine.locator("li[data-status=pending]")).to_be_visible()
    one.get_by_role("button", name="Pay").click()
    for page in (one, other):
        expect(page.locator("#reservation")).to_have_attribute("data-status", "confirmed")
    expect(mine.locator("li[data-status=confirmed]")).to_be_visible()
    ask("POST", f"reservations/{one.url.rpartition('/')[2]}/refund", {})
    for page in (one, other):
        expect(page.locator("#payment")).to_have_attribute("data-status", "refunded")
    expect(mine.locator("li[data-status=refunded]")).to_be_visible()


def test_an_admin_sees_what_another_changed(person: Page, ask: Ask) -> None:
    event_id = made(ask, "room")
    log_in_admin(person)
    person.goto(f"/admin/events/{event_id}")
    expect(person.locator("#connection")).to_have_attribute("data-live", "stream")
    ask("PATCH", f"events/{event_id}/admission", {"ratePerSecond": 7})
    expect(person.locator("#rate")).to_have_value("7")
    expect(person.locator("#changes")).to_contain_text(": 7")
