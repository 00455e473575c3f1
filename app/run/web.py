"""Runs one web process: uvicorn on a socket that the supervisor opened, or on its own HOST and PORT."""

from __future__ import annotations

import gc
import resource
import signal
import socket

import uvicorn

from app.connections import exit_if_failed
from app.run.supervisor import BACKLOG, listen
from config.settings import Settings

GRACE_S = 5  # what requests under way get when told to stop; the supervisor waits longer before it kills
GC_YOUNG_MAX = 50_000  # few and short collections: requests leave next to no cycles behind


class Server(uvicorn.Server):
    """uvicorn, tuned once the application stands."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what start-up made lives for ever: never look at it again
        gc.set_threshold(GC_YOUNG_MAX, 500, 1000)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End every open stream with a word to reconnect, or they would hold us up for the whole grace period."""
        hub = self.lifespan.state["hub"]
        for stream in hub.streams:
            stream.ends_s = 0.0
        hub.poke()
        await super().shutdown(sockets)


def serve(settings: Settings, fd: int | None, name: str = "web") -> None:
    """Serve until SIGTERM or SIGINT. Ends the process with exit code 3 if the application cannot start.

    Raises StartError if HOST and PORT cannot be listened on.
    """
    from app.http.hot.fast import FastProtocol
    from app.http.hot.sockets import SOCKETS
    from app.main import create_app  # the whole application: only the web process pays for it

    listening = socket.socket(fileno=fd) if fd is not None else listen(settings.host, settings.port).socket
    config = uvicorn.Config(
        create_app(settings, name),
        backlog=BACKLOG,  # uvicorn listens again on the supervisor's socket
        loop="uvloop",
        http=FastProtocol if settings.fast_path else "httptools",
        **SOCKETS,
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=bool(settings.trusted_proxies),  # only log-in attempts are counted by address
        forwarded_allow_ips=settings.trusted_proxies,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    _, files_max = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max))  # each open stream is one; 1024 is a usual start
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn raises it again when done: the log is still to be flushed
    Server(config).run([listening])
    exit_if_failed()
