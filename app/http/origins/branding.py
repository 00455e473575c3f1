"""Whose a page is that a visitor of a site sees here, also one that says what went wrong: the site's, in its look."""

from __future__ import annotations

from starlette.requests import Request

from app.http.kit.brand import Brand, Logo
from app.http.state import State
from app.origins.directory import KnownOrigin

NOBODY_S = Brand()  # of a site that is not known


def logo_url(name: str) -> str:
    return f"/look/{name}.webp"


def brand_of(origin: KnownOrigin, *, home: str = "", here: str = "", framed_by: tuple[str, ...] = ()) -> Brand:
    """`home`: instead of the site's own address."""
    style = f"/look/{origin.id}.css" if origin.look else ""
    logo = None
    if origin.logo is not None:
        logo = Logo(url=logo_url(origin.logo["name"]), width=origin.logo["width"], height=origin.logo["height"])
    home = home or origin.target_url
    return Brand(name=origin.name, style=style, home=home, here=here, framed_by=framed_by, logo=logo)


def brand_of_room(request: Request[State]) -> Brand:
    """Of the room that the address names."""
    room = request.state["origins"].rooms.get(request.path_params["room_id"])
    if room is None:
        return NOBODY_S
    here, framed_by = f"/wait/{room.id}", room.origin.frame_ancestors
    return brand_of(room.origin, home=room.target_url, here=here, framed_by=framed_by)


def brand_of_customer(request: Request[State]) -> Brand:
    """Of the customer whom a connector names, in the path or in the query."""
    named = request.path_params.get("customer") or request.query_params.get("c", "")
    origin = request.state["origins"].customers.get(named.lower())
    return NOBODY_S if origin is None else brand_of(origin)
