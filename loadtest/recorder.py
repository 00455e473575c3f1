"""Writes down what the stores do during a run: the room log and the lane's batches as they appear, and all at the end.

Reads only. Redis's own times and order are what admissions are judged by, so they are followed live: the log is
bounded and would have forgotten the beginning of a long run.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from app import redis_keys
from app.audit.invariants import check
from app.connections import open_redis, open_store
from app.domain.charge import UNDER_WAY, ChargeStatus
from app.domain.reservation import ReservationStatus
from app.lane.commands import Outcome, unpack_published
from app.ledger import events
from app.ledger.database import Database
from app.ledger.tables.payments import charges, payments
from app.ledger.tables.reservations import reservation_seats, reservations
from app.payments.provider import PaymentProvider
from app.payments.wiring import providers_for_audit
from app.room.answers import RoomSnapshot
from app.room.errors import RoomUnavailable
from app.room.record import RoomRecord, read_record
from app.room.scripts import RoomScripts, holder_bucket
from app.room.timing import Timing
from config.settings import Settings
from loadtest import records
from loadtest.records import LaneEntry, LaneOutcome, RoomEntry, RoomSettings, RoomStart, Sale, Stores, now_ms

BLOCK_MS = 250
ENTRIES_PER_READ = 1_000
REST_POLL_S = 0.25
CATCH_UP_POLL_S = 0.01
RETRY_S = 0.2
HOLDERS_PER_CALL = 500


class NoStores(Exception):
    """The stores of the system under test cannot be read from here; the text says why."""


class Recorder:
    """Follows one event. `run` must be running; `finish` reads everything once more."""

    def __init__(
        self, redis: Redis, db: Database, event_id: str, folder: Path, providers: Sequence[PaymentProvider] = ()
    ) -> None:
        self._providers = providers
        self._redis = redis
        self._db = db
        self._event_id = event_id
        self._folder = folder
        self._room = records.Writer(folder / records.ROOM)
        self._lane = records.Writer(folder / records.LANE)
        timing = Timing(presence_window_s=120, claim_window_s=120, pass_s=600)  # for reading, none of them matters
        self._scripts = RoomScripts(redis, timing)
        self._positions: dict[str, bytes] = {}
        self.started: RoomStart | None = None

    async def start(self) -> RoomStart:
        """Note where everything stands. Raises NoStores."""
        try:
            out = await self._redis.xrevrange(redis_keys.lane_out(self._event_id), count=1)
            self._positions[redis_keys.lane_out(self._event_id)] = out[0][0] if out else b"0-0"
            now = await self._snapshot()
            await events.seat_snapshot(self._db, self._event_id)
        except (RoomUnavailable, RedisError, OSError, SQLAlchemyError) as error:
            raise NoStores(f"{type(error).__name__}: {error}") from error
        self._positions[redis_keys.room_log(self._event_id)] = now.log_id
        ended = set(now.ended)
        self.started = RoomStart(
            at_ms=now_ms(),
            rev=now.record.rev,
            epoch=now.record.epoch,
            cursor=now.record.cursor,
            number=now.record.number,
            settings=_settings(now.record),
            ended_places=[number for number in now.ended if number > now.record.cursor],
            skipped=sorted(set(now.skipped) - ended),
            admitted=sorted(now.admitted),
            active=sorted(now.active),
        )
        self._room.add(self.started)
        return self.started

    async def run(self) -> None:
        """Follow until cancelled; Redis going away is waited out, and what it then still has is read."""
        while True:
            try:
                await self._read()
            except (RoomUnavailable, RedisError, OSError):
                await asyncio.sleep(RETRY_S)

    async def catch_up(self) -> None:
        """Return when all that is in the logs now has been noted, by `run`, which goes on."""
        for key in list(self._positions):
            newest = await self._redis.xrevrange(key, count=1)
            while newest and _id(self._positions[key]) < _id(newest[0][0]):  # noqa: ASYNC110  # `run` reads meanwhile
                await asyncio.sleep(CATCH_UP_POLL_S)

    async def _read(self, block_ms: int | None = BLOCK_MS) -> bool:
        """One read of both logs. False if there was nothing."""
        streams: dict[Any, Any] = dict(self._positions)
        found = await self._redis.xread(streams, count=ENTRIES_PER_READ, block=block_ms)
        for key, entries in found:
            name = key.decode()
            for entry_id, entry in entries:
                if name == redis_keys.room_log(self._event_id):
                    await self._note_room(entry)
                else:
                    self._lane.add(_lane_entry(entry_id, entry[b"o"]))
                self._positions[name] = entry_id
        return bool(found)

    async def _note_room(self, entry: dict[bytes, bytes]) -> None:
        settings = await self._changed(entry) if entry[b"k"] == b"config" else None
        ended = entry.get(b"l", b"") if entry[b"k"] != b"left" else entry[b"n"]
        self._room.add(
            RoomEntry(
                rev=int(entry[b"r"]),
                kind=entry[b"k"].decode(),
                at_ms=int(entry[b"t"]),
                epoch=int(entry.get(b"epoch", 0)),
                cursor=int(entry.get(b"c", 0)),
                number=max(_numbers(entry.get(b"n", b"")), default=0),
                admitted=_numbers(entry.get(b"a", b"")),
                skipped=_numbers(entry.get(b"s", b"")),
                ended=_numbers(ended),
                back=_numbers(entry.get(b"b", b"")),
                due_ms=float(entry[b"f"]) if entry.get(b"a") else None,
                due_every_ms=float(entry.get(b"e", 0)),
                clock_back_ms=float(entry.get(b"back_ms", 0)),
                lost=int(entry.get(b"lost", 0)),
                kept=int(entry.get(b"kept", 0)),
                settings=settings,
            )
        )

    async def _changed(self, entry: dict[bytes, bytes]) -> RoomSettings:
        """What is set from this entry on. The clock's own changes of state do not say the rest, which is as it was."""
        if b"rate" not in entry:
            return _settings((await self._snapshot()).record)
        return RoomSettings(
            state=entry[b"state"].decode(),
            rate_per_s=float(entry[b"rate"]),
            burst=int(entry[b"burst"]),
            max_active=int(entry[b"max_active"]),
        )

    async def rest(self, at_most_s: float) -> None:
        """Wait until no hold is pending, for so long at most."""
        pending = select(reservations.c.id).where(
            reservations.c.event_id == self._event_id, reservations.c.status == ReservationStatus.pending.value
        )
        for _ in range(int(at_most_s / REST_POLL_S)):
            async with self._db.read() as tx:
                if (await tx.execute(pending.limit(1))).first() is None:
                    return
            await asyncio.sleep(REST_POLL_S)

    async def finish(self, holders: Iterable[str]) -> Stores:
        """Read what is left of the logs and everything in the stores, for `holders` too. Call once `run` has ended."""
        while await self._read(block_ms=None):
            pass
        self._room.close()
        self._lane.close()
        assert self.started is not None
        first = self.started.number
        now = await self._snapshot()
        ended = set(now.ended)
        snapshot = await events.seat_snapshot(self._db, self._event_id)
        stores = Stores(
            at_ms=now_ms(),
            epoch=now.record.epoch,
            number=now.record.number,
            cursor=now.record.cursor,
            rev=now.record.rev,
            ended_places={number for number in ended if number > first},
            lapsed={number for number in now.lapsed if number > first},
            skipped={number for number in now.skipped if number > first and number not in ended},
            admitted=set(now.admitted),
            active=set(now.active),
            holders=await self._holders(now.record.epoch, list(holders)),
            sales=await self._sales(),
            seats=list(snapshot.statuses) if snapshot else [],
            violations=await self._violations(),
        )
        records.write_one(self._folder / records.STORES, stores)
        return stores

    async def _violations(self) -> list[tuple[str, str]]:
        found = await check(self._redis, self._db, self._event_id, providers=self._providers)
        return [(one.invariant, one.detail) for one in found]

    async def _snapshot(self) -> RoomSnapshot:
        record = await read_record(self._redis, self._event_id)
        found = record and await self._scripts.snapshot(self._event_id, record.epoch)
        if found is None:
            raise NoStores(f"this Redis has no waiting room for {self._event_id!r}")
        return found

    async def _holders(self, epoch: int, holders: list[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for start in range(0, len(holders), HOLDERS_PER_CALL):
            some = holders[start : start + HOLDERS_PER_CALL]
            pipe = self._redis.pipeline(transaction=False)
            for holder in some:
                pipe.hget(redis_keys.holders(self._event_id, epoch, holder_bucket(holder)), holder)
            answers = await pipe.execute()
            found.update((holder, int(number)) for holder, number in zip(some, answers, strict=True) if number)
        return found

    async def _sales(self) -> list[Sale]:
        """Every reservation of the event, in whatever state, with the rows that hang on it."""
        seats, live, paid = defaultdict(list), defaultdict(list), defaultdict(list)
        ours = reservations.c.event_id == self._event_id
        pairs = select(reservation_seats.c.reservation_id, reservation_seats.c.idx, reservation_seats.c.live)
        grace = (
            select(charges.c.reservation_id, charges.c.status, charges.c.keeps_until)
            .join(reservations)
            .where(ours, charges.c.keeps_until.is_not(None), charges.c.created_at <= reservations.c.expires_at)
        )
        money = select(payments.c.reservation_id, payments.c.status).join(reservations).where(ours)
        async with self._db.read() as tx:
            rows = (await tx.execute(select(reservations).where(ours))).all()
            kept = (reservation_seats.c.event_id == self._event_id) & ~reservation_seats.c.returned
            for one, idx, is_live in await tx.execute(pairs.where(kept)):
                seats[one].append(idx)
                if is_live:
                    live[one].append(idx)
            for one, status in await tx.execute(money):
                paid[one].append(status)
            kept_until_ms = _kept((await tx.execute(grace)).all(), {row.id: row.status for row in rows})
        return [
            Sale(
                id=row.id,
                status=row.status,
                holder=row.holder,
                created_ms=_ms(row.created_at),
                expires_ms=_ms(row.expires_at),
                ended_ms=_ms(row.ended_at) if row.ended_at else None,
                epoch=row.epoch,
                number=row.number,
                seats=sorted(seats[row.id]),
                live_seats=sorted(live[row.id]),
                payments=sorted(paid[row.id]),
                kept_until_ms=kept_until_ms.get(row.id, 0.0),
            )
            for row in rows
        ]


def _kept(begun_in_time: Iterable[Any], statuses: Mapping[str, str]) -> dict[str, float]:
    """Until when payments may keep their reservations; what is pending still, only those that are under way."""
    kept: dict[str, float] = {}
    for charge in begun_in_time:
        is_pending = statuses[charge.reservation_id] == ReservationStatus.pending
        if not is_pending or ChargeStatus(charge.status) in UNDER_WAY:
            until_ms = _ms(charge.keeps_until)
            kept[charge.reservation_id] = max(kept.get(charge.reservation_id, 0.0), until_ms)
    return kept


@asynccontextmanager
async def recording(settings: Settings, event_id: str, folder: Path) -> AsyncIterator[Recorder]:
    """A recorder that has started. Raises NoStores."""
    async with AsyncExitStack() as stack:
        redis = open_redis(settings)
        stack.push_async_callback(redis.aclose)
        db = open_store(settings)
        stack.push_async_callback(db.close)
        providers = providers_for_audit(settings, db, lambda: datetime.now(UTC))
        recorder = Recorder(redis, db, event_id, folder, providers)
        await recorder.start()
        yield recorder


def _id(entry_id: bytes) -> tuple[int, int]:
    """An entry's place in its stream: milliseconds, and which of theirs."""
    at_ms, _, place = entry_id.partition(b"-")
    return int(at_ms), int(place)


def _numbers(csv: bytes) -> list[int]:
    return [int(number) for number in csv.split(b",")] if csv else []


def _settings(record: RoomRecord) -> RoomSettings:
    return RoomSettings(
        state=record.state.value, rate_per_s=record.rate_per_s, burst=record.burst, max_active=record.max_active
    )


def _lane_entry(entry_id: bytes, packed: bytes) -> LaneEntry:
    published = unpack_published(packed)
    return LaneEntry(
        at_ms=int(entry_id.split(b"-")[0]),
        version=published.version,
        seats=published.seats,
        outcomes=[_lane_outcome(outcome) for outcome in published.outcomes],
    )


def _lane_outcome(outcome: Outcome) -> LaneOutcome:
    held = outcome.reservation
    return LaneOutcome(
        command=outcome.id,
        status=outcome.status.value,
        reservation=held.id if held else "",
        number=outcome.number or 0,
        seats=list(held.seats) if held else [],
        expires_ms=_ms(held.expires_at) if held else 0.0,
    )


def _ms(at: datetime) -> float:
    return at.timestamp() * 1000
