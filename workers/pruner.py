"""Deletes at night what nobody needs any more, as long as the settings say it is kept (app/ledger/retention.py)."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import Any

import structlog

from app.ledger import retention
from app.ledger.retention import Pruned
from app.run.prune import keep_of

NIGHT = {17, 18, 19, 20}  # hours in UTC: from two to six in the morning in Seoul
PASS_S = 15.0  # of each minute of the night, until nothing is left

log = structlog.get_logger()


async def prune_history(ctx: dict[str, Any]) -> int:
    """The arq job of every minute of the night. Answers how many rows were deleted."""
    ends_s = time.monotonic() + PASS_S
    done = Pruned()
    async with aclosing(retention.prune(ctx["db"], keep_of(ctx["settings"]), ctx["clock"].now())) as portions:
        async for deleted in portions:
            done = deleted
            if time.monotonic() > ends_s:
                break
    if done != Pruned():
        log.info("history_pruned", sales=done.sales, holds=done.holds, waitlist=done.waitlist, audit=done.audit)
    return done.rows
