"""A visitor of another site in a browser: sent to wait, called at the turn, taken back to where they wanted to go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import quote

import httpx2
import pytest
from playwright.sync_api import expect

from tests.browser.people import NewContext
from tests.run.test_up import Up

_numbers = count(1)


class Page(BaseHTTPRequestHandler):
    """The site: says what it was asked for."""

    def do_GET(self) -> None:
        body = f"<!doctype html><title>Shop</title><p id=asked>{self.path.partition('&tiketi')[0]}</p>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@dataclass
class Site:
    """With a room in which one visitor may be, who is there already."""

    admin: httpx2.Client
    url: str
    room_id: str
    origin_id: str
    api_key: str

    @property
    def way_in(self) -> str:
        return f"/wait/{self.room_id}?t={quote(f'{self.url}/sale?size=M#top', safe='')}"

    def end_visit(self, number: int = 1) -> None:
        path = f"/api/origins/{self.origin_id}/visits/{self.room_id}.1.{number}/end"
        ended = self.admin.post(path, headers={"Authorization": f"Bearer {self.api_key}"})
        assert ended.is_success, ended.text


@pytest.fixture
def site(system: Up) -> Iterator[Site]:
    served = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    name, url = f"site-{next(_numbers)}", f"http://localhost:{served.server_port}"
    with httpx2.Client(base_url=f"http://{system.netloc}", timeout=30, follow_redirects=False) as client:
        login = client.post("/api/auth/login", json={"email": "admin@tiketi.gg", "password": "admin123"})
        client.headers["Authorization"] = f"Bearer {login.json()['token']}"
        client.cookies.clear()
        origin = {"id": name, "name": "달빛 상점", "hosts": [url], "targetUrl": f"{url}/"}
        made = client.post("/api/admin/origins", json=origin)
        assert made.is_success, made.text
        room = {
            "id": f"{name}-sale",
            "origin": name,
            "name": "한정판",
            "ratePerSecond": 100,
            "burst": 10,
            "maxActive": 1,
        }
        assert client.post("/api/admin/rooms", json=room).is_success
        with httpx2.Client(base_url=client.base_url, timeout=30) as first:
            while first.get(f"/api/queue/{name}-sale/position").json().get("state") != "admitted":
                first.post(f"/api/queue/{name}-sale/join")
            assert first.post(f"/api/queue/{name}-sale/claim").is_success
        yield Site(client, url, f"{name}-sale", name, made.json()["apiKey"])
    served.shutdown()
    served.server_close()


def test_a_visitor_waits_is_called_and_comes_back_to_where_they_wanted_to_go(
    new_context: NewContext, site: Site
) -> None:
    page = new_context().new_page()
    page.goto(site.way_in)
    expect(page.locator("#waiting-title")).to_be_visible()
    expect(page.locator("header.top")).to_contain_text("달빛 상점")
    expect(page.locator("header.top a[href='/reservations']")).to_have_count(0)
    site.end_visit()
    page.wait_for_url(f"{site.url}/sale?size=M&tiketi_pass=*#top")
    expect(page.locator("#asked")).to_have_text("/sale?size=M")


def test_without_a_script_the_button_leads_back_as_well(new_context: NewContext, site: Site) -> None:
    page = new_context(java_script_enabled=False, locale="ko-KR").new_page()
    page.goto(site.way_in)
    expect(page.locator("#waiting-title")).to_be_visible()
    site.end_visit()
    while not page.locator("#enter").is_visible():
        page.goto(f"/wait/{site.room_id}")
    page.locator("#enter").click()
    page.wait_for_url(f"{site.url}/sale?size=M&tiketi_pass=*#top")


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("locale", ["ko-KR", "en-US"])
def test_no_state_of_the_page_is_wider_than_the_screen(
    new_context: NewContext, site: Site, width: int, locale: str
) -> None:
    page = new_context(viewport={"width": width, "height": 720}, locale=locale).new_page()

    def fits() -> bool:
        return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))

    page.goto(site.way_in)
    expect(page.locator("#waiting-title")).to_be_visible()
    assert fits()
    page.locator("[data-when=waiting] details.leave summary").click()
    page.locator("#leave button").click()
    expect(page.locator("#left-title")).to_be_visible()
    assert fits()
    assert site.admin.patch(f"/api/admin/events/{site.room_id}/admission", json={"state": "draining"}).is_success
    other = new_context(viewport={"width": width, "height": 720}, locale=locale).new_page()
    other.goto(site.way_in)
    expect(other.locator("#none-title")).to_be_visible()
    assert bool(other.evaluate("document.documentElement.scrollWidth <= innerWidth"))
