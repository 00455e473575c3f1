"""Every table with content as a file: written from one moment of a database, read into an empty one, of whichever kind.

`NAME.gz` holds the columns' names, then the rows in order of their keys, in blocks of at most `ROWS_AT_ONCE`: each a
MessagePack array behind its length (4 bytes, big-endian). Neither side ever holds more than a block.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
from sqlalchemy import Integer, Table, func, insert, select, update
from sqlalchemy.engine import Connection

from app.ledger.database import Database
from app.ledger.migrations import step_of
from app.ledger.tables import metadata
from app.ledger.tables.rooms import rooms
from app.ledger.tables.steps import compatible_steps

CONTENT = [
    table for table in metadata.sorted_tables if table is not compatible_steps
]  # that is of the tables themselves
ROWS_AT_ONCE = 1_000
BLOCK_BYTES_MAX = 256 * 1024 * 1024  # a thousand posters
LENGTH_BYTES = 4
GZIP_LEVEL = 1

Done = Callable[[int, int], None]  # (rows so far, of how many)


class NotEmpty(Exception):
    """A table has rows already."""


class BadFile(Exception):
    """A table's file is cut off or is none; the message names it."""


async def dump(db: Database, folder: Path, done: Done) -> tuple[str, dict[str, int]]:
    """Write every table, as it is at one moment, into an empty folder. Returns the tables' step, and rows by table."""

    def work(tx: Connection) -> tuple[str, dict[str, int]]:
        total = sum(tx.execute(select(func.count()).select_from(table)).scalar_one() for table in CONTENT)
        add = _counting(done, total)
        found = {table.name: _write(tx, table, folder / f"{table.name}.gz", add) for table in CONTENT}
        return step_of(tx) or "", found

    return await db.look(work)


async def load(db: Database, folder: Path, rows: Mapping[str, int], numbers_since: int, done: Done) -> None:
    """Fill empty tables with the rows of every file, of which there must be so many by table; in one transaction.

    Each room's numbers go on `numbers_since` above those that were reserved. Raises NotEmpty, BadFile.
    """

    def work(tx: Connection) -> None:
        if any(tx.execute(select(1).select_from(table).limit(1)).first() for table in CONTENT):
            raise NotEmpty
        add = _counting(done, sum(rows.values()))
        if {table.name: _read(tx, table, folder / f"{table.name}.gz", add) for table in CONTENT} != rows:
            raise BadFile(f"{folder} does not have the rows that it should have.")
        used = rooms.c.number_bound > 0
        tx.execute(update(rooms).where(used).values(number_bound=rooms.c.number_bound + numbers_since))

    await db.run(work)


def _counting(done: Done, total: int) -> Callable[[int], None]:
    """What is told the rows of each block, and tells how far everything is."""
    so_far = 0

    def add(rows: int) -> None:
        nonlocal so_far
        so_far += rows
        done(so_far, total)

    return add


def _write(tx: Connection, table: Table, path: Path, add: Callable[[int], None]) -> int:
    count = 0
    kept = [column for column in table.c if column.computed is None]
    query = select(*kept).order_by(*table.primary_key).execution_options(yield_per=ROWS_AT_ONCE)
    with gzip.open(path, "xb", GZIP_LEVEL) as file:
        _put(cast(BinaryIO, file), [str(column.key) for column in kept])
        for rows in tx.execute(query).partitions():
            _put(cast(BinaryIO, file), [tuple(row) for row in rows])
            count += len(rows)
            add(len(rows))
        _put(cast(BinaryIO, file), [])  # the end: a file without it was cut off
    return count


def _read(tx: Connection, table: Table, path: Path, add: Callable[[int], None]) -> int:
    count = 0
    try:
        with gzip.open(path, "rb") as file:
            blocks = _blocks(cast(BinaryIO, file))
            names = next(blocks)
            for rows in blocks:
                tx.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])
                count += len(rows)
                add(len(rows))
    except (OSError, EOFError, StopIteration, msgspec.DecodeError, ValueError) as error:
        raise BadFile(f"{path} is not whole ({type(error).__name__}).") from error
    _count_on(tx, table)
    return count


def _put(file: BinaryIO, block: Any) -> None:
    encoded = msgspec.msgpack.encode(block)
    file.write(len(encoded).to_bytes(LENGTH_BYTES, "big") + encoded)


def _blocks(file: BinaryIO) -> Iterator[list[Any]]:
    """Every block but the last, which is empty. Raises EOFError if there is none."""
    while True:
        length = int.from_bytes(file.read(LENGTH_BYTES), "big")
        encoded = file.read(length) if length <= BLOCK_BYTES_MAX else b""
        if not length or len(encoded) < length:
            raise EOFError
        block = msgspec.msgpack.decode(encoded)
        if not block:
            return
        yield block


def _count_on(tx: Connection, table: Table) -> None:
    """PostgreSQL counts ids by itself and has not heard of those that were inserted; SQLite looks at the rows."""
    (key, *more) = table.primary_key
    if tx.dialect.name == "postgresql" and not more and isinstance(key.type, Integer):
        highest = select(func.max(key)).scalar_subquery()
        sequence = func.pg_get_serial_sequence(table.name, key.name)
        tx.execute(select(func.setval(sequence, highest)).where(highest.is_not(None)))
