"""Raise a `Problem` to refuse a request: it is answered as application/problem+json (RFC 9457).

What may be refused, with which status and words, stands in refusals.py. Failures of the database and of Redis become
Problems here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app import request_id
from app.cache.cache import LoadTooLate
from app.http.kit.answers import json_answer
from app.http.kit.refusals import REFUSALS, code_of
from app.lane.errors import LaneUnavailable
from app.ledger.errors import StoreError, ValueRefused
from app.room.errors import RoomUnavailable

log = structlog.get_logger()

# a refusal wherever they come from: see store_problem
STORE_ERRORS = (StoreError, RoomUnavailable, LaneUnavailable, LoadTooLate)
RETRY_AFTER_S = {429: 5, 503: 1, 504: 2}


class Problem(Exception):
    """A refusal, by its name in the table of refusals: `raise Problem("too_many_seats", most=4)`.

    Keywords that the table's sentence has in braces fill it. All others (`extra`) become members of the answer, encoded
    by msgspec. `cookies` are Set-Cookie headers to send with the answer.
    """

    def __init__(self, name: str, /, **known: Any) -> None:
        kind = REFUSALS[name]
        self.name = name
        self.code = code_of(name)
        self.status = kind.status
        self.detail = kind.detail.format(**known) if kind.words else kind.detail
        self.next = kind.next
        self.extra = {key: value for key, value in known.items() if key not in kind.words}
        self.cookies: list[tuple[bytes, bytes]] = []
        super().__init__(f"{self.code}: {self.detail}")


def problem_response(problem: Problem) -> Response:
    """The answer to a refused request, with Retry-After where the client should wait."""
    body = {
        "type": f"urn:tiketi:problem:{problem.code}",
        "title": problem.code.replace("_", " "),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "next": problem.next,
        **problem.extra,
    }
    if asked := request_id.current():
        body["requestId"] = asked
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    if problem.status in RETRY_AFTER_S:
        headers["retry-after"] = str(problem.extra.get("retryAfterSeconds", RETRY_AFTER_S[problem.status]))
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    return json_answer(
        body, problem.status, headers=headers, cookies=problem.cookies, media_type="application/problem+json"
    )


async def on_problem(request: Request[Any], error: Exception) -> Response:
    """Answer a Problem that an endpoint raised, and count it by its code."""
    assert isinstance(error, Problem)
    request.state["meters"].refused(error.code)
    return problem_response(error)


async def on_store_error(request: Request[Any], error: Exception) -> Response:
    """Answer a failure of the database or of Redis that an endpoint did not handle."""
    return await on_problem(request, store_problem(error))


def store_problem(error: Exception) -> Problem:
    """The refusal for a failure of the database or of Redis, which is logged."""
    if isinstance(error, RoomUnavailable | LaneUnavailable):
        log.warning("redis_failed", kind=type(error).__name__, error=str(error))
        return Problem("line_unavailable")
    if isinstance(error, ValueRefused):
        return Problem("value_refused")
    assert isinstance(error, StoreError | LoadTooLate)
    log.warning("store_failed", kind=type(error).__name__, error=str(error))
    return Problem("store_unavailable")


@contextmanager
def stores_refused() -> Iterator[None]:
    """Raise a failure of the database or of Redis in the block as a Problem.

    Needed only where the caller handles Problems; elsewhere the exception handlers answer such a failure.
    """
    try:
        yield
    except STORE_ERRORS as error:
        raise store_problem(error) from error


async def on_http_exception(_: Request[Any], error: Exception) -> Response:
    """Answer what no route fits."""
    assert isinstance(error, HTTPException)
    response = problem_response(http_problem(error))
    response.headers.update(error.headers or {})
    return response


def http_problem(error: HTTPException) -> Problem:
    """The refusal for an HTTPException: Starlette raises it where no route fits."""
    if error.status_code == 404:
        return Problem("not_found")
    if error.status_code == 405:
        return Problem("method_not_allowed")
    problem = Problem("refused", why=error.detail)
    problem.status = error.status_code
    return problem


async def on_crash(request: Request[Any], error: Exception) -> Response:
    """Answer an exception that nobody expected, which is a bug: its trace is for the log, not for the client."""
    return crash_response(request.url.path, error)


def crash_response(path: str, error: Exception) -> Response:
    """The answer to a request that met a bug, which is logged with its trace."""
    log.error("request_crashed", path=path, exc_info=error)
    return problem_response(Problem("internal_error"))
