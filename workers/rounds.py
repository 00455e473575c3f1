"""Keeps a worker's periodic job from overlapping itself: while it runs in this worker, its next run is skipped.

A job is due again and again, however long one run takes. Without this the runs of a slow store or a slow peer pile up,
ask for the same rows and take every job the worker may run. A skipped run loses nothing: the next one finds the work.
"""

from __future__ import annotations

import asyncio
from functools import wraps
from typing import Any

from arq.typing import WorkerCoroutine


def alone(work: WorkerCoroutine) -> WorkerCoroutine:
    """The same job, which does nothing while it is under way. Every schedule of one job must share what this gives."""
    under_way = asyncio.Lock()

    @wraps(work)
    async def round_alone(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> Any:
        if under_way.locked():
            return None
        async with under_way:
            return await work(ctx, *args, **kwargs)

    return round_alone
