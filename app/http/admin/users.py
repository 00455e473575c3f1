"""Accounts over the admin API: find them, disable and enable them, verify them, change their role.

Shutting somebody out ends their sessions at once, and so does what their sessions say no longer rightly: another role,
or that the account is verified no more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.http.accounts.admins import require_admin
from app.http.accounts.sessions import end_account
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who, query_of
from app.http.kit.bodies import decode, read_body
from app.http.kit.paging import PAGE, Cursor, PageSize, Words, cursor_of, no_nul, page_start_of
from app.http.kit.problems import Problem
from app.http.kit.shapes import Shape
from app.http.state import State
from app.ledger import account_admin
from app.ledger.account_admin import AccountChange, Role
from config.demo import DEMO_EMAILS


class UserQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`q` is a part of the email or the name; `cursor` is the `next` of the page before."""

    q: Words | None = None
    role: Role | None = None
    verified: bool | None = None
    cursor: Cursor | None = None
    limit: PageSize = PAGE


class ListedUser(Shape, frozen=True, kw_only=True):
    id: str
    email: str
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None
    verified_at: datetime | None


class UserPage(Shape, frozen=True, kw_only=True):
    """`next` is null on the last page."""

    users: list[ListedUser]
    next: str | None


class UserAnswer(Shape, frozen=True, kw_only=True):
    user: ListedUser


class RoleBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    role: Annotated[Role, msgspec.Meta(description="buyer or admin")]


_role_decoder = msgspec.json.Decoder(RoleBody)


async def page_of(state: State, query: UserQuery) -> UserPage:
    no_nul(query.q)
    found = await account_admin.search(
        state["db"],
        words=query.q,
        role=query.role,
        verified=query.verified,
        after=page_start_of(query.cursor),
        limit=query.limit + 1,
    )
    shown = found[: query.limit]
    last = cursor_of(shown[-1].created_at, shown[-1].id) if len(found) > query.limit else None
    return UserPage(users=[msgspec.convert(one, ListedUser, from_attributes=True) for one in shown], next=last)


async def user_of(state: State, user_id: str) -> ListedUser:
    """Raises Problem 404."""
    found = None if "\x00" in user_id else await account_admin.get(state["db"], user_id)
    if found is None:
        raise Problem("user_unknown", user_id=user_id[:40])
    return msgspec.convert(found, ListedUser, from_attributes=True)


async def disable(state: State, who: str, user_id: str) -> ListedUser:
    """No log-in any more, and every session ends. Safe to repeat. Raises Problem."""
    user = await user_of(state, user_id)
    _check(await account_admin.disable(state["db"], user.id, who=who, now=state["clock"].now()))
    await end_account(state, user.id)
    return await user_of(state, user.id)


async def enable(state: State, who: str, user_id: str) -> ListedUser:
    user = await user_of(state, user_id)
    _check(await account_admin.enable(state["db"], user.id, who=who, now=state["clock"].now()))
    return await user_of(state, user.id)


async def verify(state: State, who: str, user_id: str) -> ListedUser:
    """From the next log-in on it is a verified account. Safe to repeat. Raises Problem."""
    _grants(state, who)
    user = await user_of(state, user_id)
    await account_admin.verify(state["db"], user.id, who=who, now=state["clock"].now())
    return await user_of(state, user.id)


async def unverify(state: State, who: str, user_id: str) -> ListedUser:
    """It is no verified account any more: its sessions, which say so, end. Safe to repeat. Raises Problem."""
    user = await user_of(state, user_id)
    await account_admin.unverify(state["db"], user.id, who=who, now=state["clock"].now())
    await end_account(state, user.id)
    return await user_of(state, user.id)


async def set_role(state: State, who: str, user_id: str, role: Role) -> ListedUser:
    """Their sessions end, since the old role is in them: they log in again with the new one. Safe to repeat.

    Raises Problem."""
    if role == "admin":
        _grants(state, who)
    user = await user_of(state, user_id)
    _check(await account_admin.set_role(state["db"], user.id, role, who=who, now=state["clock"].now()))
    await end_account(state, user.id)
    return await user_of(state, user.id)


def _grants(state: State, who: str) -> None:
    """Raises Problem 403 for an admin of the demo: what it gave would still be given where there is no demo."""
    if state["settings"].demo and who in DEMO_EMAILS:
        raise Problem("demo_admin")


def _check(change: AccountChange) -> None:
    if change is AccountChange.last_admin:
        raise Problem("last_admin")


async def search(request: Request[State]) -> Response:
    await require_admin(request)
    return json_answer(await page_of(request.state, query_of(request, UserQuery)))


async def show(request: Request[State]) -> Response:
    await require_admin(request)
    return json_answer(UserAnswer(user=await user_of(request.state, request.path_params["user_id"])))


async def change_role(request: Request[State]) -> Response:
    admin = await require_admin(request)
    role = decode(await read_body(request.receive), _role_decoder).role
    return json_answer(
        UserAnswer(user=await set_role(request.state, admin.email, request.path_params["user_id"], role))
    )


def _verb(do: Callable[[State, str, str], Awaitable[ListedUser]]) -> Callable[[Request[State]], Awaitable[Response]]:
    async def endpoint(request: Request[State]) -> Response:
        admin = await require_admin(request)
        return json_answer(UserAnswer(user=await do(request.state, admin.email, request.path_params["user_id"])))

    return endpoint


_ONE = "/api/admin/users/{user_id}"
_ANSWERS = {200: UserAnswer}
routes = [
    ApiRoute(
        "GET",
        "/api/admin/users",
        search,
        summary="Find accounts",
        who=Who.admin,
        query=UserQuery,
        answers={200: UserPage},
    ),
    ApiRoute("GET", _ONE, show, summary="One account", who=Who.admin, answers=_ANSWERS),
    ApiRoute(
        "POST",
        f"{_ONE}/disable",
        _verb(disable),
        summary="Shut an account out",
        who=Who.admin,
        answers=_ANSWERS,
        refusals=("last_admin",),
    ),
    ApiRoute("POST", f"{_ONE}/enable", _verb(enable), summary="Let it in again", who=Who.admin, answers=_ANSWERS),
    ApiRoute(
        "POST",
        f"{_ONE}/verify",
        _verb(verify),
        summary="Verify an account",
        who=Who.admin,
        answers=_ANSWERS,
        refusals=("demo_admin",),
    ),
    ApiRoute(
        "POST",
        f"{_ONE}/unverify",
        _verb(unverify),
        summary="Take its verification back",
        who=Who.admin,
        answers=_ANSWERS,
    ),
    ApiRoute(
        "POST",
        f"{_ONE}/role",
        change_role,
        summary="Make it an admin's or a buyer's",
        who=Who.admin,
        body=RoleBody,
        answers=_ANSWERS,
        refusals=("last_admin", "demo_admin"),
    ),
]
