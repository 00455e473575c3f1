"""The door of the admin pages: nobody logged in is sent to log in, a buyer is refused, an admin is named.

A page's form carries no header, so what a change asked for by cookie must prove is proven by `page_route`, which
refuses forms of other sites, before anything here runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from app.http.accounts.credentials import session_of
from app.http.accounts.tokens import Session
from app.http.kit.brand import BrandOf
from app.http.kit.menu import Link, PageRoute
from app.http.kit.render import see_other
from app.http.kit.routing import page_route
from app.http.state import State

LOGIN = "/admin/login"

AdminPage = Callable[[Request[State], Session], Awaitable[Response]]


def admin_route(
    path: str,
    show: AdminPage,
    method: str = "GET",
    form: Literal["ours", "checked_by_page"] = "ours",
    menu: Link | None = None,
    brand: BrandOf | None = None,
) -> PageRoute:
    """A page, or with POST a form, for admins only; `show` is given who asks. `form` as in `page_route`.

    With a `menu`, a link to it stands at the top of every page for admins.
    """

    async def guarded(request: Request[State]) -> Response:
        found = session_of(request.state["tokens"], request.scope["headers"])
        if found is None:
            return see_other(LOGIN)
        session, _ = found
        await request.state["admins"].check(session)
        return await show(request, session)

    return page_route(path, guarded, method, form, menu, brand=brand)
