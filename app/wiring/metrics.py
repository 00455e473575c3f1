"""Makes what finds out what is wrong, and what counts for this process's metrics."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AsyncExitStack

from redis.asyncio import Redis

from app.connections import closed_with, follow, make_processes
from app.http.kit.clock import Clock
from app.http.state import State
from app.lane.seats import SeatViews
from app.ledger.database import Database
from app.metrics.status import StatusCheck
from app.metrics.web import WebSources
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


def measured(state: State) -> AbstractAsyncContextManager[None]:
    """The metrics of this process, served while the block runs."""
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
    return state["metrics"].published_for(counted)
