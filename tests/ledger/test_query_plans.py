"""No statement of ours reads a table that grows, or all rows of an event, unless it is for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from app.ledger.database import Database
from loadtest.past_sales import fill
from tests.ledger import calls, plans
from tests.ledger.plans import Reading

pytestmark = pytest.mark.both_databases

SMALL = {"gateway_moods"}  # a row for each way to pay
LARGE_PER_EVENT = {"charges", "commands", "payments", "reservation_seats", "reservations", "seats", "waitlist"}
PAGE = "a page in the order of its index, which ends after so many rows"
FEW = "there are few, and a bound on how many"
FIRST = "the first row of the event is enough"
DELETED = "what has ended of an event's list is deleted, once"
WHOLE_MAP = "the map of an event is read whole when it is opened or replaced"
WHOLE_EVENT = "what the audit compares is all of one event"
ALLOWED = {  # (call, table) → why it may read so much
    ("seat_additions.add", "seats"): WHOLE_MAP,
    ("seat_changes.change", "seats"): "an admin's change counts the seats of its event again, which reads all of them",
    ("account_admin.search", "users"): PAGE,
    ("account_admin.search.words", "users"): "an admin looks for a part of a name, which no index finds",
    ("audit.books", "reservations"): WHOLE_EVENT,
    ("audit.books", "seats"): WHOLE_EVENT,
    ("audit_log.listed", "trail"): PAGE,
    ("events.search", "events"): "events are counted",
    ("events.search.text", "events"): "a word is looked for in the texts of all events",
    ("events.seat_snapshot", "seats"): WHOLE_MAP,
    ("origins.create", "origins"): FEW,
    ("origins.create_room", "origin_rooms"): FEW,
    ("origins.listed", "origins"): FEW,
    ("origins.listed_rooms", "origin_rooms"): FEW,
    ("origins.stamps", "origin_rooms"): FEW,
    ("origins.stamps", "origins"): FEW,
    ("room_windows.with_room", "origin_rooms"): FEW,
    ("figures.read", "reservations"): "those of events whose room is not closed are counted",
    ("money_audit.charge_pages", "reservations"): WHOLE_EVENT,
    ("money_audit.charge_records", "reservations"): WHOLE_EVENT,
    ("money_audit.undone", "charges"): WHOLE_EVENT,
    ("money_audit.undone", "reservations"): WHOLE_EVENT,
    ("money_audit.undone.all", "charges"): WHOLE_EVENT,
    ("money_audit.undone.all", "reservations"): WHOLE_EVENT,
    ("reservation_search.search", "reservations"): PAGE,
    ("reservation_search.search.event", "reservations"): PAGE,
    ("retention.count_sale", "waitlist"): DELETED,
    ("retention.prune", "waitlist"): DELETED,
    ("retention.prune_waitlist", "waitlist"): DELETED,
    ("retention.would_prune", "waitlist"): DELETED,
    ("rooms.listed", "rooms"): "the check looks at every room",
    ("seat_maps.current", "seats"): WHOLE_MAP,
    ("seat_maps.is_reserved", "reservations"): FIRST,
    ("seat_maps.replace", "reservations"): FIRST,
    ("seat_maps.replace", "seats"): WHOLE_MAP,
    ("seats.load", "seats"): WHOLE_MAP,
    ("statistics.read", "events"): "the sums of all events are added up",
    ("statistics.read", "reservations"): "an event's are added up when its lane has written something",
}

ALLOWED_ON_POSTGRESQL = {
    ("rooms.working", "origin_rooms"): FEW,
    ("rooms.working.near", "origin_rooms"): FEW,
    ("reservations.mark_emptied", "reservations"): FIRST,
    ("users.of_subject", "user_subjects"): "it is empty here; its key is taken once it is not",
}


def test_every_function_of_the_ledger_is_called_here() -> None:
    assert set(calls.functions()) == calls.done()


@contextmanager
def recorded(db: Database) -> Iterator[dict[str, Any]]:
    """Statement → its first values, of all that are executed meanwhile."""
    found: dict[str, Any] = {}

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        if statement.split(maxsplit=1)[0] in ("SELECT", "UPDATE", "DELETE", "WITH", "INSERT"):
            found.setdefault(statement, values[0] if many else values)

    for engine in db.engines:
        event.listen(engine, "before_cursor_execute", note)
    yield found
    for engine in db.engines:
        event.remove(engine, "before_cursor_execute", note)


async def test_no_statement_reads_more_than_it_must(ledger: Database, tmp_path: Path) -> None:
    on_sqlite = ledger.url.get_backend_name() == "sqlite"
    await fill(ledger, calls.SIZE, calls.NOW)
    statements = [
        (name, statement, values)
        for name, call in calls.CALLS.items()
        async for statement, values in made_by(ledger, call)
    ]
    if on_sqlite:  # as it is shipped: without statistics
        found = plans.on_sqlite(tmp_path / "tiketi.db", statements)
        plans.seem_large(tmp_path / "tiketi.db")
        found += plans.on_sqlite(tmp_path / "tiketi.db", statements)
    else:
        await ledger.run(lambda tx: tx.execute(text("ANALYZE")) and None)
        found = await plans.on_postgresql(ledger.url.render_as_string(hide_password=False), statements)
    too_much = {(one.call, one.table): f"{one.said} in {one.statement}" for one in found if reads_too_much(one)}
    allowed = ALLOWED if on_sqlite else {**ALLOWED, **ALLOWED_ON_POSTGRESQL}
    assert {key: said for key, said in too_much.items() if key not in allowed} == {}
    assert not on_sqlite or ALLOWED.keys() == too_much.keys(), "what is allowed is not needed any more"


def reads_too_much(one: Reading) -> bool:
    return (one.whole and one.table not in SMALL) or (one.of_event and one.table in LARGE_PER_EVENT)


async def made_by(db: Database, call: calls.Call) -> AsyncIterator[tuple[str, Any]]:
    """The statements of a call, each once, with the values of its first use."""
    with recorded(db) as found:
        await call(db)
    assert found, "it asks the database nothing"
    for statement, values in found.items():
        yield statement, values
