"""Whether this process works (`/healthz`) and whether a buyer can be served by it (`/readyz`), and if not, why not.

A load balancer stops sending people to a process that is not ready; whoever runs it ends one that is not healthy.
Neither waits longer than a probe would. What hurts but does not stop buyers is a warning.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.http.state import State
from app.lane.errors import LaneUnavailable
from app.lane.streams import LaneStreams
from app.ledger import events
from app.ledger.figures import UNREADABLE
from app.ledger.migrations import SchemaError
from app.redis_keys import ARQ_ALIVE
from app.room.errors import RoomUnavailable, as_room_unavailable

ANSWER_S = 1.0  # what a store gets: probes give up soon after
STALE_S = 5.0  # a follower reads at least every second
DISK_FREE_MIN_BYTES = 64 * 1024 * 1024  # below it, the next rewrite of Redis's log fails


async def healthz(request: Request[State]) -> Response:
    """This process answers, and its event loop turns."""
    if request.state["metrics"].loop_lag.stuck:
        late_s = request.state["metrics"].loop_lag.late_s
        return JSONResponse({"status": "stuck", "eventLoopLateSeconds": round(late_s, 1)}, 503)
    return JSONResponse({"status": "ok"})


async def readyz(request: Request[State]) -> Response:
    """Whether a buyer can be served: the stores answer, what we know of them is fresh, and the room of every event that
    is sold or will be is known. Nobody is turned away for what was lost of the past.
    """
    state = request.state
    warnings: list[str] = []
    missing = [*_stale(state), *_disk(state)]
    parts = (_within("redis", lambda: _redis(state, warnings)), _within("database", lambda: _shop(state)))
    for found in await asyncio.gather(*parts):
        missing += found
    body = {"status": "not ready" if missing else "ready", "missing": missing, "warnings": warnings}
    return JSONResponse(body, 503 if missing else 200, {"cache-control": "no-store"})


async def _within(what: str, ask: Callable[[], Awaitable[list[str]]]) -> list[str]:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await ask()
    except TimeoutError:
        return [f"{what}: no answer within {ANSWER_S:g} s"]
    except RoomUnavailable as error:
        return [f"{what}: {error.kind}"]
    except LaneUnavailable:
        return [f"{what}: the lanes cannot be read"]
    except UNREADABLE as error:
        return [f"{what}: {type(error).__name__}"]


async def _redis(state: State, warnings: list[str]) -> list[str]:
    pipe = state["redis"].pipeline(transaction=False)
    pipe.info("persistence")
    pipe.exists(ARQ_ALIVE)
    with as_room_unavailable():
        async with pipe:  # cancelled, it would keep its connection
            persistence, worker = await pipe.execute()
    waited_s = await LaneStreams(state["redis"]).oldest_wait_s(state["seats"].event_ids)
    if waited_s > state["settings"].lane_wait_s:
        warnings.append(f"seats: a request has waited for {waited_s:.0f} s, so nothing is sold where it waits")
    if not worker:
        warnings.append("workers: none has said for ten seconds that it lives, so nobody is let in")
    broken = persistence.get("aof_last_write_status", "ok") != "ok"
    return ["redis: cannot write its log, so it takes no joins"] if broken else []


async def _shop(state: State) -> list[str]:
    try:
        await state["db"].require_tables()
    except SchemaError as error:
        return [f"database: {error}"]
    now, windows = state["clock"].now(), await events.windows(state["db"])
    expected = {event_id for event_id, window in windows.items() if not window.cancelled and window.closes_at > now}
    return [f"room {event_id}: not known here" for event_id in sorted(expected - state["rooms"].views.keys())]


def _stale(state: State) -> list[str]:
    now_s = time.monotonic()
    read = {"room log": state["rooms"].read_s, "seat maps": state["seats"].read_s}
    found = [f"{what}: not read for {now_s - at_s:.0f} s" for what, at_s in read.items() if now_s - at_s > STALE_S]
    if not state["rooms"].fresh:
        found.append("room log: cannot be read")
    if not state["revoked_sessions"].fresh:
        found.append("ended sessions: cannot be read")
    return found + [f"seat map {event_id}: cannot be read" for event_id in state["seats"].stale]


def _disk(state: State) -> list[str]:
    free = shutil.disk_usage(state["settings"].data_dir).free
    return [f"disk: {free // 1_000_000} MB are free"] if free < DISK_FREE_MIN_BYTES else []


routes = [Route("/healthz", healthz, methods=["GET"]), Route("/readyz", readyz, methods=["GET"])]
