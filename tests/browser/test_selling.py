"""An event from an admin's form to its end: found, bought, sold out, waited for, offered, and cancelled."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import httpx2
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import WAIT_MAX_MS
from tests.browser.people import NewContext, join, log_in_admin
from tests.browser.test_files import file_of, send
from tests.browser.test_journeys import press_until_focused
from tests.pictures import picture
from tests.run.test_up import Up

Sell = Callable[..., str]


@pytest.fixture(scope="module")
def sell(system: Up) -> Iterator[Sell]:
    """Puts an event of a few seats on sale, as an admin's program does; gives its id."""
    with httpx2.Client(base_url=f"http://{system.netloc}", timeout=30) as client:
        login = client.post("/api/auth/login", json={"email": "admin@tiketi.gg", "password": "admin123"})
        token = {"Authorization": f"Bearer {login.json()['token']}"}

        def make(title: str, seats: int, admission: str = "open") -> str:
            event: dict[str, object] = {"title": title, "venue": "Hall", "admission": admission}
            event |= {"eventDate": "2031-05-01T10:00:00Z", "ticketTypes": [{"grade": "R", "price": 50_000}]}
            made = client.post("/api/admin/events", json=event, headers=token)
            assert made.status_code == 201, made.text
            event_id = str(made.json()["event"]["id"])
            labels = "\n".join(f"R/1F/A/1/{number}" for number in range(1, seats + 1)).encode()
            sent = {**token, "Content-Type": "text/csv"}
            answer = client.post(f"/api/admin/events/{event_id}/seats", content=labels, headers=sent)
            assert answer.is_success, answer.text
            return event_id

        yield make


def reload_until(page: Page, shown: Locator) -> None:
    """For what the server does in its own time and no page is told of."""
    give_up = time.monotonic() + WAIT_MAX_MS / 1000
    while not shown.count():
        assert time.monotonic() < give_up, f"{page.url} never showed {shown}"
        page.reload()


def buy_best(page: Page, event: str, quantity: str) -> str:
    page.goto(f"/events/{event}/seats")
    page.locator("#best [name=quantity]").select_option(quantity)
    page.locator("#best button").click()
    page.wait_for_url("**/reservations/*")
    pay(page)
    return page.url


def pay(page: Page) -> None:
    page.get_by_role("button", name="Pay").click()
    expect(page.locator("#reservation")).to_have_attribute("data-status", "confirmed")


