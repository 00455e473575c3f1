"""Every refusal as application/problem+json (RFC 9457): a status, a stable code and a sentence a person can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

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
    """A refusal, by its name in the table of refusals.

    Of the keywords those that the table's sentence names fill it; the others (`extra`) become members of the answer,
    where msgspec encodes a datetime or a struct. `cookies` are Set-Cookie headers that go with it.
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
    body = {
        "type": f"urn:tiketi:problem:{problem.code}",
        "title": problem.code.replace("_", " "),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "next": problem.next,
        **problem.extra,
    }
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    if problem.status in RETRY_AFTER_S:
        headers["retry-after"] = str(problem.extra.get("retryAfterSeconds", RETRY_AFTER_S[problem.status]))
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    return json_answer(
        body, problem.status, headers=headers, cookies=problem.cookies, media_type="application/problem+json"
    )


async def on_problem(request: Request[Any], error: Exception) -> Response:
    assert isinstance(error, Problem)
    request.state["meters"].refused(error.code)
    return problem_response(error)


async def on_store_error(request: Request[Any], error: Exception) -> Response:
    return await on_problem(request, store_problem(error))


def store_problem(error: Exception) -> Problem:
    """What the shop's database or Redis could not do, as a refusal."""
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
    """Raise what a store could not do as the Problem it is: for who must look at it before it is answered."""
    try:
        yield
    except STORE_ERRORS as error:
        raise store_problem(error) from error


async def on_http_exception(_: Request[Any], error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = problem_response(http_problem(error))
    response.headers.update(error.headers or {})
    return response


def http_problem(error: HTTPException) -> Problem:
    """What Starlette refuses before any endpoint of ours is asked."""
    if error.status_code == 404:
        return Problem("not_found")
    if error.status_code == 405:
        return Problem("method_not_allowed")
    problem = Problem("refused", why=error.detail)
    problem.status = error.status_code
    return problem


async def on_crash(request: Request[Any], error: Exception) -> Response:
    """A bug of ours: told in the log with its trace, to the client without."""
    return crash_response(request.url.path, error)


def crash_response(path: str, error: Exception) -> Response:
    log.error("request_crashed", path=path, exc_info=error)
    return problem_response(Problem("internal_error"))
