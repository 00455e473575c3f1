"""That no proxy is trusted is said at the start, where sites that proxies may ask about have rooms."""

from __future__ import annotations

from app.origins.directory import may_need_proxy


def test_a_site_on_a_developers_machine_needs_no_proxy() -> None:
    assert not may_need_proxy(["http://localhost:3000", "http://127.0.0.1:3000"])
    assert may_need_proxy(["http://localhost:3000", "shop.example"])
