"""`python -m app.run.demo_shop --fd N`: serve the demo shop behind its room on a socket that the supervisor opened."""

from __future__ import annotations

import argparse
import os
import socket
import time

import uvicorn

from app.connect.asgi import WaitingRoom
from app.run.demo_shop.crowd import Crowd
from app.run.demo_shop.origin import RULES
from app.run.demo_shop.shop import Shop
from app.run.own_origins import api_key, site_url
from config.demo import SHOP
from config.keys import load_keys
from config.logging import logged
from config.settings import Settings, load

GRACE_S = 3


def serve(settings: Settings, fd: int, name: str) -> None:
    listening = socket.socket(fileno=fd)
    here = site_url(listening.getsockname()[1])
    shop = Shop(time.time, settings.buyers_url, Crowd(here, settings.buyers_url, SHOP, settings.claim_window_s))
    behind = WaitingRoom(
        shop.app(),
        tiketi=settings.buyers_url,
        room=SHOP,
        rules=RULES,
        origin=SHOP,
        api_key=api_key(load_keys(settings.data_dir, settings.keys_file), SHOP),
    )
    config = uvicorn.Config(
        behind, loop="uvloop", log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=GRACE_S
    )
    with logged(settings, name):
        uvicorn.Server(config).run([listening])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.run.demo_shop", description="Serve the demo shop.")
    parser.add_argument("--fd", type=int, required=True, help="a listening socket that is open already")
    parser.add_argument("--name", default="demo-shop", help="its name in the log")
    given = parser.parse_args()
    serve(load(os.environ), given.fd, given.name)


if __name__ == "__main__":
    main()
