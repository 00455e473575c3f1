"""What people do on the pages, shared by the browser tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, Page

NewContext = Callable[..., BrowserContext]
Ask = Callable[..., dict[str, Any]]  # the API as an admin's program asks it


def join(page: Page, event: str = "demo", quantity: str = "") -> None:
    """Go to the event and take a place in its line, with a wish for so many seats."""
    page.goto(f"/events/{event}")
    if quantity:
        page.locator("details.wish summary").click()
        page.locator("[name=quantity]").select_option(quantity)
    page.locator("#join-button").click()
    page.wait_for_url(f"**/events/{event}/wait")


def log_in_admin(page: Page) -> None:
    """As the demo's admin; ends at the list of rooms."""
    page.goto("/admin")
    page.get_by_label("E-mail").fill("admin@tiketi.gg")
    page.get_by_label("Password").fill("admin123")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin")
