"""`tiketi prune`: deletes what nobody needs any more, as the workers do each night, and says how much that was."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta

from app.connections import store_of_command, utc_now
from app.ledger import retention
from app.ledger.retention import Keep, Pruned
from app.run.console import ConsoleError
from app.run.progress import progress_bar
from app.run.telling import Tell
from config.settings import Settings


def keep_of(settings: Settings) -> Keep:
    """For how long what is kept, by the settings."""
    sales, audit = settings.keep_sales_days, settings.keep_audit_days
    return Keep(
        sales=timedelta(days=sales) if sales else None,
        audit=timedelta(days=audit) if audit else None,
    )


async def prune(settings: Settings, dry_run: bool, agree: Callable[[str], bool], tell: Tell) -> None:
    """Delete it, or only count it. Raises ConsoleError unless somebody agrees, StoreError, SchemaError.

    Whoever is interrupted, by Ctrl-C for example, starts it again: it goes on.
    """
    keep, now = keep_of(settings), utc_now()
    async with store_of_command(settings, patient=True) as db:
        found, done = await retention.would_prune(db, keep, now), Pruned()
        if dry_run or found == Pruned():
            _tell(tell, found, "would be deleted" if dry_run else "deleted", dry_run=dry_run)
            return
        if not agree(f"This deletes for ever {_counted(found)}."):
            raise ConsoleError("Nothing was deleted. `--dry-run` shows what would be, `--yes` deletes it unasked.")
        with progress_bar("rows", sys.stderr, time.monotonic) as progress:
            async for deleted in retention.prune(db, keep, now):
                done = deleted
                progress(done.rows, found.rows)
    _tell(tell, done, "deleted", dry_run=False)


def _tell(tell: Tell, found: Pruned, verb: str, *, dry_run: bool) -> None:
    numbers = {"sales": found.sales, "holds": found.holds, "waitlistEntries": found.waitlist}
    tell({"dryRun": dry_run, **numbers, "auditEntries": found.audit}, f"{_counted(found)}: {verb}.".capitalize())


def _counted(found: Pruned) -> str:
    return (
        f"{found.holds:,} unpaid holds and {found.waitlist:,} waiting list entries of {found.sales:,} ended sales, and "
        f"{found.audit:,} audit log entries"
    )
