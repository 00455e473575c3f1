"""An admin's pages of reservations: look for them, see one, cancel or refund it; the audit log. Plain links and forms.

They call what the API calls, so a page and the API refuse and record alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.domain.reservation import ReservationStatus
from app.http.accounts.tokens import Session
from app.http.admin import audit_log, reservations
from app.http.admin.pages.gate import admin_route
from app.http.admin.pages.view import change_parts, change_words
from app.http.kit.fields import misfit_of
from app.http.kit.forms import first, read_form
from app.http.kit.i18n import Texts, texts_for
from app.http.kit.menu import Link
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import problem_words
from app.http.shop import cancelling
from app.http.shop.cancelling import CancelBody
from app.http.state import State
from app.ledger.reservation_search import titles as titles_of

LIST_ZONE = "Asia/Seoul"  # lists hold things of many events; one zone for all of a list
REASON_CHARS_MAX = 500
ACTION = "admin.action."
T = TypeVar("T")


def fields_of(request: Request[State]) -> dict[str, str]:
    """What a search form sent: empty fields were not filled in, days begin at midnight here and end with the day."""
    given = {name: value.strip() for name, value in request.query_params.items() if value.strip()}
    return {name: value for name, value in given.items() if name != "lang"}


def query_from(fields: Mapping[str, str], kind: type[T]) -> T:
    """The form as the query the API takes. Raises Problem 422."""
    wanted: dict[str, Any] = dict(fields)
    try:
        for name, days in (("since", 0), ("until", 1)):
            if name in wanted:
                day = date.fromisoformat(wanted[name]) + timedelta(days=days)
                wanted[name] = datetime.combine(day, time(), ZoneInfo(LIST_ZONE)).isoformat()
        return msgspec.convert(wanted, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem("payload_invalid.query", why=misfit_of(error, kind, wanted, lax=True).words) from None
    except (ValueError, OverflowError) as error:
        raise Problem("payload_invalid.query", why=error) from None


def next_url(path: str, fields: Mapping[str, str], name: str, cursor: object) -> str | None:
    return None if cursor is None else f"{path}?{urlencode({**fields, name: str(cursor)})}"


async def reservations_page(request: Request[State], _: Session) -> Response:
    t, fields = texts_for(request), fields_of(request)
    notice, status, found = "", 200, reservations.ReservationPage(reservations=[], next=None)
    try:
        found = await reservations.page_of(request.state, query_from(fields, reservations.ReservationQuery))
    except Problem as problem:
        notice, status = problem_words(t, problem), problem.status
    context = {
        "fields": fields,
        "statuses": [status.value for status in ReservationStatus],
        "rows": found.reservations,
        "titles": await titles_of(request.state["db"], [row.event_id for row in found.reservations], t.lang),
        "zone": LIST_ZONE,
        "next_url": next_url("/admin/reservations", fields, "cursor", found.next),
        "csv_url": f"/api/admin/export/reservations.csv?{_without_days(fields)}",
        "notice_text": notice,
    }
    return page(request, "admin/reservations.html", context, status=status)


def _without_days(fields: Mapping[str, str]) -> str:
    """The search as the API takes it: days are moments there."""
    try:
        query = query_from(fields, reservations.ReservationQuery)
    except Problem:
        return ""
    kept = {name: value for name, value in msgspec.to_builtins(query).items() if value is not None}
    return urlencode({name: value for name, value in kept.items() if name not in ("limit", "cursor")})


async def reservation_page(request: Request[State], _: Session) -> Response:
    return await _reservation(request)


async def _reservation(request: Request[State], refused: Problem | None = None) -> Response:
    found = await reservations.detail(request.state, request.path_params["reservation_id"])
    moments = {name: datetime.fromisoformat(found[name]) for name in ("createdAt", "expiresAt")}
    titles = await titles_of(request.state["db"], [found["eventId"]], texts_for(request).lang)
    context = {
        "title": titles[found["eventId"]],
        "reservation": {**found, **moments},
        "zone": LIST_ZONE,
        "notice_text": problem_words(texts_for(request), refused) if refused else "",
        "method_name": partial(request.state["providers"].method_name, language=texts_for(request).lang),
    }
    return page(request, "admin/reservation.html", context, status=refused.status if refused else 200)


async def cancel(request: Request[State], admin: Session) -> Response:
    return await _end(request, admin, cancelling.CANCEL)


async def refund(request: Request[State], admin: Session) -> Response:
    return await _end(request, admin, cancelling.REFUND)


async def _end(request: Request[State], admin: Session, action: str) -> Response:
    reservation_id = request.path_params["reservation_id"]
    form = await read_form(request)
    chosen = form.get("seat", [])
    wanted = CancelBody(seat_ids=chosen or None, reason=first(form, "reason")[:REASON_CHARS_MAX])
    try:
        if "choose" in form and not chosen:
            raise Problem("seats_not_chosen")
        await cancelling.as_admin(request.state, admin.email, reservation_id, action, wanted)
    except Problem as problem:
        if problem.status == 404:
            raise
        return await _reservation(request, problem)
    return see_other(f"/admin/reservations/{reservation_id}")


async def trail_page(request: Request[State], _: Session) -> Response:
    t, fields = texts_for(request), fields_of(request)
    notice, status, found = "", 200, audit_log.TrailPage(entries=[], next=None)
    try:
        found = await audit_log.page_of(request.state, query_from(fields, audit_log.TrailQuery))
    except Problem as problem:
        notice, status = problem_words(t, problem), problem.status
    context = {
        "actions": sorted(action_names(t).items(), key=lambda each: each[1]),
        "fields": fields,
        "rows": [_entry(t, entry) for entry in found.entries],
        "zone": LIST_ZONE,
        "next_url": next_url("/admin/trail", fields, "before", found.next),
        "notice_text": notice,
    }
    return page(request, "admin/audit_log.html", context, status=status)


def action_names(t: Texts) -> dict[str, str]:
    """Everything the trail knows of, in words."""
    return {key.removeprefix(ACTION): t(key) for key in t.under(ACTION)}


def _entry(t: Texts, entry: audit_log.TrailEntry) -> dict[str, Any]:
    key = ACTION + entry.action
    return {
        "id": entry.id,
        "at": entry.at,
        "who": entry.who,
        "what": t(key) if t.has(key) else entry.action,
        "subject": entry.subject,
        "event_id": entry.event_id,
        "change": change_words(t, entry.change),
        "parts": change_parts(t, entry.change),
    }


routes = [
    admin_route("/admin/reservations", reservations_page, menu=Link(30, "admin.reservations")),
    admin_route("/admin/reservations/{reservation_id}", reservation_page),
    admin_route("/admin/reservations/{reservation_id}/cancel", cancel, "POST"),
    admin_route("/admin/reservations/{reservation_id}/refund", refund, "POST"),
    admin_route("/admin/trail", trail_page, menu=Link(60, "admin.audit_log")),
]
