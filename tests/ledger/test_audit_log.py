"""The trail of admins' deeds: kept with the deed or not at all, listed by filter and page, and never changed."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import timedelta

import pytest

from app.ledger import audit_log, events
from app.ledger.database import Database
from tests.lane.world import EVENT, START, spec
from tests.test_architecture import modules

pytestmark = pytest.mark.both_databases

ALL = audit_log.AuditFilter()


@pytest.fixture
async def db(ledger: Database) -> Database:
    await events.create(ledger, spec(), START)
    return ledger


async def note(db: Database, count: int, **fields: object) -> int:
    values = {"who": "op@x.gg", "action": audit_log.ROOM_CHANGE, "subject": EVENT, "event_id": EVENT, **fields}
    return await audit_log.record(db, **values, change={"n": count}, now=START + timedelta(seconds=count))  # type: ignore[arg-type]


async def test_entries_are_listed_newest_first_a_page_at_a_time(db: Database) -> None:
    ids = [await note(db, count) for count in range(5)]
    page = await audit_log.listed(db, ALL, 2)
    assert [entry.id for entry in page] == [ids[4], ids[3]]
    rest = await audit_log.listed(db, replace(ALL, before=page[-1].id), 9)
    assert [entry.change["n"] for entry in rest] == [2, 1, 0]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (audit_log.AuditFilter(who="b@x.gg"), [1]),
        (audit_log.AuditFilter(action="user.disable"), [2]),
        (audit_log.AuditFilter(subject="u_9"), [2]),
        (audit_log.AuditFilter(event_id=EVENT), [1, 0]),
        (audit_log.AuditFilter(since=START + timedelta(seconds=1)), [2, 1]),
        (audit_log.AuditFilter(until=START + timedelta(seconds=1)), [0]),
        (audit_log.AuditFilter(who="%"), []),
    ],
)
async def test_a_filter_keeps_exactly_what_fits(db: Database, wanted: audit_log.AuditFilter, found: list[int]) -> None:
    await note(db, 0)
    await note(db, 1, who="b@x.gg")
    await note(db, 2, action="user.disable", subject="u_9", event_id=None)
    assert [entry.change["n"] for entry in await audit_log.listed(db, wanted, 9)] == found


async def test_an_entry_goes_with_the_deed_it_tells_of(db: Database) -> None:
    async def fails_after_recording() -> None:
        async with db.write() as tx:
            await audit_log.record(tx, who="op", action="a.b", subject="s", event_id=None, change={}, now=START)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fails_after_recording()
    assert await audit_log.listed(db, ALL, 9) == []
    await db.run(
        lambda tx: audit_log.record_in(tx, who="op", action="a.b", subject="s", event_id=None, change={}, now=START)
    )
    assert [entry.action for entry in await audit_log.listed(db, ALL, 9)] == ["a.b"]


async def test_a_refused_change_of_a_room_is_kept_but_is_no_change(db: Database) -> None:
    done, refused = await note(db, 0), await note(db, 1)
    await audit_log.record(
        db, who="op", action=audit_log.REFUSED, subject=EVENT, event_id=EVENT, change={"of": refused}, now=START
    )
    assert [entry.id for entry in await audit_log.room_changes(db, EVENT, 9)] == [done]
    assert len(await audit_log.listed(db, ALL, 9)) == 3


def test_nothing_changes_an_entry_and_only_its_age_removes_one() -> None:
    """Whoever wanted to would have to name the table: of the modules that do, one inserts and deletes."""
    naming = {
        name: called(tree)
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module == "app.ledger.tables.audit_log"
        and any(alias.name == "audit_log" for alias in node.names)
    }
    del naming["loadtest.past_sales"]  # which fills a database that is made for measuring
    assert {name for name, calls in naming.items() if "insert" in calls} == {"app.ledger.audit_log"}
    assert {name for name, calls in naming.items() if "delete" in calls} == {"app.ledger.audit_log"}
    assert {name for name, calls in naming.items() if calls & {"update", "text", "upsert"}} == set()


def called(tree: ast.Module) -> set[str]:
    """The names of the functions that a module calls."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {function.id for function in calls if isinstance(function, ast.Name)}
