"""Every refusal as application/problem+json (RFC 9457): a status, a stable code and a sentence a person can act on."""

from __future__ import annotations

from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.cache.cache import LoadTooLate
from app.http.kit.answers import json_answer
from app.lane.errors import LaneUnavailable
from app.ledger.errors import StoreError, ValueRefused
from app.room.errors import RoomUnavailable

log = structlog.get_logger()

# a refusal wherever they come from: see store_problem
STORE_ERRORS = (StoreError, RoomUnavailable, LaneUnavailable, LoadTooLate)
RETRY_AFTER_S = {429: 5, 503: 1, 504: 2}


class Problem(Exception):
    """A refusal. `extra` members go into the answer; a datetime or struct in them is encoded by msgspec.

    `cookies` are Set-Cookie headers that go with it.
    """

    def __init__(self, status: int, code: str, detail: str, **extra: Any) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.extra = extra
        self.cookies: list[tuple[bytes, bytes]] = []


def problem_response(problem: Problem) -> Response:
    body = {
        "type": f"urn:tiketi:problem:{problem.code}",
        "title": problem.code.replace("_", " "),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
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


async def on_store_error(_: Request[Any], error: Exception) -> Response:
    return problem_response(store_problem(error))


def store_problem(error: Exception) -> Problem:
    """What the shop's database or Redis could not do, as a refusal."""
    if isinstance(error, RoomUnavailable | LaneUnavailable):
        log.warning("redis_failed", kind=type(error).__name__, error=str(error))
        return Problem(503, "line_unavailable", "The line cannot be reached just now. Nothing was lost; try again.")
    if isinstance(error, ValueRefused):
        return Problem(422, "value_refused", "A value is too long, too large or has a character that cannot be kept.")
    assert isinstance(error, StoreError | LoadTooLate)
    log.warning("store_failed", kind=type(error).__name__, error=str(error))
    return Problem(
        503, "store_unavailable", "The shop's database does not answer just now. Nothing was lost; try again."
    )


async def on_http_exception(_: Request[Any], error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {
        404: ("not_found", "There is nothing at this address."),
        405: ("method_not_allowed", "Use another method."),
    }
    code, detail = codes.get(error.status_code, ("refused", error.detail))
    response = problem_response(Problem(error.status_code, code, detail))
    response.headers.update(error.headers or {})
    return response


async def on_crash(request: Request[Any], error: Exception) -> Response:
    """A bug of ours: told in the log with its trace, to the client without."""
    return crash_response(request.url.path, error)


def crash_response(path: str, error: Exception) -> Response:
    log.error("request_crashed", path=path, exc_info=error)
    return problem_response(Problem(500, "internal_error", "Something broke on our side. It was recorded; try again."))
