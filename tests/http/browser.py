"""A browser without JavaScript: it keeps cookies, follows no redirect by itself, sends forms as our pages have them."""

from __future__ import annotations

import re
from typing import Any

import httpx2


class Browser(httpx2.Client):
    def submit(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> httpx2.Response:
        """Send a form, with the token that every form of a page has."""
        return self.post(path, data={**(data or {}), "csrf": self.form_token()}, **options)

    def enter(self, email: str, password: str, *, name: str = "Ann", onward: str = "/") -> None:
        """Make an account and log in, and be sent on to `onward`."""
        made = self.submit("/register", {"name": name, "email": email, "password": password, "next": onward})
        assert (made.status_code, 'action="/login"' in made.text) == (200, True), made.text
        entered = self.submit("/login", {"email": email, "password": password, "next": onward})
        assert (entered.status_code, entered.headers["location"]) == (303, onward), entered.text

    def form_token(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.get("/login").text)
        assert found is not None, "no form on the page carries a token"
        return found[1]
