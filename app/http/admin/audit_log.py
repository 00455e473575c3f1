"""The audit trail over the API: what admins did, newest first. There is no way to change or remove an entry."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.http.accounts.admins import require_admin
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who, query_of
from app.http.kit.paging import INT_MAX, PAGE, EventId, Moment, PageSize, Words, moment_of, no_nul
from app.http.kit.shapes import Shape
from app.http.state import State
from app.ledger import audit_log


class TrailQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`before` is the `next` of the page before."""

    who: Annotated[str, msgspec.Meta(min_length=1, max_length=254)] | None = None
    action: Words | None = None
    subject: Words | None = None
    event_id: EventId | None = None
    since: Moment | None = None
    until: Moment | None = None
    before: Annotated[int, msgspec.Meta(ge=1, le=INT_MAX)] | None = None
    limit: PageSize = PAGE


class TrailEntry(Shape, frozen=True, kw_only=True):
    """`change` holds what was asked for; an action `refused` says which entry (`of`) had no effect, `unanswered` of
    which that was not known in time."""

    id: int
    at: datetime
    who: str
    action: str
    subject: str
    event_id: str | None
    change: dict[str, Any]


class TrailPage(Shape, frozen=True, kw_only=True):
    """`next` is null on the last page."""

    entries: list[TrailEntry]
    next: int | None


async def page_of(state: State, query: TrailQuery) -> TrailPage:
    """One page: one entry more is read than shown, to know whether there is another page."""
    no_nul(query.who, query.action, query.subject, query.event_id)
    wanted = audit_log.AuditFilter(
        who=query.who,
        action=query.action,
        subject=query.subject,
        event_id=query.event_id,
        since=moment_of(query.since),
        until=moment_of(query.until),
        before=query.before,
    )
    found = await audit_log.listed(state["db"], wanted, query.limit + 1)
    shown = found[: query.limit]
    entries = [msgspec.convert(entry, TrailEntry, from_attributes=True) for entry in shown]
    return TrailPage(entries=entries, next=shown[-1].id if len(found) > query.limit else None)


async def show(request: Request[State]) -> Response:
    await require_admin(request)
    return json_answer(await page_of(request.state, query_of(request, TrailQuery)))


routes = [
    ApiRoute(
        "GET",
        "/api/admin/trail",
        show,
        summary="What admins did",
        who=Who.admin,
        query=TrailQuery,
        answers={200: TrailPage},
    )
]
