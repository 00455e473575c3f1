"""Puts the metrics of one web process or worker together: what it counts, and where it can be read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from app.connections import running
from app.ledger.database import Database
from app.metrics.exchange import MetricsExchange, SharedReadings, Source
from app.metrics.loop_lag import LoopLag
from app.metrics.process import process_readings
from app.metrics.readings import Reading, read_histogram
from app.metrics.server import serving
from app.processes.shared_clock import SharedClock
from config.settings import Settings


class Metrics:
    """Add to `sources` before `published` begins. Only web processes set `shared`, because only they know the rooms."""

    def __init__(
        self, settings: Settings, process: str, db: Database, clock: SharedClock, now: Callable[[], datetime]
    ) -> None:
        self.loop_lag = LoopLag()
        self._settings = settings
        self._now = now
        self._process = process
        self._transactions = db.times
        self.sources: list[Source] = [lambda: process_readings(self.loop_lag, clock), self._sql]
        self.shared: SharedReadings | None = None
        self.exchange = self._exchange()

    @asynccontextmanager
    async def published(self) -> AsyncIterator[None]:
        """Measure the event loop, share the readings with the other processes, and serve them, while the block runs."""
        settings = self._settings
        self.exchange = self._exchange()
        async with running(loop_lag=self.loop_lag.run(), metrics=self.exchange.run()):
            with serving(
                settings.metrics_host, settings.metrics_port, self.exchange, self.loop_lag, settings.metrics_token
            ):
                yield

    def _exchange(self) -> MetricsExchange:
        return MetricsExchange(self._process, self._settings.metrics_dir, self.sources, self._now, self.shared)

    def _sql(self) -> list[Reading]:
        transactions = self._transactions
        return [
            *(
                read_histogram("tiketi_sql_transaction_seconds", times, kind)
                for kind, times in transactions.times_s.items()
            ),
            Reading("tiketi_sql_pool_used", (), transactions.pool_used),
            Reading("tiketi_sql_pool_max", (), transactions.pool_max),
        ]
