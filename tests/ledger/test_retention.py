"""What ended sales leave behind is deleted a portion at a time; orders, money and what is live never are."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from app.domain.charge import Charge, ChargeStatus
from app.domain.wish import Wish
from app.ledger import audit_log, charges, editing, retention, statistics, waitlist
from app.ledger.database import Database
from app.ledger.events import AdminAction
from app.ledger.retention import Keep, Pruned
from app.ledger.tables.audit_log import audit_log as entries
from app.ledger.tables.events import events
from app.ledger.tables.lane import lanes
from app.ledger.tables.reservations import reservation_seats, reservations
from app.ledger.tables.waitlist import waitlist as listed
from loadtest.past_sales import Size, Sold, When, fill, reservation_id

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
KEEP = Keep(sales=timedelta(days=3, hours=12), audit=None)
PER_EVENT = 60  # reservations, of which 12 expired and 6 were cancelled
UNPAID = 18
SIZE = Size(
    sold=(
        Sold(when=When.past, events=4, seats=60, reservations=PER_EVENT),  # past-0 ended two days ago, past-3 five
        Sold(when=When.live, events=1, seats=60, reservations=PER_EVENT, pending=5),
    ),
    audit_entries=20,
)
OLD, KEPT = ("past-2", "past-3"), ("past-0", "past-1", "live-0")


@pytest.fixture
async def filled(ledger: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(retention, "PORTION_MAX", 5)
    await fill(ledger, SIZE, NOW)
    return ledger


async def prune(db: Database, keep: Keep = KEEP, now: datetime = NOW) -> Pruned:
    done = Pruned()
    async for deleted in retention.prune(db, keep, now):
        done = deleted
    return done


async def count(db: Database, table: Any, *where: Any) -> int:
    async with db.read() as tx:
        return await tx.scalar(select(func.count()).select_from(table).where(*where)) or 0


async def by_event(db: Database) -> dict[str, dict[str, int]]:
    c = reservations.c
    found: dict[str, dict[str, int]] = {}
    async with db.read() as tx:
        rows = await tx.execute(select(c.event_id, c.status, func.count()).group_by(c.event_id, c.status))
        for event_id, status, total in rows:
            found.setdefault(event_id, {})[status] = total
    return found


async def set_event(db: Database, event_id: str, **values: Any) -> None:
    async with db.write() as tx:
        await tx.execute(update(events).where(events.c.id == event_id).values(values))


async def test_unpaid_holds_of_long_ended_sales_go_and_everything_else_stays(filled: Database) -> None:
    before = await by_event(filled)
    assert await retention.would_prune(filled, KEEP, NOW) == Pruned(sales=2, holds=2 * UNPAID)
    assert await by_event(filled) == before
    assert await prune(filled) == Pruned(sales=2, holds=2 * UNPAID)
    after = await by_event(filled)
    assert {event_id: after[event_id] for event_id in KEPT} == {event_id: before[event_id] for event_id in KEPT}
    for event_id in OLD:
        assert after[event_id] == {"confirmed": before[event_id]["confirmed"], "refunded": before[event_id]["refunded"]}
        claims = await count(filled, reservation_seats, reservation_seats.c.event_id == event_id)
        assert claims == PER_EVENT - UNPAID
    assert await prune(filled) == Pruned(), "these sales are not looked at again"


async def test_nothing_goes_while_a_sale_goes_on_however_little_is_kept(filled: Database) -> None:
    before = (await by_event(filled))["live-0"]
    done = await prune(filled, Keep(sales=timedelta(0), audit=None))
    assert done.holds == 4 * UNPAID
    assert (await by_event(filled))["live-0"] == before


async def test_what_is_kept_for_ever_is_not_looked_for(filled: Database) -> None:
    assert await prune(filled, Keep(sales=None, audit=None)) == Pruned()
    assert await retention.would_prune(filled, Keep(sales=None, audit=None), NOW) == Pruned()


async def test_a_hold_for_which_money_was_asked_stays(filled: Database) -> None:
    expired = reservation_id("past-3", 6)
    this = reservations.c.id == expired
    async with filled.write() as tx:
        await tx.execute(update(reservations).where(this).values(status="pending", expires_at=NOW))
    charge = Charge(
        id="c-declined",
        reservation_id=expired,
        event_id="past-3",
        method="kakao_pay",
        amount=1,
        status=ChargeStatus.started,
        created_at=NOW - timedelta(seconds=1),
        next_at=NOW,
        key=None,
    )
    assert (await charges.begin(filled, charge))[0] is charges.Begun.made
    async with filled.write() as tx:
        await tx.execute(update(reservations).where(this).values(status="expired"))
    assert (await prune(filled)).holds == 2 * UNPAID - 1
    assert (await by_event(filled))["past-3"]["expired"] == 1
    assert await count(filled, reservation_seats, reservation_seats.c.reservation_id == expired) == 1


async def test_ended_entries_of_a_waiting_list_go_with_the_offers_they_had(filled: Database) -> None:
    offered = reservation_id("past-3", 6)
    given = {"event_id": "past-3", "wish": "{}", "joined_at": NOW, "reservation_id": None}
    rows = [
        {**given, "holder": "a", "state": "lapsed", "reservation_id": offered},
        {**given, "holder": "b", "state": "left"},
        {**given, "holder": "c", "state": "bought", "reservation_id": reservation_id("past-3", 0)},
    ]
    async with filled.write() as tx:
        await tx.execute(insert(listed), rows)
    await waitlist.join(filled, "live-0", "d", Wish(quantity=1), NOW)
    assert await prune(filled) == Pruned(sales=2, holds=2 * UNPAID, waitlist=3)
    assert await count(filled, listed) == 1
    assert await count(filled, reservations, reservations.c.id == reservation_id("past-3", 0)) == 1


async def test_a_sale_of_which_something_has_yet_to_end_is_looked_at_again(filled: Database) -> None:
    await waitlist.join(filled, "past-3", "late", Wish(quantity=1), NOW)
    held = (reservations.c.event_id == "past-2") & (reservations.c.status == "expired")
    async with filled.write() as tx:
        pending = await tx.scalar(select(reservations.c.id).where(held).limit(1))
        await tx.execute(update(reservations).where(reservations.c.id == pending).values(status="pending"))
    assert await prune(filled) == Pruned(holds=2 * UNPAID - 1)
    async with filled.write() as tx:
        await tx.execute(update(reservations).where(reservations.c.id == pending).values(status="expired"))
        await tx.execute(update(listed).values(state="ended"))
    assert await prune(filled) == Pruned(sales=2, holds=1, waitlist=1)


async def test_an_interruption_after_any_portion_loses_and_forgets_nothing(filled: Database) -> None:
    total = Pruned()
    for _ in range(100):
        async with aclosing(retention.prune(filled, KEEP, NOW)) as portions:
            async for deleted in portions:
                if deleted.rows or deleted.sales:
                    total += deleted
                    break
            else:
                break
    assert total == Pruned(sales=2, holds=2 * UNPAID)
    async with filled.read() as tx:
        found = await tx.execute(select(events.c.id, events.c.pruned_expired, events.c.pruned_cancelled))
        counted = {row.id: (row.pruned_expired, row.pruned_cancelled) for row in found}
    assert {counted[event_id] for event_id in OLD} == {(12, 6)}
    assert {counted[event_id] for event_id in KEPT} == {(0, 0)}


async def test_the_statistics_go_on_counting_what_was_deleted(filled: Database) -> None:
    before = await statistics.read(filled, NOW)
    await prune(filled)
    async with filled.write() as tx:
        await tx.execute(update(lanes).values(version=lanes.c.version + 1))  # so that all are added up again
    after = await statistics.read(filled, NOW)
    assert (after.total, after.sales) == (before.total, before.sales)


async def test_an_edited_event_is_looked_at_again(filled: Database) -> None:
    await prune(filled)
    again = reservation_id("past-3", 0)
    await editing.edit(
        filled, "past-3", editing.Edit(values={"title": "More"}), AdminAction("a", "event.edit", {}), NOW
    )
    row = {"id": "more", "event_id": "past-3", "holder": "h", "status": "expired", "total_price": 1}
    async with filled.write() as tx:
        await tx.execute(insert(reservations), [{**row, "created_at": NOW, "expires_at": NOW, "ended_at": NOW}])
    assert await prune(filled) == Pruned(sales=1, holds=1)
    assert await count(filled, reservations, reservations.c.id == again) == 1


async def test_old_audit_entries_go_but_not_those_about_money(filled: Database) -> None:
    given: dict[str, Any] = {"who": "a@example.com", "subject": "x", "event_id": None, "change": {}}
    old, new = NOW - timedelta(days=101), NOW - timedelta(days=99)
    assert await count(filled, entries, entries.c.at < NOW - timedelta(days=100)) == 20
    for action in (*audit_log.KEPT_ACTIONS, "room.change", "user.role"):
        for at in (old, new):
            await audit_log.record(filled, action=action, now=at, **given)
    keep = Keep(sales=None, audit=timedelta(days=100))
    assert await retention.would_prune(filled, keep, NOW) == Pruned(audit=22)
    assert await prune(filled, keep) == Pruned(audit=22)
    assert await count(filled, entries) == 2 * len(audit_log.KEPT_ACTIONS) + 2
    assert await count(filled, entries, entries.c.at < NOW - timedelta(days=100)) == len(audit_log.KEPT_ACTIONS)
