"""Generates a migration step: without a title the only step of the unreleased product, with a title a further one.

Compares the tables of app/ledger/tables with those that the existing steps make in an in-memory SQLite, and has Alembic
write the difference. A person must review and try a further step: it does not move data, SQLite cannot alter a column,
and PostgreSQL locks the tables for as long as a step takes.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any, Literal

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.autogenerate.api import AutogenContext
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from app.ledger.migrations import migrate
from app.ledger.migrations.step_files import VERSIONS, steps
from app.ledger.tables import metadata
from app.ledger.tables.base import UtcDateTime

INITIAL = "0001"
_DIALECTS = (sqlite.dialect(), postgresql.dialect())  # type: ignore[no-untyped-call]  # so is SQLAlchemy
TEXT = '''"""{title}

Written by app.ledger.migrations.make{note}.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {before}
{runs_from}

def upgrade() -> None:
    {code}
'''


def digest() -> str:
    """A digest of the tables' definitions."""
    parts: list[ExecutableDDLElement] = []
    for table in metadata.sorted_tables:
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        parts += [CreateTable(table), *(CreateIndex(index) for index in indexes)]
    made = [str(part.compile(dialect=dialect)) for dialect in _DIALECTS for part in parts]
    return hashlib.sha256("\n".join(made).encode()).hexdigest()[:8]


def write(folder: Path, title: str = "") -> Path:
    """Write the only step, or with a title a further one, into `folder`; returns the file."""
    number = f"{len(steps()) + 1:04}" if title else INITIAL
    text = TEXT.format(
        title=f"{title[:1].upper()}{title[1:]}." if title else "Every table.",
        note="" if title else "; never by hand, and never again once released",
        revision=f"{number}_{digest()}",
        before=f'"{steps()[-1]}"' if title else None,
        # no program but its own, until a person has seen that what it does harms no older one
        runs_from=f'runs_from = "{number}_{digest()}"\n' if title else "",
        code=_code(migrated=bool(title)),
    )
    file = folder / f"{number}_{'_'.join(title.lower().split()) or 'initial'}.py"
    file.write_text(text)
    return file


def _code(*, migrated: bool) -> str:
    engine = create_engine("sqlite://")
    with engine.begin() as tx:
        if migrated:
            migrate(tx)
        context = MigrationContext.configure(tx, opts={"target_metadata": metadata, "compare_type": True})
        operations = produce_migrations(context, metadata).upgrade_ops
        assert operations is not None
        code = render_python_code(operations, render_item=_plain, migration_context=context)
    engine.dispose()
    return code


def _plain(_kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Render our own column types as plain ones, because a step must not change when our types do."""
    return "sa.DateTime(timezone=True)" if isinstance(item, UtcDateTime) else False


if __name__ == "__main__":
    sys.stdout.write(f"{write(VERSIONS, ' '.join(sys.argv[1:]))}\n")
