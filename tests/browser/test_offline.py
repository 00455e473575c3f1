"""Off the network in the middle of buying: nothing chosen is lost, nothing is held or charged twice."""

from __future__ import annotations

import re

from playwright.sync_api import Page, Route, expect

from tests.browser.people import NewContext


def choose(page: Page, seat: str) -> None:
    """Each test in a row of its own, so that no choice leaves a seat alone, in whatever order they run."""
    page.goto("/events/open-air/seats")
    expect(page.locator("#connection")).to_have_attribute("data-live", "stream")
    page.locator(f"[aria-label^='{seat},']").click()
    expect(page.locator("#chosen-list li")).to_have_count(1)


def test_a_hold_pressed_off_the_network_is_made_once_the_network_is_back(person: Page) -> None:
    seat = "Section A, row 2, seat 1"
    choose(person, seat)
    person.context.set_offline(True)
    person.locator("#hold").click()
    expect(person.locator("#seats-notice")).to_contain_text("Your choice is still here")
    expect(person.locator("#chosen-list li")).to_have_count(1)
    person.context.set_offline(False)
    person.locator("#hold").click()
    person.wait_for_url("**/reservations/*")
    expect(person.get_by_role("row", name=seat)).to_be_visible()
    person.reload()
    expect(person.locator("#reservation")).to_have_attribute("data-status", "pending")
    person.goto("/events/open-air/seats")
    expect(person.locator(f"[aria-label^='{seat},']")).to_have_class(re.compile("taken"))


def test_pay_pressed_off_the_network_loses_nothing_and_charges_once(person: Page) -> None:
    choose(person, "Section A, row 3, seat 1")
    person.locator("#hold").click()
    person.wait_for_url("**/reservations/*")
    posts: list[str] = []
    person.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    person.get_by_label("Kakao Pay").check()
    person.context.set_offline(True)
    person.get_by_role("button", name="Pay").click()
    expect(person.get_by_role("alert")).to_contain_text("nothing was sent")
    expect(person.get_by_label("Kakao Pay")).to_be_checked()
    assert posts == []
    person.context.set_offline(False)
    person.get_by_role("button", name="Pay").dblclick()
    expect(person.locator("#reservation")).to_have_attribute("data-status", "confirmed")
    expect(person.locator("#payment")).to_contain_text("Kakao Pay")
    assert len(posts) == 1
    person.go_back()
    expect(person.locator("#reservation")).to_have_attribute("data-status", "confirmed")


def test_an_answer_that_is_lost_on_its_way_is_no_second_charge(new_context: NewContext) -> None:
    """The money is taken, but the page never hears of it; who comes back finds the tickets paid."""
    page = new_context().new_page()
    choose(page, "Section A, row 4, seat 1")
    page.locator("#hold").click()
    page.wait_for_url("**/reservations/*")
    reservation = page.url

    def lose(route: Route) -> None:
        route.fetch(max_redirects=0)
        route.abort()

    page.route("**/pay", lose)
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Pay").click()
    page.unroute("**/pay")
    page.goto(reservation)
    expect(page.locator("#reservation")).to_have_attribute("data-status", "confirmed")
    expect(page.locator("#payment")).to_contain_text("Paid")
