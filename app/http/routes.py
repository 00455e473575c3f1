"""Every address that the web process answers, found in the folders of app/http: each module's `routes`.

A module that is put into a capability's folder is served without being named here. Which of two routes takes an address
depends on nothing but the routes: an exact part of a path goes before a parameter, so `/admin/events/new` is no event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

from starlette.routing import BaseRoute, Route

from app.http.kit.api import ApiRoute
from app.http.kit.menu import PageRoute
from app.http.kit.openapi import Document


def found() -> Iterator[Route]:
    """The routes of every module below app/http."""
    for info in walk_packages([str(Path(__file__).parent)], "app.http."):
        if not info.ispkg and info.name != __name__:
            yield from getattr(import_module(info.name), "routes", ())


def exact_first(routes: Iterable[Route]) -> list[Route]:
    return sorted(routes, key=lambda route: [(part.startswith("{"), part) for part in route.path.split("/")])


_routes = exact_first(found())
api_routes = [route for route in _routes if isinstance(route, ApiRoute)]
page_routes = [route for route in _routes if isinstance(route, PageRoute)]


def every_route(version: str) -> list[BaseRoute]:
    """All of them, with the description of the API, which says the version."""
    description = Route("/api/openapi.json", Document(api_routes, version).show, methods=["GET"])
    others = [route for route in _routes if not isinstance(route, ApiRoute | PageRoute)]
    return [*api_routes, description, *page_routes, *others]
