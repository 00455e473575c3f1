"""Statements that SQLite and PostgreSQL both take, for every module of the ledger to build its own from.

- `insert_new(table)`: rows whose key is there already are left as they are. `rowcount` says whether one row was new.
- `upsert(table, keys, changed)`: a row that is there already gets the new values of the `changed` columns.
- `insert_rows(table, *columns)` with `as_json(rows)`: many rows as one JSON parameter, because binding every value by
  itself is what costs. Times are given as text by `stored`; no bytes. `.on_conflict_do_nothing()` may follow.
- `one_of(column, "ids")` with `as_json(ids)`: `column IN (...)` for a list of any length as one parameter, so that the
  statement stays the same one to prepare.

Build them once, at module level. Nothing else of the product may depend on which of the two databases it talks to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, FromClause, Table, Text, bindparam, literal_column, select, true
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import JSON, String, TypeEngine

from app.ledger.tables.base import UtcDateTime

_encode = msgspec.json.Encoder().encode


def as_json(values: Sequence[Any]) -> str:
    """The parameter of `insert_rows` (a sequence of rows) or of `one_of` (a sequence of keys)."""
    return _encode(values).decode()


def insert_new(table: Table) -> Insert:
    """An INSERT that skips rows whose key, or any other unique value, exists already."""
    return insert(table).on_conflict_do_nothing()  # both dialects write PostgreSQL's clause alike


def upsert(table: Table, keys: Sequence[str], changed: Sequence[str]) -> Insert:
    """An INSERT that updates the `changed` columns of a row with the same `keys`."""
    new = insert(table)
    return new.on_conflict_do_update(index_elements=list(keys), set_={name: new.excluded[name] for name in changed})


def insert_rows(table: Table, *columns: str) -> Insert:
    """An INSERT of many rows, given as the parameter `rows`: a JSON list of lists in the order of `columns`."""
    rows = _each("rows")
    cells = [_Cell(index, rows.c.value, table.c[name].type) for index, name in enumerate(columns)]
    source = select(*cells).select_from(rows).where(true())  # SQLite needs a WHERE before a following ON CONFLICT
    return insert(table).from_select(columns, source)


def one_of(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """SQL: the column's value is in the parameter `name`, a JSON list."""
    values = _each(name)
    return column.in_(select(_Whole(values.c.value, column.type)).select_from(values))


def _each(name: str) -> FromClause:
    return _Each(bindparam(name, type_=Text)).table_valued("value")


class _Each(FunctionElement[Any]):
    """The items of a JSON list, as rows with one column `value`."""

    name = "each_of"
    inherit_cache = True


class _Taken(FunctionElement[Any]):
    """A value from JSON, converted to `type`. The type is part of the key under which a statement is cached."""

    inherit_cache = True
    _traverse_internals = [*FunctionElement._traverse_internals, ("type", InternalTraversal.dp_type)]  # noqa: RUF012  # SQLAlchemy's


class _Cell(_Taken):
    """The value at an index of an inner list."""

    name = "cell"
    inherit_cache = True

    def __init__(self, index: int, row: ColumnElement[Any], kind: TypeEngine[Any]) -> None:
        super().__init__(row, literal_column(str(index)))
        self.type = kind


class _Whole(_Taken):
    """The item of a flat list."""

    name = "whole"
    inherit_cache = True

    def __init__(self, item: ColumnElement[Any], kind: TypeEngine[Any]) -> None:
        super().__init__(item)
        self.type = kind


@compiles(_Each)
def _each_sqlite(element: _Each, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Each, "postgresql")
def _each_postgresql(element: _Each, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements(CAST({compiler.process(element.clauses, **options)} AS JSON))"


@compiles(_Cell)
def _cell_sqlite(element: _Cell, compiler: SQLCompiler, **options: Any) -> str:
    row, index = (compiler.process(clause, **options) for clause in element.clauses)
    return f"json_extract({row}, '$[{index}]')"


@compiles(_Cell, "postgresql")
def _cell_postgresql(element: _Cell, compiler: SQLCompiler, **options: Any) -> str:
    row, index = (compiler.process(clause, **options) for clause in element.clauses)
    if isinstance(element.type, JSON):
        return f"({row} -> {index})"
    return _cast(f"{row} ->> {index}", element.type, compiler)


@compiles(_Whole)
def _whole_sqlite(element: _Whole, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(_Whole, "postgresql")
def _whole_postgresql(element: _Whole, compiler: SQLCompiler, **options: Any) -> str:
    return _cast(f"{compiler.process(element.clauses, **options)} #>> '{{}}'", element.type, compiler)


def _cast(text: str, kind: TypeEngine[Any], compiler: SQLCompiler) -> str:
    if isinstance(kind, UtcDateTime):
        return f"(CAST({text} AS TIMESTAMP) AT TIME ZONE 'UTC')"
    if isinstance(kind, String):
        return f"({text})"  # CAST to VARCHAR(n) would truncate a long text; without it, storing the text fails
    return f"CAST({text} AS {compiler.dialect.type_compiler_instance.process(kind)})"
