"""`python -m app.run.guard --fd N …`: make the room, then serve the proxy on a socket that the supervisor opened."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys

import uvicorn

from app.connect.asgi import WaitingRoom
from app.run.guard.proxy import Proxy
from app.run.guard.room import GUARD, Guarded, NotGuarded, prepare_room
from app.run.own_origins import api_key
from app.run.terminal import refuse
from config.keys import load_keys
from config.logging import logged
from config.settings import Settings, load

GRACE_S = 5
HEAD_BYTES_MAX = 32_768
REQUESTS_MAX = 1_000  # at once; others are told to come again
MESSAGE_BYTES_MAX = 16 << 20


def guarded_app(settings: Settings, guarded: Guarded) -> WaitingRoom:
    return WaitingRoom(
        Proxy(guarded.site),
        tiketi=settings.buyers_url,
        internal=settings.local_url,
        room=GUARD,
        rules=guarded.rules,
        origin=GUARD,
        api_key=api_key(load_keys(settings.data_dir, settings.keys_file), GUARD),
        fail="open" if guarded.fail == "open" else "closed",
        secure_cookie=guarded.url.startswith("https://"),
    )


def serve(settings: Settings, guarded: Guarded, fd: int, name: str) -> None:
    config = uvicorn.Config(
        guarded_app(settings, guarded),
        loop="uvloop",
        http="h11",  # bounds the head of a request
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        ws="wsproto",
        ws_max_size=MESSAGE_BYTES_MAX,
        limit_concurrency=REQUESTS_MAX,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # the site's own
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=GRACE_S,
    )
    with logged(settings, name):
        asyncio.run(prepare_room(settings, guarded))
        uvicorn.Server(config).run([socket.socket(fileno=fd)])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m app.run.guard", description="Stand before a site.")
    parser.add_argument("--fd", type=int, required=True, help="a listening socket that is open already")
    parser.add_argument("--name", default=GUARD, help="its name in the log")
    for name, kind in (("site", str), ("url", str), ("preset", str), ("fail", str), ("rate", float)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    for name in ("burst", "capacity", "pass-seconds"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = parser.parse_args()
    guarded = Guarded(
        site=given.site,
        url=given.url,
        rate_per_s=given.rate,
        burst=given.burst,
        capacity=given.capacity,
        pass_s=given.pass_seconds,
        preset=given.preset,
        fail=given.fail,
    )
    try:
        serve(load(os.environ), guarded, given.fd, given.name)
    except NotGuarded as error:
        return refuse(str(error), 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
