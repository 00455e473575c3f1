"""The servers that the product is compared with, and the product with a watch on its event loop. Run as a program.

All run under the product's own tuned uvicorn. They answer /healthz, and are killed when done.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import socket
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.connect.asgi import WaitingRoom
from app.connections import open_redis, timing
from app.http.hot.fast import FastProtocol
from app.http.hot.sockets import SOCKETS
from app.main import create_app
from app.room.scripts import RoomScripts
from app.run.guard.proxy import Proxy
from app.run.web import Server
from config.settings import Settings, load

LOOK_S = 0.001
EPOCH = 1


def bare(_: Settings, answer: str) -> Starlette:
    """What the framework costs: the same answer, known beforehand, through a route and a JSONResponse."""
    said = json.loads(answer)

    async def get(_: Request) -> Response:
        return JSONResponse(said)

    async def post(_: Request) -> Response:
        return JSONResponse(said, 201)

    return _app(Route("/bare", get, methods=["GET"]), Route("/bare", post, methods=["POST"]))


def zrank(settings: Settings, answer: str) -> Starlette:
    """A line as a sorted set, asked on every poll. The member travels in the path, so no cookie is read."""
    redis, said = open_redis(settings), json.loads(answer)

    async def get(request: Request) -> Response:
        ahead = await redis.zrank("bench:line", request.path_params["member"])
        return JSONResponse({**said, "ahead": ahead})

    return _app(Route("/zrank/{member}", get, methods=["GET"]))


def evalsha(settings: Settings, answer: str) -> Starlette:
    """One call of join.lua per join."""
    scripts, said = RoomScripts(open_redis(settings), timing(settings)), json.loads(answer)

    async def post(_: Request) -> Response:
        batch = await scripts.join("each", EPOCH, [(secrets.token_urlsafe(16), "")])
        return JSONResponse({**said, "number": batch.joined[0].number, "room": batch.room}, 201)

    return _app(Route("/evalsha", post, methods=["POST"]))


def guarded(_: Settings, site: str) -> ASGIApp:
    """The proxy of `tiketi guard`, with rules that let everything pass."""
    rules = [{"action": "pass"}]
    return WaitingRoom(Proxy(site), tiketi=site, room="bench", rules=rules, fetch=lambda: b"")


def watched(settings: Settings, _: str) -> ASGIApp:
    """The product, with GET /stall: the longest time since the last such question that its event loop was busy."""
    product, stall = create_app(settings), _Stall()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") == "/stall":
            await JSONResponse(stall.read())(scope, receive, send)
        else:
            await product(scope, receive, send)

    return app


class _Stall:
    """How long the event loop keeps a task waiting that wants to run every millisecond: by the clock, and in processor
    time of its own, which a busy machine does not stretch. Begins with the first reading.
    """

    def __init__(self) -> None:
        self._longest_s = self._work_s = 0.0
        self._task: asyncio.Task[None] | None = None

    def read(self) -> dict[str, float]:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look())
        read = {"longestMs": self._longest_s * 1000, "workMs": self._work_s * 1000}
        self._longest_s = self._work_s = 0.0
        return read

    async def _look(self) -> None:
        while True:
            before_s, worked_s = time.perf_counter(), time.thread_time()
            await asyncio.sleep(LOOK_S)
            self._longest_s = max(self._longest_s, time.perf_counter() - before_s - LOOK_S)
            self._work_s = max(self._work_s, time.thread_time() - worked_s)


def _app(*routes: Route) -> Starlette:
    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(routes=[*routes, Route("/healthz", healthz, methods=["GET"])])


KINDS: dict[str, Callable[[Settings, str], ASGIApp]] = {
    "bare": bare,
    "zrank": zrank,
    "evalsha": evalsha,
    "guarded": guarded,
    "watched": watched,
}


PROTOCOLS: dict[str, Any] = {"watched": FastProtocol, "guarded": "h11"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--answer", default="{}", help="the JSON to answer with")
    parser.add_argument("--site", help="what is guarded")
    given = parser.parse_args()
    config = uvicorn.Config(  # app/run/web.py's, but for the application
        KINDS[given.kind](load(os.environ), given.site or given.answer),
        loop="uvloop",
        http=PROTOCOLS.get(given.kind, "httptools"),  # the product's own, or as anyone has it
        **SOCKETS,
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    Server(config).run([socket.socket(fileno=given.fd)])


if __name__ == "__main__":
    main()
