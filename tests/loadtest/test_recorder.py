"""The recorder writes down a real room: what it recorded is judged as what really happened."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace
from redis.asyncio import Redis

from app.ledger.database import Database
from loadtest import audit, records
from loadtest.recorder import Recorder
from loadtest.records import Joined, Records
from tests.room.room import EVENT, Room, Ticker


async def recorded(room: Room, folder: Path, *holders: str) -> tuple[Recorder, list[Joined]]:
    """A recorder that has started, and the joins of these holders behind it."""
    recorder = Recorder(room.redis, room.db, EVENT, folder)
    await recorder.start()
    joins = [
        Joined(session=at, sent_ms=at, received_ms=at + 0.5, status=201, number=one.number, holder=holder)
        for at, (holder, one) in enumerate(zip(holders, await room.join(*holders), strict=True), start=1)
    ]
    return recorder, joins


async def run_of(recorder: Recorder, folder: Path, joins: list[Joined]) -> Records:
    await recorder.finish([joined.holder for joined in joins])
    run = records.Run(
        started="", host="", event_id=EVENT, users=len(joins), seed=1, duration_s=1, rate_per_s=1, own=True
    )
    records.write_one(folder / records.RUN, run)
    return replace(records.load(folder), crowd=[*joins])


async def test_a_room_that_was_followed_is_clean(redis: Redis, ledger: Database, tmp_path: Path) -> None:
    room = await Room(redis, ledger).make(rate_per_s=1.0, burst=2)
    recorder, joins = await recorded(room, tmp_path, "ada", "bo", "cy")
    ticker = Ticker(room)
    for _ in range(4):
        await ticker.tick()
        room.clock.pass_ms(1000)
    await room.claim(1)
    await room.leave(2)
    run = await run_of(recorder, tmp_path, joins)
    assert [entry.kind for entry in run.room if entry.admitted] == ["admit"] * 3
    assert run.stores is not None
    assert (run.stores.active, run.stores.admitted, run.stores.ended_places) == ({1}, {3}, {2})
    assert run.stores.holders == {"ada": 1, "bo": 2, "cy": 3}
    findings = audit.judge(run)
    assert [breach for finding in findings for breach in finding.breaches] == []
    assert audit.code(findings) == 0


async def test_a_number_taken_out_of_the_line_behind_the_scripts_backs_is_found(
    redis: Redis, ledger: Database, tmp_path: Path
) -> None:
    room = await Room(redis, ledger).make()
    recorder, joins = await recorded(room, tmp_path, "ada", "bo")
    await redis.hset(f"tiketi:{{{EVENT}}}:room", "cursor", "1")  # type: ignore[misc]
    ticker = Ticker(room)
    await ticker.tick()
    room.clock.pass_ms(1000)
    await ticker.tick()
    breaches = [
        breach for finding in audit.judge(await run_of(recorder, tmp_path, joins)) for breach in finding.breaches
    ]
    assert ("I3", "number 1, session 1") in {(breach.invariant, breach.by) for breach in breaches}


async def test_an_operators_change_is_recorded_with_what_it_set(redis: Redis, ledger: Database, tmp_path: Path) -> None:
    room = await Room(redis, ledger).make()
    recorder, joins = await recorded(room, tmp_path, "ada")
    await room.scripts.change(EVENT, {"rate": 3.5, "max_active": 7}, room.clock.redis_ms)
    await room.scripts.change(EVENT, {"state": "paused"}, room.clock.redis_ms)
    run = await run_of(recorder, tmp_path, joins)
    told = [(one.settings.state, one.settings.rate_per_s, one.settings.max_active) for one in run.room if one.settings]
    assert told == [("open", 3.5, 7), ("paused", 3.5, 7)]
