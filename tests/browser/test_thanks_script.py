"""The page on which a visit is over ends it: by one request to its own address, whatever else the page runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, Route

from app.http.kit.static_files import FILES
from app.origins.snippets import KINDS, Fail, Site, render
from tests.browser.conftest import WAIT_MAX_MS

SITE, ROOM = "https://shop.example", "https://wait.example"
KIND = next(kind for kind in KINDS if kind.name == "thanks")
SNIPPET = render(KIND, Site(tiketi=ROOM, host=SITE, room="sale", name="Sale", target=SITE), Fail.closed)
BESIDE = f'<script src="{ROOM}/connect/requests.js"></script>'
STRICT = f"default-src 'none'; script-src {ROOM}; connect-src 'self'"
PASS = "tiketi_pass_sale=secret"


class Network:
    """Every host there is. `ends`: the requests by which a page ended a visit."""

    def __init__(self) -> None:
        self.ends: list[Request] = []

    def answer(self, route: Route) -> None:
        request = route.request
        if request.url.startswith(f"{ROOM}/connect/"):
            name = request.url.rpartition("/")[2]
            route.fulfill(body=FILES[f"js/{name}"].body, content_type="text/javascript")
        elif request.method == "HEAD":
            self.ends.append(request)
            route.fulfill(status=401, headers={"set-cookie": "tiketi_pass_sale=; Max-Age=0; Path=/"})
        else:
            headers = {"content-security-policy": STRICT, "set-cookie": f"{PASS}; Path=/; HttpOnly; SameSite=Lax"}
            route.fulfill(
                body=f"<!doctype html>{BESIDE}{SNIPPET}<p>Thank you", content_type="text/html", headers=headers
            )


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def page(chromium: Browser, network: Network) -> Iterator[Page]:
    context = chromium.new_context()
    context.set_default_timeout(WAIT_MAX_MS)
    context.route("**/*", network.answer)
    yield context.new_page()
    context.close()


def test_the_page_asks_its_own_address_once_with_the_pass_that_opened_it(page: Page, network: Network) -> None:
    with page.expect_response(lambda answer: answer.request.method == "HEAD"):
        page.goto(f"{SITE}/thanks?order=7#top")
    page.wait_for_load_state("networkidle")
    (asked,) = network.ends
    assert asked.url == f"{SITE}/thanks?order=7"
    told = asked.all_headers()
    assert (told["tiketi-visit"], told["cookie"]) == ("end", PASS)
    assert page.url == f"{SITE}/thanks?order=7#top", "the visitor stays where they are"
    assert page.context.cookies() == []
