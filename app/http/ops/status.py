"""`GET /status`: what is wrong with the whole system, as JSON for programs and as a page for people with a browser.

For whoever may read the metrics, and nobody else: it tells how many processes there are, and where.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.http.kit.answers import json_answer
from app.http.kit.i18n import texts_for
from app.http.kit.render import page
from app.http.kit.routing import browses
from app.http.ops.readers import require_reader
from app.http.state import State
from app.metrics.status import Report


async def show(request: Request[State]) -> Response:
    """200 whatever is wrong: it is an answer, and no probe."""
    await require_reader(request)
    report = await request.state["metrics"].status.report()
    if not browses(request):
        return json_answer(_body(report))
    return page(request, "ops/status.html", {**_body(report), "title": texts_for(request)("ops.status.title")})


def _body(report: Report) -> dict[str, Any]:
    return {
        "status": "problems" if report.problems else "ok",
        "problems": [{"code": problem.code, "detail": problem.detail} for problem in report.problems],
        "processes": [
            {
                "name": each.told.name,
                "kind": each.told.kind,
                "host": each.told.host,
                "version": each.told.version,
                "keys": each.told.keys,
                "live": each.is_live,
                "clockAheadSeconds": each.told.clock_off_s,
                "silentSeconds": round(each.age_s, 1),
            }
            for each in sorted(report.processes, key=lambda each: (each.told.host, each.told.name))
        ],
    }


routes = [Route("/status", show, methods=["GET"])]
