"""On a page of a site, a script's request that needs a turn leads the page to the waiting room, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, unquote

import pytest
from playwright.sync_api import Browser, Page, Route

from app.http.kit.static_files import FILES
from tests.browser.conftest import WAIT_MAX_MS

SITE, API, ROOM = "https://shop.example", "https://api.example", "https://wait.example"
HTML = f'<!doctype html><script src="{ROOM}/connect/requests.js" data-hosts="shop.example api.example"></script>'
CORS = {
    "access-control-allow-origin": SITE,
    "access-control-allow-headers": "x-queueit-ajaxpageurl",
    "access-control-expose-headers": "x-queueit-redirect, x-tiketi-redirect",
}
WAIT = f"{ROOM}/?c=acme&e=sale&t={quote(SITE)}"
FETCHES = "(url) => fetch(url, {method: 'POST', body: 'a'}).then((answer) => answer.text())"
SENDS = """(url) => new Promise((done) => {
  const request = new XMLHttpRequest();
  request.onload = () => done(request.responseText);
  request.open("POST", url);
  request.send("a");
})"""
WAYS = {
    "fetch": FETCHES,
    "a Request": FETCHES.replace("fetch(url, ", "fetch(new Request(url), "),
    "XMLHttpRequest": SENDS,
}


class Network:
    """Every host there is. `tells`: headers of the answers of the API. `asked`: what requests said of their page."""

    def __init__(self) -> None:
        self.tells: dict[str, str] = {}
        self.asked: list[str | None] = []

    def answer(self, route: Route) -> None:
        url, request = route.request.url, route.request
        if url.endswith("/connect/requests.js"):
            route.fulfill(body=FILES["js/requests.js"].body, content_type="text/javascript")
        elif "/data" in url:
            if request.method != "OPTIONS":
                self.asked.append(request.headers.get("x-queueit-ajaxpageurl"))
            route.fulfill(body="data", headers={**CORS, **self.tells})
        elif url.startswith(SITE):
            route.fulfill(body=HTML, content_type="text/html")
        else:
            route.fulfill(body="another page", content_type="text/html")


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def page(chromium: Browser, network: Network) -> Iterator[Page]:
    context = chromium.new_context()
    context.set_default_timeout(WAIT_MAX_MS)
    context.route("**/*", network.answer)
    page = context.new_page()
    page.goto(f"{SITE}/cart?size=M")
    yield page
    context.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", [SITE, API])
def test_a_request_that_needs_a_turn_leads_to_the_waiting_room(
    page: Page, network: Network, way: str, host: str
) -> None:
    network.tells = {"x-queueit-redirect": quote(WAIT, safe="")}
    with page.expect_navigation(url=WAIT):
        page.evaluate(f"void ({WAYS[way]})({host + '/data'!r})")
    assert [unquote(asked or "") for asked in network.asked] == [f"{SITE}/cart?size=M"]


@pytest.mark.parametrize("way", WAYS)
def test_a_request_that_needs_none_is_answered_as_ever(page: Page, network: Network, way: str) -> None:
    assert page.evaluate(WAYS[way], f"{API}/data") == "data"
    assert page.url == f"{SITE}/cart?size=M"


def test_what_our_own_check_says_is_followed_too(page: Page, network: Network) -> None:
    network.tells = {"x-tiketi-redirect": f"{ROOM}/wait/sale?t=x"}
    with page.expect_navigation(url=f"{ROOM}/wait/sale?t=x"):
        page.evaluate(f"void ({FETCHES})({SITE + '/data'!r})")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "told", ["https://evil.example/", "javascript:alert(1)", "//evil.example", "%E0%A4%A", ROOM[8:]]
)
def test_nobody_is_led_anywhere_else(page: Page, network: Network, way: str, told: str) -> None:
    network.tells = {"x-queueit-redirect": told if "%" in told else quote(told, safe="")}
    assert page.evaluate(WAYS[way], f"{API}/data") == "data"
    assert page.evaluate("new Promise((done) => setTimeout(() => done(location.href)))") == f"{SITE}/cart?size=M"


def test_other_hosts_are_told_nothing_and_not_followed(page: Page, network: Network) -> None:
    network.tells = {"x-queueit-redirect": quote(WAIT, safe="")}
    assert page.evaluate(FETCHES, "https://other.example/data") == "data"
    assert network.asked == [None]
    assert page.url == f"{SITE}/cart?size=M"
