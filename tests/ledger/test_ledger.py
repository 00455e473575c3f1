"""What the store promises: times in UTC, bounds that only rise, guards that hold even if the code above is wrong."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, text, update
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.exc import IntegrityError, StatementError

from app.domain.reservation import (
    Batch,
    Payment,
    PaymentStatus,
    Reservation,
    ReservationStatus,
    SeatStatus,
    seat_id,
    seat_index,
)
from app.ledger import editing, events, reservations, room_windows, rooms, seats, users
from app.ledger.connection_limits import ConnectionLimits
from app.ledger.database import Database, open_database
from app.ledger.errors import StoreUnusable
from app.ledger.tables import metadata
from app.ledger.tables.base import UtcDateTime, stored
from app.ledger.tables.events import seats as seats_table
from app.ledger.tables.reservations import reservation_seats
from app.ledger.tables.rooms import rooms as rooms_table
from tests.lane.world import EVENT, START, spec

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def db(ledger: Database) -> Database:
    await events.create(ledger, spec(), START)
    return ledger


def reservation(name: str, *idxs: int, number: int | None = None) -> Reservation:
    return Reservation(
        id=name,
        event_id=EVENT,
        holder="ann",
        status=ReservationStatus.pending,
        seats=idxs,
        total_price=100,
        created_at=START,
        expires_at=START + timedelta(seconds=300),
        epoch=None if number is None else 1,
        number=number,
        prices=(100,) * len(idxs),
    )


def holding(version: int, *made: Reservation) -> Batch:
    taken = [idx for each in made for idx in each.seats]
    return Batch(version, moves={(SeatStatus.available, SeatStatus.held): taken}, made=list(made))


class Decided:
    def __init__(self, batch: Batch) -> None:
        self.batch = batch


async def write(db: Database, batch: Batch, fenced: seats.Fenced) -> bool:
    done = await seats.apply(db, fenced, EVENT, [], [], lambda known: Decided(batch), START)
    return done is not None


async def fence(db: Database) -> seats.Fenced:
    fenced = await seats.take_fence(db, EVENT)
    assert fenced is not None
    return fenced


async def test_a_time_comes_back_aware_and_in_utc_whatever_zone_it_came_in(db: Database) -> None:
    seoul = datetime(2026, 5, 2, 9, 0, tzinfo=timezone(timedelta(hours=9)))
    await events.create(db, replace(spec("nine"), starts_at=seoul), START)
    event = await events.get(db, "nine")
    assert event is not None
    assert (event.starts_at, event.starts_at.tzinfo) == (seoul, UTC)


async def test_a_time_without_a_zone_is_refused(db: Database) -> None:
    naive = replace(spec("naive"), starts_at=datetime(2026, 5, 2))  # noqa: DTZ001  # the point
    with pytest.raises(StatementError, match="no time zone"):
        await events.create(db, naive, START)
    assert await events.get(db, "naive") is None


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # hypothesis wants naive bounds
def test_the_text_written_directly_is_what_the_column_type_reads(moment: datetime) -> None:
    sqlite = SQLiteDialect()
    bind = UtcDateTime().dialect_impl(sqlite).bind_processor(sqlite)
    assert bind is not None
    assert bind(moment) == stored(moment)


async def test_an_event_is_made_once_with_all_that_belongs_to_it(db: Database) -> None:
    assert not await events.create(db, spec(), START)
    event = await events.get(db, EVENT)
    assert event is not None
    assert [(grade.name, grade.price, grade.seats_total) for grade in event.grades] == [("R", 100, 6), ("S", 50, 6)]
    assert await room_windows.with_room(db, START) == {EVENT}
    assert await seats.some_lanes(db, "", 5) == [EVENT]
    assert await rooms.get(db, EVENT) == rooms.RoomRow(
        event_id=EVENT, epoch=1, generation=0, number_bound=0, number=0, cursor=0, revision=0, config={}
    )


async def test_an_event_is_cancelled_once(db: Database) -> None:
    by = events.AdminAction("ann", "event.cancel", {})
    done = await editing.cancel(db, EVENT, by, START)
    assert isinstance(done, editing.Edited)
    assert (done.after.cancelled_at, done.after.version) == (START, 2)
    assert await editing.cancel(db, EVENT, by, START) is editing.Refused.cancelled
    assert await editing.cancel(db, "none", by, START) is editing.Refused.unknown


async def test_the_snapshot_of_no_event_is_none(db: Database) -> None:
    assert await events.seat_snapshot(db, "none") is None
    assert await seats.load(db, "none") is None
    assert await seats.take_fence(db, "none") is None


async def test_the_bound_of_numbers_only_rises(db: Database) -> None:
    asked = [500, 100, 900, 300]
    bounds = await asyncio.gather(*[rooms.reserve_numbers(db, EVENT, up_to, generation=0) for up_to in asked])
    assert all(bound >= up_to for bound, up_to in zip(bounds, asked, strict=True))
    row = await rooms.get(db, EVENT)
    assert row is not None
    assert row.number_bound == 900
    with pytest.raises(rooms.UnknownRoom):
        await rooms.reserve_numbers(db, "none", 1, generation=0)


def marks(epoch: int, cursor: int, *, number: int = 50, revision: int = 7, generation: int = 0) -> rooms.RoomMarks:
    return rooms.RoomMarks(
        event_id=EVENT, epoch=epoch, generation=generation, number=number, cursor=cursor, revision=revision
    )


async def test_a_generation_is_begun_once_and_numbers_are_reserved_for_the_last_one_only(db: Database) -> None:
    """Whoever goes on with what is left of an earlier one, behind a network that is cut, gets no number twice."""
    await rooms.reserve_numbers(db, EVENT, 500, generation=0)
    begun = await asyncio.gather(*[rooms.begin_generation(db, EVENT, 0, 100) for _ in range(4)])
    assert [(row.generation, row.number_bound) for row in begun if row is not None] == [(1, 600)]
    assert await rooms.reserve_numbers(db, EVENT, 900, generation=0) == 0
    assert await rooms.reserve_numbers(db, EVENT, 900, generation=1) == 900
    with pytest.raises(rooms.UnknownRoom):
        await rooms.begin_generation(db, "none", 0, 1)


async def test_marks_rise_together_and_are_of_the_last_generation(db: Database) -> None:
    await rooms.store_marks(db, [])
    await rooms.store_marks(db, [marks(1, 20, number=30), marks(1, 10, number=40), marks(1, 20, number=30, revision=6)])
    await rooms.store_marks(db, [marks(1, 25, number=31, revision=9, generation=1)])
    row = await rooms.get(db, EVENT)
    assert row is not None
    assert (row.number, row.cursor, row.revision) == (30, 20, 7)
    await rooms.begin_generation(db, EVENT, 0, 100)
    await rooms.store_marks(db, [marks(1, 25, number=31, revision=3, generation=1)])
    row = await rooms.get(db, EVENT)
    assert row is not None
    assert (row.number, row.cursor, row.revision) == (31, 25, 3)


async def test_a_cursor_never_steps_back_within_its_epoch(db: Database) -> None:
    for epoch, cursor in ((1, 20), (1, 10), (2, 40)):
        await rooms.store_marks(db, [marks(epoch, cursor)])
    row = await rooms.get(db, EVENT)
    assert row is not None
    assert row.cursor == 20
    for epoch in (2, 1):
        await rooms.follow_epoch(db, EVENT, epoch, 30)
    row = await rooms.get(db, EVENT)
    assert row is not None
    assert (row.epoch, row.cursor, row.config) == (2, 30, {"opened_after": 30, "state": "open"})
    await rooms.store_marks(db, [marks(2, 31)])
    row = await rooms.get(db, EVENT)
    assert row is not None
    assert row.cursor == 31, "the first one let in of the new line is not remembered"


async def test_a_room_keeps_its_settings(db: Database) -> None:
    await rooms.set_config(db, EVENT, {"rate": 5})
    row = await rooms.get(db, EVENT)
    assert row is not None
    assert row.config == {"rate": 5}
    with pytest.raises(rooms.UnknownRoom):
        await rooms.set_config(db, "none", {})


async def test_an_account_is_one_per_email_in_any_case(ledger: Database) -> None:
    made = [
        await users.create(ledger, user_id=f"u{n}", email=email, name="n", password="test1234", role="buyer", now=START)
        for n, email in enumerate(("Ann@tiketi.gg", "ann@TIKETI.gg "))
    ]
    assert made[0] is not None
    assert made[1] is None
    found = await users.find(ledger, "ANN@tiketi.gg")
    assert found == made[0]


async def test_a_batch_is_written_whole_or_not_at_all(db: Database) -> None:
    fenced = await fence(db)
    await write(db, holding(1, reservation("r1", 3)), fenced)
    moved_on = seats.Fenced(fenced.fence, 1)
    with pytest.raises(seats.GuardBroken):
        await write(db, holding(2, reservation("r2", 2, 3)), moved_on)
    loaded = await seats.load(db, EVENT)
    assert loaded is not None
    snapshot, live = loaded
    assert (snapshot.version, snapshot.statuses[2], [r.id for r in live]) == (1, 0, ["r1"])


async def test_an_older_fence_or_another_version_writes_nothing(db: Database) -> None:
    old = await fence(db)
    new = await fence(db)
    assert not await write(db, holding(1, reservation("r1", 3)), old)
    assert not await write(db, holding(5, reservation("r1", 3)), seats.Fenced(new.fence, 4))
    assert await write(db, holding(1, reservation("r1", 3)), new)


async def test_the_schema_itself_refuses_a_seat_with_two_live_reservations(db: Database) -> None:
    await write(db, holding(1, reservation("r1", 3), reservation("r2", 4)), await fence(db))
    row = {"reservation_id": "r2", "event_id": EVENT, "idx": 3, "live": True, "price": 1}
    async with db.write() as tx:
        with pytest.raises(IntegrityError):
            await tx.execute(insert(reservation_seats), [row])


async def test_the_schema_itself_refuses_a_place_in_line_two_live_reservations(db: Database) -> None:
    both = holding(1, reservation("r1", 3, number=7), reservation("r2", 4, number=7))
    with pytest.raises(IntegrityError):
        await write(db, both, await fence(db))


async def test_the_schema_itself_refuses_two_captured_payments(db: Database) -> None:
    batch = holding(1, reservation("r1", 3))
    batch.payments = [
        Payment(reservation_id="r1", method="m", reference=ref, amount=1, status=PaymentStatus.captured)
        for ref in ("a", "b")
    ]
    with pytest.raises(IntegrityError):
        await write(db, batch, await fence(db))


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("seats", "status", "lost"),
        ("reservations", "status", "lost"),
        ("reservations", "total_price", -1),
        ("reservations", "epoch", 4),
        ("grades", "price", -1),
        ("rooms", "cursor", -1),
        ("events", "admission", "lottery"),
    ],
)
async def test_the_schema_itself_refuses_values_that_mean_nothing(
    db: Database, table: str, column: str, value: object
) -> None:
    await write(db, holding(1, reservation("r1", 3)), await fence(db))
    async with db.write() as tx:
        with pytest.raises(IntegrityError):
            await tx.execute(update(metadata.tables[table]).values({column: value}))


async def test_reservations_are_found_by_each_key(db: Database) -> None:
    await write(db, holding(1, reservation("r1", 3, 4, number=7), reservation("r2", 5)), await fence(db))
    by_id, by_place = await reservations.get(db, "r1"), await reservations.by_number(db, EVENT, 1, 7)
    assert by_id == by_place == reservation("r1", 3, 4, number=7)
    assert {r.id for r in await reservations.by_holders(db, ["ann"])} == {"r1", "r2"}
    assert len(await reservations.by_holders(db, ["ann"], limit=1)) == 1
    assert await reservations.get(db, "none") is None
    assert await reservations.by_number(db, EVENT, 2, 7) is None


async def test_a_hold_is_due_at_its_very_end_and_not_before(db: Database) -> None:
    await write(db, holding(1, reservation("r1", 3), reservation("r2", 4)), await fence(db))
    end = START + timedelta(seconds=300)
    assert await reservations.due(db, end - timedelta(microseconds=1), 10) == []
    assert sorted(await reservations.due(db, end, 10)) == [(EVENT, "r1"), (EVENT, "r2")]
    assert len(await reservations.due(db, end, 1)) == 1


async def test_old_answers_are_forgotten_in_bounded_bites(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Batch(0, replies=[(f"c{n}", "{}") for n in range(5)])
    await write(db, batch, await fence(db))
    monkeypatch.setattr(seats, "PRUNE_MAX", 3)
    assert await seats.prune_commands(db, START) == 0
    later = START + timedelta(seconds=1)
    assert [await seats.prune_commands(db, later) for _ in range(3)] == [3, 2, 0]


async def test_a_failing_transaction_leaves_nothing(db: Database) -> None:
    async def sell_all_then_fail() -> None:
        async with db.write() as tx:
            await tx.execute(text("UPDATE seats SET status = 'sold'"))
            raise RuntimeError("any failure")

    with pytest.raises(RuntimeError, match="any failure"):
        await sell_all_then_fail()
    async with db.read() as tx:
        assert (await tx.execute(select(seats_table.c.status).distinct())).scalars().all() == ["available"]


async def test_what_a_writing_transaction_reads_stays_true_until_it_commits(db: Database) -> None:
    """Two processes raise the same cursor by one, forty times each: no step is lost."""
    patient = ConnectionLimits(connections_max=40, connect_s=60, lock_s=60)  # the last in line waits for all the others
    one, other = open_database(db.url, patient), open_database(db.url, patient)

    async def step(which: Database) -> None:
        async with which.write() as tx:
            cursor = (await tx.execute(select(rooms_table.c.cursor))).scalar_one()
            await tx.execute(update(rooms_table).values(cursor=cursor + 1))

    await asyncio.gather(*[step(which) for which in (one, other) for _ in range(40)])
    await one.close()
    await other.close()
    row = await rooms.get(db, EVENT)
    assert row is not None
    assert row.cursor == 80


@given(st.integers(min_value=0, max_value=10**7))
def test_a_seat_id_names_its_position(idx: int) -> None:
    assert seat_index(seat_id(idx), idx + 1) == idx
    assert seat_index(seat_id(idx), idx) is None


@given(st.text(max_size=12))
def test_any_other_text_is_no_seat(name: str) -> None:
    idx = seat_index(name, 10**9)
    assert idx is None or seat_id(idx) == name


async def test_a_full_disk_is_told_as_store_errors_and_what_was_there_stays(tmp_path: Path) -> None:
    db = open_database(f"sqlite+aiosqlite:///{tmp_path / 'tiketi.db'}")
    await db.create_all()

    async def write_more() -> None:
        async with db.write() as tx:
            await tx.execute(text("PRAGMA max_page_count=1"))  # SQLite takes the pages there are: the file is full
            await tx.execute(text("CREATE TABLE more AS SELECT zeroblob(1000000)"))

    with pytest.raises(StoreUnusable, match="disk full"):
        await write_more()
    assert await room_windows.with_room(db, START) == set()
    await db.close()