def test_an_event_of_an_admin_is_found_joined_and_bought(new_context: NewContext) -> None:
    admin, buyer = new_context().new_page(), new_context().new_page()
    log_in_admin(admin)
    admin.goto("/admin/events/new")
    admin.get_by_label("Title", exact=True).fill("개기월식의 밤")
    admin.get_by_label("Venue", exact=True).fill("천문대")
    admin.get_by_label("Title (English)").fill("Night of the eclipse")
    admin.get_by_label("The event begins").fill("2031-05-01T19:00")
    admin.get_by_label("Grade 1", exact=True).fill("R")
    admin.get_by_label("Price 1 (KRW)").fill("70000")
    admin.get_by_role("button", name="Make the event").click()
    expect(admin.get_by_role("status")).to_have_text("The event was made.")
    admin.get_by_role("link", name="Seat map and poster").click()
    labels = "\n".join(f"R/1F/A/{row}/{number}" for row in (1, 2) for number in range(1, 7))
    send(admin, "seats", "Replace the seat map", file_of("seats.csv", "text/csv", labels.encode()))
    expect(admin.get_by_role("status")).to_contain_text("12 seats were imported")
    send(admin, "poster", "Send the poster", file_of("p.png", "image/png", picture("PNG", (600, 900))))
    expect(admin.locator(".poster-now")).to_be_visible()

    buyer.goto("/")
    buyer.get_by_label("Title, place or artist").fill("eclipse")
    buyer.get_by_label("Title, place or artist").press("Enter")
    expect(buyer.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    expect(buyer.get_by_role("img", name="Poster of Night of the eclipse")).to_be_visible()
    buyer.get_by_role("link", name="한국어").click()
    expect(buyer.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    buyer.get_by_role("link", name="개기월식의 밤").click()
    expect(buyer.locator("table.prices")).to_contain_text("12석")
    buyer.get_by_role("link", name="English").click()
    expect(buyer.locator("html")).to_have_attribute("lang", "en")
    buyer.locator("#join-button").click()
    buyer.wait_for_url("**/seats")
    buyer.locator(".seat").nth(3).click()
    buyer.locator("#hold").click()
    buyer.wait_for_url("**/reservations/*")
    pay(buyer)
    expect(buyer.get_by_role("row", name="Total")).to_contain_text("₩70,000")
    number = buyer.url.rpartition("/")[2]
    admin.goto("/admin/reservations")
    admin.get_by_role("link", name=number).click()
    expect(admin.get_by_role("main")).to_contain_text("Paid")
    admin.get_by_role("link", name="Statistics").click()
    expect(admin.get_by_role("heading", level=1)).to_have_text("Statistics")
    reload_until(admin, admin.locator("#events tr", has_text="Night of the eclipse").get_by_text("₩70,000"))


def test_sold_out_listed_offered_and_paid(new_context: NewContext, sell: Sell) -> None:
    event = sell("Two seats only", seats=2)
    first, second = new_context().new_page(), new_context().new_page()
    bought = buy_best(first, event, "2")
    second.goto(f"/events/{event}")
    expect(second.get_by_role("row", name="R ₩50,000")).to_contain_text("Sold out")
    second.get_by_role("link", name="join the waiting list").click()
    second.get_by_role("button", name="Join the list").click()
    expect(second.locator("#waitlist")).to_have_attribute("data-state", "waiting")
    expect(second.locator("#waitlist-place")).to_have_text("1")
    first.goto(bought)
    first.locator("details.leave summary").click()
    first.get_by_role("button", name="Yes, cancel it").click()
    expect(first.locator("#reservation")).to_have_attribute("data-status", "refunded")
    asked_again = 3 * WAIT_MAX_MS  # the workers' round, then the page's own
    expect(second.locator("#waitlist")).to_have_attribute("data-state", "offered", timeout=asked_again)
    expect(second).to_have_title(re.compile("^● Seats came free for you!"))
    second.goto("/reservations")
    second.get_by_role("link", name="Two seats only").first.click()
    second.wait_for_url(f"**/events/{event}/waitlist")
    second.goto(f"/events/{event}/waitlist")
    second.get_by_role("link", name="See the seats and pay").click()
    pay(second)
    second.goto(f"/events/{event}/waitlist")
    reload_until(second, second.locator("#waitlist[data-state=bought]"))


def test_a_cancelled_event_ends_the_wait_and_pays_back(new_context: NewContext, sell: Sell) -> None:
    event = sell("Never to be", seats=4, admission="room")
    admin, paid, waiting = new_context().new_page(), new_context().new_page(), new_context().new_page()
    join(paid, event)
    paid.wait_for_url("**/seats")
    buy_best(paid, event, "1")
    log_in_admin(admin)
    admin.goto(f"/admin/events/{event}")
    admin.get_by_role("button", name="Pause").click()
    expect(admin.locator("#state")).to_have_text("Paused")
    join(waiting, event)
    expect(waiting.locator("#connection")).to_have_attribute("data-live", "stream")
    expect(waiting.locator("#room-says")).to_contain_text("Paused")
    admin.locator("#message-en").fill("The singer is ill.")
    admin.get_by_role("button", name="Send").click()
    expect(waiting.locator("#message")).to_contain_text("The singer is ill.")
    admin.goto(f"/admin/events/{event}/cancel")
    admin.get_by_label("Yes, cancel this event").check()
    admin.get_by_role("button", name="Cancel it now").click()
    expect(waiting.locator("#closed-title")).to_have_text("This event was cancelled")
    expect(waiting.locator("#room-says")).to_be_hidden()
    reload_until(paid, paid.locator("#reservation[data-status=refunded]"))
    reload_until(paid, paid.locator("#payment[data-status=refunded]"))
    expect(paid.locator("#payment")).to_contain_text("₩50,000 was given back to you.")
    expect(paid.get_by_role("main")).to_contain_text("This event was cancelled.")


def test_an_account_and_an_event_are_made_with_the_keyboard_alone(new_context: NewContext) -> None:
    buyer, admin = new_context().new_page(), new_context().new_page()
    buyer.goto("/")
    press_until_focused(buyer, "a[href^='/login']")
    buyer.keyboard.press("Enter")
    buyer.wait_for_url(re.compile("/login"))
    press_until_focused(buyer, "a[href^='/register']")
    buyer.keyboard.press("Enter")
    buyer.wait_for_url(re.compile("/register"))
    for name, text in (("name", "Kim"), ("email", "keys@example.com"), ("password", "correct horse")):
        press_until_focused(buyer, f"[name={name}]")
        buyer.keyboard.type(text)
    buyer.keyboard.press("Enter")
    buyer.wait_for_selector("form[action='/login']")
    press_until_focused(buyer, "[name=password]")
    buyer.keyboard.type("correct horse")
    buyer.keyboard.press("Enter")
    expect(buyer.get_by_role("banner")).to_contain_text("Kim")
    press_until_focused(buyer, "form[action='/logout'] button")
    buyer.keyboard.press("Enter")
    expect(buyer.locator("a[href^='/login']")).to_be_visible()
    press_until_focused(buyer, "a[href^='/login']")
    buyer.keyboard.press("Enter")
    buyer.wait_for_url(re.compile("/login"))
    for name, text in (("email", "keys@example.com"), ("password", "correct horse")):
        press_until_focused(buyer, f"[name={name}]")
        buyer.keyboard.type(text)
    press_until_focused(buyer, "main form button")
    buyer.keyboard.press("Enter")
    expect(buyer.get_by_role("banner")).to_contain_text("Kim")

    admin.goto("/admin/login")
    for name, text in (("email", "admin@tiketi.gg"), ("password", "admin123")):
        press_until_focused(admin, f"[name={name}]")
        admin.keyboard.type(text)
    admin.keyboard.press("Enter")
    admin.wait_for_url("**/admin")
    press_until_focused(admin, "a[href='/admin/events']")
    admin.keyboard.press("Enter")
    admin.wait_for_url("**/admin/events")
    press_until_focused(admin, "a[href='/admin/events/new']")
    admin.keyboard.press("Enter")
    admin.wait_for_url("**/admin/events/new")
    for name, text in (("title", "By keys"), ("venue", "Hall"), ("grade0", "R"), ("price0", "50000")):
        press_until_focused(admin, f"[name={name}]")
        admin.keyboard.type(text)
        if name == "venue":
            press_until_focused(admin, "[name=event_date]")
            admin.locator("[name=event_date]").fill("2031-05-01T19:00")  # how its parts are typed is Chromium's own
    press_until_focused(admin, "[name=admission]")
    admin.keyboard.press("ArrowDown")
    press_until_focused(admin, "main form[action='/admin/events'] button")
    admin.keyboard.press("Enter")
    expect(admin.get_by_role("status")).to_have_text("The event was made.")
    expect(admin.locator("[name=event_date]")).to_have_value("2031-05-01T19:00")
