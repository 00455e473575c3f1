"""Runs one web process: uvicorn on a socket that the supervisor opened, or on its own HOST and PORT."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import socket
import time

import uvicorn

from app.connections import exit_if_failed
from app.run.supervisor import BACKLOG, listen
from config.settings import Settings

GRACE_S = 5  # what requests under way get when told to stop; the supervisor waits longer before it kills
LOOK_S = 0.1  # how often it is looked whether we were told to end
GC_YOUNG_MAX = 50_000  # few and short collections: requests leave next to no cycles behind


class Server(uvicorn.Server):
    """uvicorn, tuned once the application stands."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, for which the application may wait for its stores; told to end meanwhile, do."""
        starting = asyncio.ensure_future(super().startup(sockets))
        while not (await asyncio.wait([starting], timeout=LOOK_S))[0]:
            if self.should_exit:
                self.lifespan.logger.disabled = True  # it takes an application that ends so early for a broken one
                starting.cancel()
                return
        starting.result()
        gc.collect()
        gc.freeze()  # what start-up made lives for ever: never look at it again
        gc.set_threshold(GC_YOUNG_MAX, 500, 1000)

    def __init__(self, config: uvicorn.Config, lame_duck_s: float = 0.0) -> None:
        super().__init__(config)
        self._lame_duck_s = lame_duck_s

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on as a process that is not ready, so that no balancer sends anybody here when nobody listens; told to
        end again, end now. Then end every open stream with a word to reconnect: they would hold us up for the whole
        grace period.
        """
        self.lifespan.state["readiness"].leaving = True
        ends_s = time.monotonic() + self._lame_duck_s
        while time.monotonic() < ends_s and not self.force_exit:  # noqa: ASYNC110  # a signal sets it
            await asyncio.sleep(LOOK_S)
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
    from app.http.hot.guarded import GuardedProtocol
    from app.http.hot.sockets import SOCKETS
    from app.main import create_app  # the whole application: only the web process pays for it

    listening = socket.socket(fileno=fd) if fd is not None else listen(settings.host, settings.port).socket
    config = uvicorn.Config(
        create_app(settings, name),
        backlog=BACKLOG,  # uvicorn listens again on the supervisor's socket
        loop="uvloop",
        http=FastProtocol if settings.fast_path else GuardedProtocol,
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
    Server(config, settings.lame_duck_s).run([listening])
    exit_if_failed()
