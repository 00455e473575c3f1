"""On PostgreSQL: who changes the same event or asks money for the same reservation waits for the other, and for nobody
who waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from app.domain.charge import Charge, ChargeStatus
from app.ledger import charges, editing, events, seats
from app.ledger.charges import Begun
from app.ledger.connection_limits import ConnectionLimits
from app.ledger.database import Database, open_database
from app.ledger.events import AdminAction, GradeSpec
from tests.lane.world import EVENT, START, spec
from tests.ledger.test_ledger import Decided, fence, holding, reservation, write
from tests.postgres import Postgres
from tests.waiting import wait_until

WAIT_S = 30.0
PATIENT = ConnectionLimits(connections_max=4, connect_s=WAIT_S, statement_s=2 * WAIT_S, lock_s=WAIT_S)
WAITS = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


@pytest.fixture
async def stores(postgres: Postgres) -> AsyncIterator[list[Database]]:
    """Three processes at one store with an event."""
    url = await postgres.create()
    opened = [open_database(url, PATIENT) for _ in range(3)]
    await events.create(opened[0], spec(), START)
    yield opened
    for db in opened:
        await db.close()
    await postgres.drop(url)


async def is_waiting(db: Database) -> bool:
    """Whether a transaction waits for the lock of another."""
    async with db.read() as tx:
        return bool(await tx.scalar(WAITS))


def meanwhile(
    work: Callable[[], Awaitable[Any]], watcher: Database
) -> tuple[Callable[[], None], list[asyncio.Task[Any]]]:
    """A function for another thread that begins `work` and returns once that waits for a lock; and its task."""
    loop, begun = asyncio.get_running_loop(), list[asyncio.Task[Any]]()

    async def begin() -> None:
        begun.append(asyncio.ensure_future(work()))
        await wait_until(lambda: is_waiting(watcher), description="it waits for a lock")

    return lambda: asyncio.run_coroutine_threadsafe(begin(), loop).result(WAIT_S), begun


@pytest.mark.parametrize("what", ["prices", "times", "cancel"])
async def test_an_edit_waits_for_a_batch_of_the_lane_and_not_the_batch_for_it(
    stores: list[Database], what: str
) -> None:
    lane, admin, watcher = stores
    by = AdminAction("ann", "event.edit", {})
    grades = [GradeSpec(name="S", price=7), GradeSpec(name="R", price=8)]
    wanted = {"prices": editing.Edit(grades=grades), "times": editing.Edit(values={"venue": "Yard"})}

    async def edit() -> object:
        if what == "cancel":
            return await editing.cancel(admin, EVENT, by, START)
        return await editing.edit(admin, EVENT, wanted[what], by, START)

    begin, edits = meanwhile(edit, watcher)
    fenced = await fence(lane)

    def decide(_: object) -> Decided:
        begin()
        return Decided(holding(fenced.version + 1, reservation("r0", 0)))

    assert await seats.apply(lane, fenced, EVENT, [], [], decide, START) is not None
    assert isinstance(await edits[0], editing.Edited)


async def test_another_way_to_pay_waits_until_the_first_is_stored(stores: list[Database]) -> None:
    first, second, watcher = stores
    assert await write(first, holding(1, reservation("r0", 0)), await fence(first))
    begin, others = meanwhile(lambda: charges.begin(second, charge("c2", "kakao_pay")), watcher)

    def before(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO charges"):
            begin()

    for engine in first.engines:
        event.listen(engine, "before_cursor_execute", before)
    begun, _ = await charges.begin(first, charge("c1", "naver_pay"))
    assert begun is Begun.made
    assert (await others[0])[0] is Begun.made
    given_up = await charges.get(watcher, "c1")
    assert given_up is not None
    assert given_up.status is ChargeStatus.refund_due, "at most one of them pays for the seats"


def charge(name: str, method: str) -> Charge:
    return Charge(
        id=name,
        reservation_id="r0",
        event_id=EVENT,
        method=method,
        amount=100,
        status=ChargeStatus.started,
        created_at=START,
        next_at=START,
    )
