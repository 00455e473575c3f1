"""No page breaks a rule of axe-core (WCAG 2.2 A and AA): either language, phone and desktop, light and dark.

Every page that the app serves is asked for: they are found in its routes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.http.admin.pages.gate import LOGIN
from app.http.routes import page_routes
from tests.browser.conftest import WAIT_MAX_MS
from tests.browser.people import NewContext, join, log_in_admin
from tests.run.test_up import Up

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PHONE = {"width": 320, "height": 640}
DESKTOP = {"width": 1280, "height": 900}
LOOKS = [("ko", PHONE, "light"), ("en", PHONE, "dark"), ("ko", DESKTOP, "dark"), ("en", DESKTOP, "light")]
LOOK_NAMES = ["ko-phone-light", "en-phone-dark", "ko-desktop-dark", "en-desktop-light"]
# what a part of a route may be
KNOWN = {
    "{event_id}": "demo",
    "{origin_id}/rooms/{room_id}": "a-site/rooms/a-site-sale",
    "{lang}/{state}": "{language}/waiting",
    "{origin_id}": "a-site",
    "{reservation_id}": "{held}",
    "{user_id}": "u_demo_buyer",
    "{number}": "1",
    # of sites behind rooms, whose pages lead away: what is said where there is none
    "{room_id}": "nowhere",
    "{customer}": "nobody",
    "{event}": "nowhere",
    "{queue_id}": "none",
    "{code}": "none",
    "{prefix}": "none",
    "{error:path}": "hash",
    "{rest:path}": "nothing",
}
ALSO_OPEN_TO_ALL = (  # other looks of the same routes
    *("/nowhere", "/?q=nothing+like+this", "/events/open-air", "/events/upcoming", "/events/open-air/seats"),
    *("/events/open-air/waitlist", "/reservations/r_nothing"),
)
ALSO_FOR_ADMINS = (
    *("/admin/events?q=nothing+like+this", "/admin/events/open-air/files"),
    *("/admin/reservations?id=r_nothing", "/admin/reservations?since=x"),
    *("/admin/events/a-site-sale", "/admin/origins/a-site?fail=open&upstream=http://127.0.0.1:8080"),
    *("/admin/events/demo/places?number=1", "/admin/events/demo/places/999999"),
)


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
    make_site(admin)
    yield People(buyer.url.rpartition("/")[2], *(context.storage_state() for context in made))
    for context in made:
        context.close()


def make_site(admin: Page) -> None:
    """An origin with a room, as an admin makes them."""
    ours = {"X-Requested-With": "tiketi"}
    site = {"id": "a-site", "name": "A site", "hosts": ["a.example"], "targetUrl": "https://a.example/"}
    room = {"id": "a-site-sale", "origin": "a-site", "name": "Sale", "rules": [{"action": "pass", "path": "/about"}]}
    for path, body in (("origins", site), ("rooms", room)):
        answer = admin.request.post(f"/api/admin/{path}", data=body, headers=ours)
        assert answer.status == 201, answer.text()


def assert_accessible(page: Page) -> None:
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]})
    broken = [
        f"{each['id']}: {each['help']}: {node['html'][:160]}"
        for each in found.response["violations"]
        for node in each["nodes"]
    ]
    assert broken == [], page.url


MISPLACED = """() => [...document.querySelectorAll("table")].flatMap((table) => {
  const heads = [...table.querySelectorAll("thead tr:last-child > *")];
  if (!heads.length || getComputedStyle(table.tHead).clipPath !== "none") return []; // there each cell has its label
  return [...table.querySelectorAll("tbody tr")].flatMap((row) => {
    const cells = [...row.children];
    if (cells.length !== heads.length) return cells.length === 1 ? [] : [`${cells.length} of ${heads.length}`];
    return cells.filter((cell, i) => {
      const [head, box] = [heads[i].getBoundingClientRect(), cell.getBoundingClientRect()];
      return Math.abs(head.left - box.left) > 1 || Math.abs(head.right - box.right) > 1;
    }).map((cell) => cell.textContent.trim());
  });
})"""


def assert_columns(page: Page) -> None:
    """Every cell of every table stands under its heading, and none is where nobody can scroll to."""
    assert page.evaluate(MISPLACED) == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth"), page.url


def pages(*, for_admins: bool) -> list[str]:
    """The address of every page that the app serves, found in its routes."""
    found = [route.path for route in page_routes if "GET" in (route.methods or ())]
    for part, value in KNOWN.items():
        found = [path.replace(part, value) for path in found]
    return [path for path in found if (path.startswith("/admin") and path != LOGIN) == for_admins]


def test_every_page_of_the_app_can_be_asked_for() -> None:
    assert {"/", "/events/demo/wait", "/reservations/{held}", LOGIN} <= set(pages(for_admins=False))
    assert {"/admin", "/admin/events/new", "/admin/users/u_demo_buyer"} <= set(pages(for_admins=True))
    known = {"{held}", "{language}"}
    every = [*pages(for_admins=False), *pages(for_admins=True)]
    unknown = {part for path in every for part in re.findall("{.*?}", path)} - known
    assert unknown == set(), "say in KNOWN what these parts may be"


@pytest.mark.parametrize(("lang", "viewport", "scheme"), LOOKS, ids=LOOK_NAMES)
def test_pages_open_to_all(
    new_context: NewContext, people: People, viewport: dict[str, int], lang: str, scheme: str
) -> None:
    page = new_context(viewport=viewport, color_scheme=scheme, storage_state=people.buyer).new_page()
    page.goto(f"/?lang={lang}")
    for path in (*pages(for_admins=False), *ALSO_OPEN_TO_ALL):
        page.goto(path.replace("{held}", people.held))
        expect(page.locator("html")).to_have_attribute("lang", lang)
        assert_accessible(page)
        assert_columns(page)


@pytest.mark.parametrize(("lang", "viewport", "scheme"), LOOKS, ids=LOOK_NAMES)
def test_the_pages_of_an_admin(
    new_context: NewContext, people: People, viewport: dict[str, int], lang: str, scheme: str
) -> None:
    page = new_context(viewport=viewport, color_scheme=scheme, storage_state=people.admin).new_page()
    page.goto(f"/?lang={lang}")
    for path in (*pages(for_admins=True), *ALSO_FOR_ADMINS):
        page.goto(path.replace("{held}", people.held).replace("{language}", lang))
        expect(page.locator("html")).to_have_attribute("lang", lang)
        assert_accessible(page)
        assert_columns(page)


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
