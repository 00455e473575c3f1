"""No page breaks a rule of axe-core (WCAG 2.2 A and AA): either language, phone and desktop, light and dark.

Every route of a page is in the tables below; a test holds them to what the app really serves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.http.routes import page_routes
from tests.browser.conftest import WAIT_MAX_MS
from tests.browser.people import NewContext, join, log_in_admin
from tests.run.test_up import Up

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}
LOOKS = [("ko", PHONE, "light"), ("en", PHONE, "dark"), ("ko", DESKTOP, "dark"), ("en", DESKTOP, "light")]
LOOK_NAMES = ["ko-phone-light", "en-phone-dark", "ko-desktop-dark", "en-desktop-light"]
OPEN_TO_ALL = {
    "/": ("/", "/?q=nothing+like+this"),
    "/events/{event_id}": ("/events/demo", "/events/open-air", "/events/upcoming"),
    "/events/{event_id}/wait": ("/events/demo/wait",),
    "/events/{event_id}/seats": ("/events/open-air/seats", "/events/demo/seats"),
    "/events/{event_id}/waitlist": ("/events/open-air/waitlist",),
    "/reservations": ("/reservations",),
    "/reservations/{reservation_id}": ("/reservations/{held}", "/reservations/r_nothing"),
    "/login": ("/login",),
    "/register": ("/register",),
    "/admin/login": ("/admin/login",),
}
ADMINS = {
    "/admin": ("/admin",),
    "/admin/events": ("/admin/events", "/admin/events?q=nothing+like+this"),
    "/admin/events/new": ("/admin/events/new",),
    "/admin/events/{event_id}": ("/admin/events/demo",),
    "/admin/events/{event_id}/places": ("/admin/events/demo/places?number=1",),
    "/admin/events/{event_id}/places/{number}": ("/admin/events/demo/places/1", "/admin/events/demo/places/999999"),
    "/admin/events/{event_id}/edit": ("/admin/events/demo/edit",),
    "/admin/events/{event_id}/cancel": ("/admin/events/demo/cancel",),
    "/admin/events/{event_id}/files": ("/admin/events/demo/files", "/admin/events/open-air/files"),
    "/admin/reservations": ("/admin/reservations", "/admin/reservations?id=r_nothing", "/admin/reservations?since=x"),
    "/admin/reservations/{reservation_id}": ("/admin/reservations/{held}",),
    "/admin/statistics": ("/admin/statistics",),
    "/admin/users": ("/admin/users",),
    "/admin/users/{user_id}": ("/admin/users/u_demo_buyer",),
    "/admin/trail": ("/admin/trail",),
}
NO_ROUTE = ("/nowhere",)


class People(NamedTuple):
    """A buyer who holds a seat and an admin who is logged in, as what their browsers keep."""

    held: str
    buyer: Any
    admin: Any


@pytest.fixture(scope="module")
def people(chromium: Browser, system: Up) -> Iterator[People]:
    made = [chromium.new_context(base_url=f"http://{system.netloc}", locale="en-US") for _ in range(2)]
    buyer, admin = [context.new_page() for context in made]
    for context in made:
        context.set_default_timeout(WAIT_MAX_MS)
    buyer.goto("/events/open-air/seats")
    buyer.locator("#best button").click()
    buyer.wait_for_url("**/reservations/*")
    log_in_admin(admin)
    admin.wait_for_url("**/admin")
    yield People(buyer.url.rpartition("/")[2], *(context.storage_state() for context in made))
    for context in made:
        context.close()


def assert_accessible(page: Page) -> None:
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]})
    broken = [
        f"{each['id']}: {each['help']}: {node['html'][:160]}"
        for each in found.response["violations"]
        for node in each["nodes"]
    ]
    assert broken == [], page.url


def test_no_page_of_the_app_is_left_out() -> None:
    served = {route.path for route in page_routes if "GET" in (route.methods or ()) and "/static/" not in route.path}
    assert served == {*OPEN_TO_ALL, *ADMINS}


@pytest.mark.parametrize(("lang", "viewport", "scheme"), LOOKS, ids=LOOK_NAMES)
def test_pages_open_to_all(
    new_context: NewContext, people: People, viewport: dict[str, int], lang: str, scheme: str
) -> None:
    page = new_context(viewport=viewport, color_scheme=scheme, storage_state=people.buyer).new_page()
    page.goto(f"/?lang={lang}")
    for path in (*NO_ROUTE, *(each for paths in OPEN_TO_ALL.values() for each in paths)):
        page.goto(path.replace("{held}", people.held))
        expect(page.locator("html")).to_have_attribute("lang", lang)
        assert_accessible(page)


@pytest.mark.parametrize(("lang", "viewport", "scheme"), LOOKS, ids=LOOK_NAMES)
def test_the_pages_of_an_admin(
    new_context: NewContext, people: People, viewport: dict[str, int], lang: str, scheme: str
) -> None:
    page = new_context(viewport=viewport, color_scheme=scheme, storage_state=people.admin).new_page()
    page.goto(f"/?lang={lang}")
    for path in (each for paths in ADMINS.values() for each in paths):
        page.goto(path.replace("{held}", people.held))
        expect(page.locator("html")).to_have_attribute("lang", lang)
        assert_accessible(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_way_of_one_buyer(new_context: NewContext, paused: Callable[[], None], scheme: str) -> None:
    page = new_context(viewport=PHONE, color_scheme=scheme).new_page()
    join(page, quantity="2")
    expect(page.locator("#connection")).to_have_attribute("data-live", "stream")
    assert_accessible(page)
    paused()
    page.wait_for_url("**/reservations/*")
    assert_accessible(page)
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your tickets are confirmed")
    assert_accessible(page)


def test_the_rules_are_really_asked(person: Page) -> None:
    person.goto("/")
    person.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=\"x.png\"><input>')")
    with pytest.raises(AssertionError, match="image-alt"):
        assert_accessible(person)
