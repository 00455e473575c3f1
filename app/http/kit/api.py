"""A route of the API together with its description: what it takes, answers and may refuse.

openapi.py generates the OpenAPI document from these. The types that describe a body or a query are the ones that check
it, and a test sends generated requests to every route and compares the answers with the description. Every route under
/api is an ApiRoute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from app.http.kit.fields import misfit_of
from app.http.kit.problems import Problem
from app.http.kit.refusals import REFUSALS

T = TypeVar("T", bound=msgspec.Struct)


class Who(StrEnum):
    """Who may use a route, and so which credentials a request to it must carry."""

    all = "all"
    ticket = "ticket"  # a place in line: X-Queue-Ticket or its cookie
    buyer = "buyer"  # a pass and its holder, or a holder where there is no line
    owner = "owner"  # whoever holds the thing: by session, or the secret of a browser
    session = "session"  # somebody logged in
    admin = "admin"
    origin = "origin"  # a site behind a room: its API key


# what any route of a kind may be refused with; openapi.py says it of each
_ALWAYS = ("store_unavailable", "line_unavailable")
_WITH_BODY = ("payload_malformed", "body_incomplete", "body_too_large", "payload_invalid", "value_refused")
_UNKNOWN = {  # the part of a path that names something → what is said where there is none
    "event_id": "event_unknown",
    "number": "number_never_given",
    "reservation_id": "reservation_unknown",
    "user_id": "user_unknown",
    "upload_id": "upload_unknown",
    "method": "method_unknown",
    "provider": "provider_unknown",
    "origin_id": "origin_unknown",
    "room_id": "room_unknown",
    "visit_id": "visit_unknown",
    "customer": "customer_unknown",
    "customer_room": "customer_room_unknown",
}
SESSION_REFUSALS = ("session_invalid", "session_expired", "session_ended")
_TICKET = ("ticket_missing", "ticket_invalid", "ticket_foreign_event", "ticket_old_epoch", "place_taken_over")
HOLDER_REFUSALS = ("holder_other", *SESSION_REFUSALS)
_PASS = (
    "pass_missing",
    "pass_invalid",
    "pass_foreign_event",
    "pass_expired",
    "pass_spent",
    "place_taken_over",
    "holder_missing",
)
_BY_WHO: dict[Who, tuple[str, ...]] = {
    Who.all: (),
    Who.ticket: _TICKET,
    Who.buyer: (*_PASS, *HOLDER_REFUSALS),
    Who.owner: SESSION_REFUSALS,
    Who.session: ("login_required", *SESSION_REFUSALS),
    Who.origin: ("api_key_wrong",),
    Who.admin: ("login_required", *SESSION_REFUSALS, "admin_only"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`answers`: status → type of the JSON answer, or a media type for another kind, or None for no body.
    `refusals`: status → what may be refused with it, by name in the table of refusals, as far as it is known.
    """

    summary: str
    who: Who
    answers: Mapping[int, Any]
    refusals: Mapping[int, Sequence[str]]
    body: Any = None
    body_required: bool = True
    body_media: tuple[str, ...] = ("application/json",)
    query: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)  # optional ones: name → what it is for


class ApiRoute(Route):
    """One method of one path.

    `refusals` are names in the table of refusals. Those that follow from its other arguments need not be listed: from
    having a body or a query, from the names in its path, and from who may use it.
    """

    def __init__(
        self,
        method: str,
        path: str,
        endpoint: Callable[..., Any],
        *,
        summary: str,
        answers: Mapping[int, Any],
        who: Who = Who.all,
        refusals: tuple[str, ...] = (),
        **more: Any,
    ) -> None:
        super().__init__(path, endpoint, methods=[method])
        names = [*refusals, *_BY_WHO[who], *_ALWAYS]
        if more.get("body") is not None:
            names += _WITH_BODY
        if more.get("query") is not None:
            names.append("payload_invalid")
        names += [_UNKNOWN[part] for part in self.param_convertors]
        if method != "GET":
            names.append("cross_site")
        self.method = method.lower()
        self.operation = Operation(summary=summary, who=who, answers=answers, refusals=_by_status(names), **more)


def _by_status(names: Iterable[str]) -> dict[int, list[str]]:
    """These refusals under the status each has."""
    found: dict[int, list[str]] = {}
    for name in dict.fromkeys(names):
        found.setdefault(REFUSALS[name].status, []).append(name)
    return found


def query_of(request: Request[Any], kind: type[T]) -> T:
    """The query string as a value of `kind`. Raises Problem 422 if a part does not fit or is unknown."""
    given = dict(request.query_params)
    known = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
    if unknown := given.keys() - known.keys():
        raise Problem("payload_invalid", why=f"The query has no part {min(unknown)[:40]!r}")
    try:
        query = msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem("payload_invalid.query", why=misfit_of(error, kind, given, lax=True).words) from None
    for name, text in given.items():
        if _is_loose(text, getattr(query, known[name])):
            raise Problem("payload_invalid.query", why=f"{name}={text[:20]!r}")
    return query


def _is_loose(text: str, value: object) -> bool:
    """Whether msgspec read more into a text than it says: `null` as nothing, `1.0` as a whole number."""
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and str(value) != text)
