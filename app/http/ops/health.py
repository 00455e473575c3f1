"""What a probe asks of this process alone: whether it works (`/healthz`), and whether to send it people (`/readyz`).

`/healthz` is for whoever starts it again, `/readyz` for the balancer before it. A store that is away changes neither,
since every process misses it alike: positions are answered from memory, and what is wrong with all is at `/status`.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.http import kit
from app.http.ops.readiness import Readiness
from app.http.state import State
from app.ledger import room_windows
from app.ledger.figures import UNREADABLE

ANSWER_S = 1.0  # what the database gets, before this process was ever ready: probes give up soon after
STALE_S = 30.0  # every call of a follower ends sooner, however its store behaves
FILES = Path(kit.__file__).parent / "templates" / "base.html"  # pages are read when they are first shown


async def healthz(request: Request[State]) -> Response:
    """This process answers, and its event loop turns."""
    if request.state["metrics"].loop_lag.stuck:
        late_s = request.state["metrics"].loop_lag.late_s
        return JSONResponse({"status": "stuck", "eventLoopLateSeconds": round(late_s, 1)}, 503)
    return JSONResponse({"status": "ok"})


async def readyz(request: Request[State]) -> Response:
    """Whether this process can serve: it does not end, its followers turn, its files are there, and it once knew every
    room that is expected."""
    state, readiness = request.state, request.state["readiness"]
    missing = [*_leaving(readiness), *_stale(state), *_files()]
    if not missing and not readiness.was_ready:
        missing = await _rooms_unknown(state)
        readiness.was_ready = not missing
    body = {"status": "not ready" if missing else "ready", "missing": missing}
    return JSONResponse(body, 503 if missing else 200, {"cache-control": "no-store"})


def _leaving(readiness: Readiness) -> list[str]:
    return ["this process is going to end"] if readiness.leaving else []


def _stale(state: State) -> list[str]:
    now_s = time.monotonic()
    turned = {"room log": state["rooms"].turned_s, "seat maps": state["seats"].turned_s}
    late_s = {what: now_s - at_s for what, at_s in turned.items() if now_s - at_s > STALE_S}
    return [f"{what}: nobody has asked for it for {late:.0f} s" for what, late in late_s.items()]


def _files() -> list[str]:
    return [] if FILES.is_file() else ["pages: their files are not there"]


async def _rooms_unknown(state: State) -> list[str]:
    """What a process that starts still misses: rooms that the workers may be making this moment."""
    try:
        async with asyncio.timeout(ANSWER_S):
            expected = await room_windows.with_room(state["db"], state["clock"].now())
    except (TimeoutError, *UNREADABLE) as error:
        return [f"start: the database does not answer ({type(error).__name__})"]
    return [f"room {event_id}: not known here" for event_id in sorted(expected - state["rooms"].views.keys())]


routes = [Route("/healthz", healthz, methods=["GET"]), Route("/readyz", readyz, methods=["GET"])]
