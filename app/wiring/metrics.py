"""Makes what finds out what is wrong, and what counts for this process's metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from redis.asyncio import Redis

from app.connections import closed_with, follow, make_processes, running
from app.http.kit.clock import Clock
from app.http.state import State
from app.lane.seats import SeatViews
from app.ledger.database import Database
from app.metrics.sites import FiguresSender
from app.metrics.status import StatusCheck
from app.metrics.web import WebSources
from app.origins.directory import say_if_no_proxy_is_trusted
from app.processes.shared_clock import SharedClock
from app.room.follow import Rooms
from config.keys import KeyFingerprint, Keys, path_of
from config.settings import Settings


async def status_of(
    stack: AsyncExitStack,
    settings: Settings,
    keys: Keys,
    redis: Redis,
    db: Database,
    rooms: Rooms,
    seats: SeatViews,
    clock: Clock,
    shared: SharedClock,
    process: str,
) -> StatusCheck:
    """What finds out what is wrong, with this process among the others, and with what all share."""
    fingerprint = KeyFingerprint(path_of(settings.data_dir, settings.keys_file), keys)
    processes = closed_with(stack, make_processes(shared, process, "web", fingerprint))
    await follow(stack, processes)
    return StatusCheck(
        redis=redis,
        db=db,
        rooms=rooms,
        seats=seats,
        processes=processes,
        wait_max_s=settings.lane_wait_s,
        data_dir=settings.data_dir,
        now=clock.now,
    )


@asynccontextmanager
async def measured(state: State) -> AsyncIterator[None]:
    """The metrics of this process, served, and its figures of sites, sent, while the block runs."""
    counted = WebSources(
        meters=state["meters"],
        joiner=state["joiner"],
        connections=state["connections"],
        streams=state["hub"],
        sockets=state["live"],
        lane=state["lane"],
        cache=state["cache"],
        seats=state["seats"],
    )
    say_if_no_proxy_is_trusted(state["origins"], state["settings"].trusted_proxies)
    outages = state["metrics"].status.processes.outages
    directory, clock = state["origins"], state["clock"]
    sender = FiguresSender(state["redis"], state["meters"].sites, lambda: directory.origins, clock.seconds, outages)
    async with running(site_figures=sender.run()), state["metrics"].published_for(counted):
        try:
            yield
        finally:
            await sender.close()
