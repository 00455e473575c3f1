"""The table of addresses is found in the folders, and does not depend on the order in which they are read."""

from __future__ import annotations

import re
from pathlib import Path

import app.http
from app.http.kit.menu import PageRoute
from app.http.routes import api_routes, every_route, exact_first, found, page_routes

HTTP = Path(app.http.__file__).parent


def test_every_module_that_has_routes_is_served() -> None:
    having = [path for path in HTTP.rglob("*.py") if re.search(r"^routes\b.*= \[", path.read_text(), re.MULTILINE)]
    assert len(having) > 20
    served = {getattr(route, "path", "") for route in every_route("1")}
    for path in having:
        named = re.findall(r'(?:Route|_route)\(\s*(?:"[A-Z]+",\s*)?"(/[^"]*)"', path.read_text())
        assert set(named) <= served, path


def test_an_exact_part_of_a_path_goes_before_a_parameter() -> None:
    for order in (list(found()), list(found())[::-1]):
        paths = [route.path for route in exact_first(order)]
        assert paths.index("/admin/events/new") < paths.index("/admin/events/{event_id}")


def test_no_address_is_served_twice() -> None:
    asked = [(route.path, method) for route in [*api_routes, *page_routes] for method in sorted(route.methods or ())]
    assert sorted(set(asked)) == sorted(asked)


def test_the_menu_has_a_place_for_each_link() -> None:
    places = [route.menu.place for route in page_routes if isinstance(route, PageRoute) and route.menu]
    assert len(places) > 4
    assert sorted(set(places)) == sorted(places)
