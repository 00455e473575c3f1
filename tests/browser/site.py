"""A site with a page, behind a room, and a page around a frame, for tests of what a visitor of it sees."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import quote, unquote

import httpx2

from tests.run.test_up import Up

AROUND = "/around?"
_numbers = count(1)


class Page(BaseHTTPRequestHandler):
    """The site: says what it was asked for, or has another page in a frame."""

    def do_GET(self) -> None:
        shown = f"<p id=asked>{self.path.partition('&tiketi')[0]}</p>"
        if self.path.startswith(AROUND):
            shown = f'<iframe width=400 height=700 src="{escape(unquote(self.path.removeprefix(AROUND)))}"></iframe>'
        body = f"<!doctype html><title>Shop</title>{shown}".encode()
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

    def around(self, url: str) -> str:
        """The address of a page of the site that has this one in a frame."""
        return f"{self.url}{AROUND}{quote(url, safe='')}"

    def end_visit(self, number: int = 1) -> None:
        path = f"/api/origins/{self.origin_id}/visits/{self.room_id}.1.{number}/end"
        ended = self.admin.post(path, headers={"Authorization": f"Bearer {self.api_key}"})
        assert ended.is_success, ended.text


@contextmanager
def standing(system: Up) -> Iterator[Site]:
    """One, while the block runs."""
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
