"""Calls Alembic with a configuration made in code instead of an alembic.ini: upgrade and compare.

Works inside the caller's transaction. Import it only where tables are changed or compared, so that other processes need
not load Alembic.
"""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from app.ledger.migrations.step_files import VERSIONS
from app.ledger.tables import metadata


def scripts() -> ScriptDirectory:
    """The folder of the steps, as Alembic reads it."""
    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


def upgrade(tx: Connection) -> None:
    """Apply every step that this database is missing."""
    directory = scripts()
    with EnvironmentContext(Config(), directory, fn=lambda at, _: directory._upgrade_revs("head", at)) as environment:
        environment.configure(connection=tx, target_metadata=metadata)
        environment.run_migrations()


def differences(tx: Connection) -> list[str]:
    """How the tables of the database differ from those of app/ledger/tables, one phrase each."""
    context = MigrationContext.configure(tx, opts={"target_metadata": metadata, "compare_type": True})
    return [_phrase(each) for each in compare_metadata(context, metadata)]


def _phrase(difference: Any) -> str:
    first = difference[0] if isinstance(difference, list) else difference
    return " ".join(str(getattr(part, "name", part)) for part in first if part is not None)
