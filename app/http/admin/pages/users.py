"""Accounts as an admin's pages: find one, shut it out, let it in, verify it, change its role. Plain links and forms."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.http.accounts.tokens import Session
from app.http.admin import users
from app.http.admin.pages.gate import admin_route
from app.http.admin.pages.reservations import LIST_ZONE, fields_of, next_url, query_from
from app.http.kit.forms import first, read_form
from app.http.kit.i18n import texts_for
from app.http.kit.menu import Link
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import problem_words
from app.http.state import State


async def users_page(request: Request[State], _: Session) -> Response:
    fields, notice, status, found = fields_of(request), "", 200, users.UserPage(users=[], next=None)
    try:
        found = await users.page_of(request.state, query_from(fields, users.UserQuery))
    except Problem as problem:
        notice, status = problem_words(texts_for(request), problem), problem.status
    context = {
        "fields": fields,
        "rows": found.users,
        "zone": LIST_ZONE,
        "next_url": next_url("/admin/users", fields, "cursor", found.next),
        "notice_text": notice,
    }
    return page(request, "admin/users.html", context, status=status)


async def user_page(request: Request[State], _: Session) -> Response:
    return await _user(request)


async def _user(request: Request[State], refused: Problem | None = None) -> Response:
    context = {
        "user": await users.user_of(request.state, request.path_params["user_id"]),
        "zone": LIST_ZONE,
        "notice_text": problem_words(texts_for(request), refused) if refused else "",
    }
    return page(request, "admin/user.html", context, status=refused.status if refused else 200)


async def change(request: Request[State], admin: Session) -> Response:
    """`do` is the button that was pressed. An admin who ends their own sessions is sent to log in by the next page."""
    user_id, do = request.path_params["user_id"], first(await read_form(request), "do")
    try:
        match do:
            case "disable":
                await users.disable(request.state, admin.email, user_id)
            case "enable":
                await users.enable(request.state, admin.email, user_id)
            case "verify":
                await users.verify(request.state, admin.email, user_id)
            case "unverify":
                await users.unverify(request.state, admin.email, user_id)
            case "buyer" | "admin":
                await users.set_role(request.state, admin.email, user_id, do)
            case _:
                raise Problem("payload_invalid", why=f"{do[:20]!r} is nothing that can be done to an account")
    except Problem as problem:
        if problem.status == 404:
            raise
        return await _user(request, problem)
    return see_other(f"/admin/users/{user_id}")


routes = [
    admin_route("/admin/users", users_page, menu=Link(50, "admin.users")),
    admin_route("/admin/users/{user_id}", user_page),
    admin_route("/admin/users/{user_id}", change, "POST"),
]
