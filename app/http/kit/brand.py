"""Whose page it is, where it is not this shop's: a site behind a room, with its name, its colours and its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Logo:
    url: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """`name`: of the site, "" where nobody knows which it is; `style`: the address of its colours; `home`: where who
    cannot go on here goes; `here`: the page that its forms are on; `framed_by`: who may have its pages in a frame."""

    name: str = ""
    style: str = ""
    home: str = ""
    here: str = ""
    framed_by: tuple[str, ...] = ()
    logo: Logo | None = None


BrandOf = Callable[[Request[Any]], Brand | None]


def brand_of(request: Request[Any]) -> Brand | None:
    """Whose the page at this address is, also one that says what went wrong; None for the shop's own."""
    asked: BrandOf | None = getattr(request.scope.get("route"), "brand", None)
    return None if asked is None else asked(request)
