"""A running system, Chromium, and people with browsers of their own, for every test of the pages.

Needs a Chromium of the system's own; without one these tests are skipped and say so. Waits are for what the page
shows, never for time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.people import Ask, NewContext
from tests.browser.site import Site, standing
from tests.run.test_up import Up, up

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WAIT_MAX_MS = 20_000


@pytest.fixture(scope="module")
def system(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("browser") / "data") as system:
        yield system


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """For one module at a time: while it runs, Playwright has an event loop that no other test's may run beside."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH")
    with sync_playwright() as started:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def new_context(chromium: Browser, system: Up) -> Iterator[NewContext]:
    """Makes separate people; fails the test if any page of theirs had a script error or broke the security policy."""
    troubles: list[str] = []
    opened: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        context = chromium.new_context(**{"base_url": f"http://{system.netloc}", "locale": "en-US"} | options)
        context.set_default_timeout(WAIT_MAX_MS)
        context.on("weberror", lambda error: troubles.append(str(error.error)))
        context.on("console", lambda said: troubles.append(said.text) if "Content Security" in said.text else None)
        opened.append(context)
        return context

    expect.set_options(timeout=WAIT_MAX_MS)
    yield make
    for context in opened:
        context.close()
    assert troubles == []


@pytest.fixture
def site(system: Up) -> Iterator[Site]:
    with standing(system) as site:
        yield site


@pytest.fixture
def person(new_context: NewContext) -> Page:
    return new_context().new_page()


@pytest.fixture(scope="module")
def set_room(system: Up) -> Iterator[Callable[..., None]]:
    """Puts the demo room into a state, or sets another of its settings, as an admin's program does."""
    with httpx2.Client(base_url=f"http://{system.netloc}", timeout=30) as client:
        login = client.post("/api/auth/login", json={"email": "admin@tiketi.gg", "password": "admin123"})
        token = {"Authorization": f"Bearer {login.json()['token']}"}

        def change(state: str | None = None, **settings: str) -> None:
            wanted = {**({"state": state} if state else {}), **settings}
            answer = client.patch("/api/admin/events/demo/admission", json=wanted, headers=token)
            assert answer.is_success, answer.text

        yield change


@pytest.fixture
def paused(set_room: Callable[..., None]) -> Iterator[Callable[[], None]]:
    """The demo room stands still; call to let it go on."""
    set_room("paused")
    yield lambda: set_room("open")
    set_room("open")


@pytest.fixture(scope="module")
def ask(system: Up) -> Iterator[Ask]:
    """Asks the API as an admin's program does."""
    with httpx2.Client(base_url=f"http://{system.netloc}", timeout=30) as client:
        login = client.post("/api/auth/login", json={"email": "admin@tiketi.gg", "password": "admin123"})
        token = {"Authorization": f"Bearer {login.json()['token']}"}

        def send(method: str, path: str, body: object = None) -> dict[str, Any]:
            answer = client.request(method, f"/api/admin/{path}", json=body, headers=token)
            assert answer.is_success, answer.text
            told: dict[str, Any] = answer.json()
            return told

        yield send
