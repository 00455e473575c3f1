"""Reads the plans of recorded statements: which tables are read whole, and which of an event's rows all at once.

`Reading` is one access of a plan to one table. It is `whole` if no index narrows it, `of_event` if an index narrows it
to an event and no further.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from app.ledger.tables import metadata

_ALIAS = re.compile(r"_\d+$")
_INDEX = r"(?:(?:AUTOMATIC |PARTIAL |COVERING )*INDEX (\w+)|(?:INTEGER )?PRIMARY KEY)"
_SQLITE = re.compile(rf"(SCAN|SEARCH) (\w+)(?: USING {_INDEX})?(?: \((.*)\))?")
_COLUMN = re.compile(r"(\w+)[)\s:]*(?:=|<|>|IS|~)")
Recorded = tuple[str, str, Any]  # the call, its statement, the values
# Partial indexes that hold what is live only: reading one whole is fine.
LIVE_INDEXES = frozenset(
    {
        "charges_due",
        "charges_under_way",
        "events_to_empty",
        "gateway_book_news",
        "gateway_book_settles",
        "payments_due",
        "reservations_due",
        "rooms_working",
        "users_admins",
        "waitlist_line",
        "waitlist_live",
        "waitlist_offers",
    }
)


@dataclass(frozen=True, slots=True)
class Reading:
    call: str
    statement: str
    table: str
    index: str
    columns: frozenset[str]
    said: str

    @property
    def whole(self) -> bool:
        return not self.columns and self.index not in LIVE_INDEXES

    @property
    def of_event(self) -> bool:
        return self.columns == {"event_id"} and self.index not in LIVE_INDEXES


def on_sqlite(path: Path, statements: Sequence[Recorded]) -> list[Reading]:
    """What each statement reads."""
    found = []
    connection = sqlite3.connect(path)
    for call, statement, values in statements:
        for *_, said in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall():
            if (match := _SQLITE.match(said)) is not None and (table := _ALIAS.sub("", match[2])) in metadata.tables:
                columns = frozenset(_COLUMN.findall(match[4] or ""))
                found.append(Reading(call, statement, table, match[3] or "", columns, said))
    connection.close()
    return found


def seem_large(path: Path) -> None:
    """Give SQLite statistics as of tables a thousand times as long."""
    connection = sqlite3.connect(path)
    connection.execute("ANALYZE")
    for rowid, said in connection.execute("SELECT rowid, stat FROM sqlite_stat1").fetchall():
        rows, *each = said.split()
        connection.execute("UPDATE sqlite_stat1 SET stat = ? WHERE rowid = ?", [" ".join([rows + "000", *each]), rowid])
    connection.commit()
    connection.close()


async def on_postgresql(url: str, statements: Sequence[Recorded]) -> list[Reading]:
    """The same. Ways that are cheaper only while tables are small are taken where there is no other."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    for way in ("seqscan", "hashjoin", "mergejoin"):
        await connection.execute(f"SET enable_{way} = off")
    found = []
    for call, statement, values in statements:
        said = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *values)
        found += [Reading(call, statement, *reading) for reading in _readings(json.loads(said)[0]["Plan"])]
    await connection.close()
    return found


def _readings(node: dict[str, Any], table: str = "") -> Iterator[tuple[str, str, frozenset[str], str]]:
    kind, table = node["Node Type"], node.get("Relation Name", table)
    if kind in ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan"):
        index, condition = node.get("Index Name", ""), node.get("Index Cond", "")
        columns = frozenset(_COLUMN.findall(re.sub(r"'[^']*'", "", condition)))
        yield table, index, columns, f"{kind} {table} {index} {condition}"
    for child in node.get("Plans", ()):
        yield from _readings(child, table)
