"""An API route that says what it takes and answers, so that the OpenAPI description cannot drift from the code.

The types named here are the ones that validate: a body's Struct is what its decoder checks. openapi.py reads them; a
test holds every route under /api to being one of these, and runs all of them against their description.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from app.http.kit.fields import misfit
from app.http.kit.problems import Problem

T = TypeVar("T", bound=msgspec.Struct)


class Who(StrEnum):
    """Whom a route serves, and so what must be sent with a request to it."""

    all = "all"
    ticket = "ticket"  # a place in line: X-Queue-Ticket or its cookie
    buyer = "buyer"  # a pass, or a browser's own id where there is no line
    owner = "owner"  # whoever holds the thing: by session, ticket, pass or browser id
    session = "session"  # somebody logged in
    admin = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`answers`: status → type of the JSON answer, or a media type for another kind, or None for no body."""

    summary: str
    who: Who
    answers: Mapping[int, Any]
    problems: frozenset[int]
    body: Any = None
    body_required: bool = True
    body_media: tuple[str, ...] = ("application/json",)
    query: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)  # optional ones: name → what it is for


class ApiRoute(Route):
    """One method of one path. `problems` are the statuses a refusal may have beyond those its kind implies."""

    def __init__(
        self,
        method: str,
        path: str,
        endpoint: Callable[..., Any],
        *,
        summary: str,
        answers: Mapping[int, Any],
        who: Who = Who.all,
        problems: tuple[int, ...] = (),
        **more: Any,
    ) -> None:
        super().__init__(path, endpoint, methods=[method])
        implied = {503}
        if more.get("body") is not None:
            implied |= {400, 413, 422}
        if more.get("query") is not None:
            implied |= {422}
        if "{" in path:
            implied |= {404}
        if method != "GET":
            implied |= {403}
        if who is not Who.all:
            implied |= {401, 403}
        self.method = method.lower()
        self.operation = Operation(
            summary=summary, who=who, answers=answers, problems=frozenset(implied | set(problems)), **more
        )


def query_of(request: Request[Any], kind: type[T]) -> T:
    """The query string as a checked Struct. Raises Problem 422: what does not fit, or a part nobody knows."""
    given = dict(request.query_params)
    known = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
    if unknown := given.keys() - known.keys():
        raise Problem(422, "payload_invalid", f"The query has no part {min(unknown)[:40]!r}.")
    try:
        query = msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(422, "payload_invalid", f"The query does not fit: {misfit(error)}.") from None
    for name, text in given.items():
        if _is_loose(text, getattr(query, known[name])):
            raise Problem(422, "payload_invalid", f"The query does not fit: {name}={text[:20]!r}.")
    return query


def _is_loose(text: str, value: object) -> bool:
    """Whether msgspec read more into a text than it says: `null` as nothing, `1.0` as a whole number."""
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and str(value) != text)
