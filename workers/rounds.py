"""What every job of a worker has in common: a store that is away ends it quietly, and a round never overlaps itself.

A job is due again and again, however long one run takes. If its runs were not kept apart, those of a slow store or a
slow peer would pile up, ask for the same rows and take every job the worker may run. A run that is skipped or that a
store fails loses nothing: the next one finds the work. `ctx["outages"]` says in the log when that begins and ends.
"""

from __future__ import annotations

import asyncio
from functools import wraps
from typing import Any

from arq.typing import WorkerCoroutine

from app.connections import outlived


def unhurt(work: WorkerCoroutine) -> WorkerCoroutine:
    """The same job, which answers None if a store fails it. Other errors pass."""

    @wraps(work)
    async def job(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> Any:
        with outlived(ctx["outages"], work.__qualname__):
            return await work(ctx, *args, **kwargs)

    return job


def alone(work: WorkerCoroutine) -> WorkerCoroutine:
    """The same job, unhurt, which does nothing while it is under way. Its schedules must share what this gives."""
    under_way, job = asyncio.Lock(), unhurt(work)

    @wraps(work)
    async def round_alone(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> Any:
        if under_way.locked():
            return None
        async with under_way:
            return await job(ctx, *args, **kwargs)

    return round_alone
