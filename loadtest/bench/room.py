"""Rooms with people in them, made straight in Redis: a measure is about what happens next."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from app.connections import open_redis, timing
from app.domain.browser import Browsers
from app.domain.line import RoomState
from app.domain.ticket import HOLDER_BYTES, Ticket, TicketSigner, holder_bytes, holder_text
from app.ledger import events
from app.room.record import Birth
from app.room.scripts import RoomScripts
from config.keys import load_keys
from config.settings import Settings
from workers.admitter import Admitter

EPOCH = 1
PEOPLE_PER_CALL = 500
TICK_MS = 100
ISSUED_S = 1_700_000_000
SEATS_PER_ROW = 50


@asynccontextmanager
async def scripts_of(settings: Settings) -> AsyncIterator[RoomScripts]:
    redis = open_redis(settings)
    try:
        yield RoomScripts(redis, timing(settings))
    finally:
        await redis.aclose()


async def make(scripts: RoomScripts, event_id: str, rate_per_s: float = 100.0, burst: int = 100) -> None:
    """An open room with numbers and capacity enough for any measure."""
    birth = Birth(
        epoch=EPOCH,
        number=0,
        bound=10**9,
        cursor=0,
        state=RoomState.open,
        opens_ms=0,
        rate_per_s=rate_per_s,
        burst=burst,
        max_active=1_000_000,
    )
    await scripts.create(event_id, birth)


async def admitter(scripts: RoomScripts) -> Admitter:
    """A worker's own, its clock begun: each `tick` lets in whom the rate allows since the one before."""
    ours = Admitter(scripts, _wake, TICK_MS)
    await ours.refresh()
    await ours.tick()
    return ours


async def _wake(_event_id: str, _wake_up: str) -> None:
    """Nobody allocates seats here."""


async def fill(scripts: RoomScripts, event_id: str, people: int, wish: str = "") -> list[str]:
    """Let so many new people join; gives their holder ids in the order of their numbers."""
    holders = [holder_text(os.urandom(HOLDER_BYTES)) for _ in range(people)]
    for start in range(0, people, PEOPLE_PER_CALL):
        batch = holders[start : start + PEOPLE_PER_CALL]
        await scripts.join(event_id, EPOCH, [(holder, wish) for holder in batch])
    return holders


def cookies(settings: Settings, event_id: str, holders: Sequence[str]) -> list[str]:
    """A Cookie header with the ticket of each holder, the first of whom has number 1, and a browser's secret."""
    keys, browsers = load_keys(settings.data_dir, settings.keys_file), browsers_of(settings)
    signer = TicketSigner(keys.ticket_keys, keys.ticket_kid)
    made = []
    for number, holder in enumerate(holders, start=1):
        raw = holder_bytes(holder)
        assert raw is not None
        ticket = signer.sign(Ticket(event_id, EPOCH, number, raw, ISSUED_S))
        made.append(f"tiketi_holder={browsers.new().cookie}; tiketi_ticket_{event_id}={ticket}")
    return made


def browsers_of(settings: Settings) -> Browsers:
    """Makes browsers that a web process with these settings recognises."""
    keys = load_keys(settings.data_dir, settings.keys_file)
    return Browsers(keys.ticket_keys, keys.ticket_kid, keys.holder_key, os.urandom)


def request(method: str, path: str, cookie: str = "") -> bytes:
    """One HTTP request without a body, as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    if cookie:
        lines.append(f"Cookie: {cookie}")
    if method == "POST":
        lines.append("Content-Length: 0")
    return "\r\n".join([*lines, "", ""]).encode()


def hall(event_id: str, seats: int) -> events.EventSpec:
    """An event with so many seats, for SQL."""
    now = datetime.now(UTC)
    return events.EventSpec(
        id=event_id,
        title=event_id,
        venue="Hall",
        seats_per_buyer=None,
        starts_at=now + timedelta(days=30),
        opens_at=now,
        grades=[events.GradeSpec(name="R", price=100_000)],
        seats=[
            events.SeatSpec(
                section="A",
                row=str(idx // SEATS_PER_ROW),
                number=idx % SEATS_PER_ROW + 1,
                grade="R",
                x=float(idx % SEATS_PER_ROW),
                y=float(idx // SEATS_PER_ROW),
            )
            for idx in range(seats)
        ],
    )
