"""The routes of pages, and the menu: links to those that say of themselves that they are in it."""

from __future__ import annotations

from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.routing import Route

from app.http.kit.brand import BrandOf


class Link(NamedTuple):
    """`place`: links with a smaller one stand before it. `text`: the key of its words."""

    place: int
    text: str


class PageRoute(Route):
    """A page, or what a form of one is sent to."""

    menu: Link | None = None
    brand: BrandOf | None = None  # whose it is, if not this shop's


def menu_of(request: Request[Any]) -> list[tuple[str, str]]:
    """Address and text key of each link, in their order."""
    linked = [(route.menu, route.path) for route in request.app.routes if isinstance(route, PageRoute) and route.menu]
    return [(path, link.text) for link, path in sorted(linked)]
