"""Routes of pages, and the handlers that answer an error: as a page for a browser, as problem+json for everyone else.

An error page says the refusal in the reader's language, by the text `kit.error.CODE`; where there is none it shows the
English detail that the API would answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app import request_id
from app.http.kit import problems
from app.http.kit.brand import BrandOf
from app.http.kit.csrf import FIELD, check_csrf, refuse_foreign
from app.http.kit.forms import first, read_form
from app.http.kit.i18n import Texts, texts_for
from app.http.kit.menu import Link, PageRoute
from app.http.kit.problems import RETRY_AFTER_S, Problem
from app.http.kit.render import page

NOTHING_HERE = (404, 405)

Page = Callable[[Request[Any]], Awaitable[Response]]


def page_route(
    path: str,
    show: Page,
    method: str = "GET",
    form: Literal["ours", "checked_by_page"] = "ours",
    menu: Link | None = None,
    stale: Callable[[Request[Any], Problem], Awaitable[Response]] | None = None,
    brand: BrandOf | None = None,
) -> PageRoute:
    """A route whose Problems are answered with an error page. `brand`: whose all its pages are, if not this shop's.

    `stale` answers a form from before a log-in or log-out in another tab instead.

    Every POST must carry the token of csrf.py in its form; with `form="checked_by_page"` the page checks it itself,
    because its body is no plain form.
    """

    async def endpoint(request: Request[Any]) -> Response:
        try:
            if method == "POST":
                refuse_foreign(request.scope["headers"], request.state["settings"].public_url)
                if form == "ours":
                    check_csrf(request, first(await read_form(request), FIELD))
            return await show(request)
        except Problem as problem:
            if problem.code == "form_stale" and stale is not None:
                return await stale(request, problem)
            request.state["meters"].refused(problem.code)
            return error_page(request, problem)

    route = PageRoute(path, endpoint, methods=[method], name=f"{method.lower()} {path}")
    route.menu, route.brand = menu, brand
    return route


def problem_words(t: Texts, problem: Problem) -> str:
    """A refusal as a sentence in the reader's language."""
    key = f"kit.error.{problem.code}"
    return t(key) if t.has(key) else problem.detail


def error_page(request: Request[Any], problem: Problem) -> Response:
    """A refusal as a whole page with a way on. Also for what no route matches."""
    t = texts_for(request)
    known = t.has(f"kit.error.{problem.code}")
    context = {
        "heading": problem_words(t, problem) if known else t("kit.error.title"),
        "detail": "" if known else problem.detail,
        "event_id": None if problem.status == 404 else request.path_params.get("event_id"),
        "request_id": request_id.current() if problem.status >= 500 else "",
        "window": problem.extra.get("window", ""),
        "again": request.method == "GET" and problem.status in RETRY_AFTER_S,
    }
    response = page(request, "kit/error.html", context, status=problem.status)
    if problem.status in RETRY_AFTER_S:
        response.headers["Retry-After"] = str(problem.extra.get("retryAfterSeconds", RETRY_AFTER_S[problem.status]))
    return response


async def on_http_exception(request: Request[Any], error: Exception) -> Response:
    """Answer an address that no route has, or a method that it does not take."""
    if not browses(request) or not isinstance(error, HTTPException) or error.status_code not in NOTHING_HERE:
        return await problems.on_http_exception(request, error)
    problem = Problem("not_found")
    problem.status = error.status_code
    return error_page(request, problem)


async def on_store_error(request: Request[Any], error: Exception) -> Response:
    """Answer when the database or Redis cannot be reached, is too busy, or rejects a value."""
    if not browses(request):
        return await problems.on_store_error(request, error)
    return error_page(request, problems.store_problem(error))


async def on_crash(request: Request[Any], error: Exception) -> Response:
    """Answer an exception that nobody expected, which is a bug; it is logged with its trace."""
    answer = await problems.on_crash(request, error)
    if not browses(request):
        return answer
    return error_page(request, Problem("internal_error"))


def browses(request: Request[Any]) -> bool:
    """Whether a person with a browser asks for a page."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")
