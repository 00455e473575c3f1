"""The trail of admins' deeds: kept with the deed or not at all, listed by filter and page, and never changed."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import timedelta

import pytest

from app.ledger import events, trail
from app.ledger.database import Database
from tests.lane.world import EVENT, START, spec
from tests.test_architecture import modules

ALL = trail.AuditFilter()


@pytest.fixture
async def db(ledger: Database) -> Database:
    await events.create(ledger, spec(), START)
    return ledger


async def note(db: Database, count: int, **fields: object) -> int:
    values = {"who": "op@x.gg", "action": trail.ROOM_CHANGE, "subject": EVENT, "event_id": EVENT, **fields}
    return await trail.record(db, **values, change={"n": count}, now=START + timedelta(seconds=count))  # type: ignore[arg-type]


async def test_entries_are_listed_newest_first_a_page_at_a_time(db: Database) -> None:
    ids = [await note(db, count) for count in range(5)]
    page = await trail.listed(db, ALL, 2)
    assert [entry.id for entry in page] == [ids[4], ids[3]]
    rest = await trail.listed(db, replace(ALL, before=page[-1].id), 9)
    assert [entry.change["n"] for entry in rest] == [2, 1, 0]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (trail.AuditFilter(who="b@x.gg"), [1]),
        (trail.AuditFilter(action="user.disable"), [2]),
        (trail.AuditFilter(subject="u_9"), [2]),
        (trail.AuditFilter(event_id=EVENT), [1, 0]),
        (trail.AuditFilter(since=START + timedelta(seconds=1)), [2, 1]),
        (trail.AuditFilter(until=START + timedelta(seconds=1)), [0]),
        (trail.AuditFilter(who="%"), []),
    ],
)
async def test_a_filter_keeps_exactly_what_fits(db: Database, wanted: trail.AuditFilter, found: list[int]) -> None:
    await note(db, 0)
    await note(db, 1, who="b@x.gg")
    await note(db, 2, action="user.disable", subject="u_9", event_id=None)
    assert [entry.change["n"] for entry in await trail.listed(db, wanted, 9)] == found


async def test_an_entry_goes_with_the_deed_it_tells_of(db: Database) -> None:
    async def fails_after_recording() -> None:
        async with db.write() as tx:
            await trail.record(tx, who="op", action="a.b", subject="s", event_id=None, change={}, now=START)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fails_after_recording()
    assert await trail.listed(db, ALL, 9) == []
    await db.run(
        lambda tx: trail.record_in(tx, who="op", action="a.b", subject="s", event_id=None, change={}, now=START)
    )
    assert [entry.action for entry in await trail.listed(db, ALL, 9)] == ["a.b"]


async def test_a_refused_change_of_a_room_is_kept_but_is_no_change(db: Database) -> None:
    done, refused = await note(db, 0), await note(db, 1)
    await trail.record(
        db, who="op", action=trail.REFUSED, subject=EVENT, event_id=EVENT, change={"of": refused}, now=START
    )
    assert [entry.id for entry in await trail.room_changes(db, EVENT, 9)] == [done]
    assert len(await trail.listed(db, ALL, 9)) == 3


def test_nothing_changes_or_removes_an_entry() -> None:
    """Whoever wanted to would have to name the table, and only its own module does; that one only inserts."""
    naming = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module == "app.ledger.tables.audit_log"
        and any(alias.name == "trail" for alias in node.names)
    }
    assert naming == {"app.ledger.trail"}
    called = {
        node.func.id
        for node in ast.walk(modules()["app.ledger.trail"])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "insert" in called
    assert not called & {"update", "delete", "text"}
