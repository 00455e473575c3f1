"""Rooms with people in them, made straight in Redis: a measure is about what happens next."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from app.connections import open_redis, timing
from app.domain.line import RoomState
from app.domain.ticket import HOLDER_BYTES, Ticket, TicketSigner, holder_bytes, holder_text
from app.room.scripts import Birth, RoomScripts
from config.keys import load_keys
from config.settings import Settings
from workers.admitter import Admitter

EPOCH = 1
PEOPLE_PER_CALL = 500
TICK_MS = 100
ISSUED_S = 1_700_000_000


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
    """The Cookie header of each holder's browser; the first holder has number 1."""
    keys = load_keys(settings.data_dir, settings.keys_file)
    signer = TicketSigner(keys.ticket_keys, keys.ticket_kid)
    made = []
    for number, holder in enumerate(holders, start=1):
        raw = holder_bytes(holder)
        assert raw is not None
        ticket = signer.sign(Ticket(event_id, EPOCH, number, raw, ISSUED_S))
        made.append(f"tiketi_holder={holder}; tiketi_ticket_{event_id}={ticket}")
    return made


def request(method: str, path: str, cookie: str = "") -> bytes:
    """One HTTP request without a body, as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    if cookie:
        lines.append(f"Cookie: {cookie}")
    if method == "POST":
        lines.append("Content-Length: 0")
    return "\r\n".join([*lines, "", ""]).encode()
