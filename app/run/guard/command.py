"""`tiketi guard URL`: a room before any site that runs somewhere, as a reverse proxy, and the admin's pages beside."""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from app.connect.presets import PRESETS
from app.run.terminal import Add, refuse, say
from config.settings import Settings

if TYPE_CHECKING:
    from app.run.guard.room import Guarded

RATE_PER_S, CAPACITY, PASS_S = 10.0, 100, 600
PORT_BESIDE = 80  # 8080 beside 8000


def add_to(add: Add) -> None:
    command = add("guard", guard, "start everything, with a proxy that puts a room before a site; Ctrl-C stops it")
    command.add_argument("site", help="where the site runs, such as http://localhost:3000")
    command.add_argument("--rate", type=float, default=RATE_PER_S, help="how many visitors are let in per second")
    command.add_argument("--burst", type=int, help="how many may be let in at once; by default those of a second")
    command.add_argument("--capacity", type=int, default=CAPACITY, help="how many may be inside at a time")
    command.add_argument("--pass-seconds", type=int, default=PASS_S, help="how long who was let in may stay")
    command.add_argument("--port", type=int, help="where visitors come to; by default 80 above PORT: 8080")
    command.add_argument("--url", help="how they call that, such as https://shop.example, if it is not this machine")
    command.add_argument("--preset", choices=sorted(PRESETS), default="plain", help="which requests need no pass")
    command.add_argument("--fail", choices=["open", "closed"], default="closed", help="what if Tiketi is away")


def guard(settings: Settings, args: argparse.Namespace) -> int:
    from app.run.data_folder import FolderError
    from app.run.guard.proxy import why_no_site
    from app.run.guard.room import why_not
    from app.run.redis_server import NoServerError
    from app.run.supervisor import Beside, StartError, Supervisor

    for url in filter(None, [args.site, args.url]):
        if wrong := why_no_site(url):
            return refuse(f"{wrong}.", 2)
    if settings.is_public and not args.url:
        return refuse("Say with --url how visitors call the guarded site, such as https://shop.example.", 2)
    if args.port is None:
        args.port = settings.port + PORT_BESIDE if settings.port else 0
    if wrong := why_not(guarded_of(args, args.port or 1)):
        return refuse(f"{wrong}.", 2)

    def guarding(listening: int, port: int) -> tuple[str, ...]:
        return guard_command(guarded_of(args, port), listening)

    beside = Beside("guard", "Your site", args.port, guarding)
    try:
        return asyncio.run(Supervisor(replace(settings, demo_shop=False), say, beside=beside).run())
    except (StartError, FolderError, NoServerError) as error:
        return refuse(str(error), 1)


def guarded_of(args: argparse.Namespace, port: int) -> Guarded:
    from app.run.guard.room import Guarded
    from app.run.own_origins import site_url

    return Guarded(
        site=args.site.rstrip("/"),
        url=(args.url or site_url(port)).rstrip("/"),
        rate_per_s=args.rate,
        burst=max(1, round(args.rate)) if args.burst is None else args.burst,
        capacity=args.capacity,
        pass_s=args.pass_seconds,
        preset=args.preset,
        fail=args.fail,
    )


def guard_command(guarded: Guarded, listening: int) -> tuple[str, ...]:
    """How the proxy's process is run. -P: a folder named app nearby is not ours."""
    given = {
        "--site": guarded.site,
        "--url": guarded.url,
        "--rate": str(guarded.rate_per_s),
        "--burst": str(guarded.burst),
        "--capacity": str(guarded.capacity),
        "--pass-seconds": str(guarded.pass_s),
        "--preset": guarded.preset,
        "--fail": guarded.fail,
    }
    options = [part for pair in given.items() for part in pair]
    return (sys.executable, "-P", "-m", "app.run.guard", "--fd", str(listening), *options)
