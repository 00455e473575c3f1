"""A process's metrics put together: what it counts, who looks, and where it is told. One per web process and worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.connections import running
from app.ledger.database import Database
from app.ledger.watch import Watch
from app.metrics.exchange import Board, Facts, Source
from app.metrics.loop_lag import Heart
from app.metrics.process import process_readings
from app.metrics.readings import Reading, read_spread
from app.metrics.server import listening
from config.settings import Settings


class Metrics:
    """`sources` are added before `told` begins; `facts` are of a web process, which knows the rooms."""

    def __init__(self, settings: Settings, process: str, db: Database) -> None:
        self.heart = Heart()
        self._settings = settings
        self._process = process
        self._watch = Watch(db)
        self.sources: list[Source] = [lambda: process_readings(self.heart), self._sql]
        self.facts: Facts | None = None
        self.board = self._board()

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """Beat, tell the neighbours, and answer on the port of our own, while the block runs."""
        settings = self._settings
        self.board = self._board()
        async with running(heart=self.heart.run(), metrics=self.board.run()):
            with listening(
                settings.metrics_host, settings.metrics_port, self.board, self.heart, settings.metrics_token
            ):
                yield

    def _board(self) -> Board:
        return Board(self._process, self._settings.metrics_dir, self.sources, self.facts)

    def _sql(self) -> list[Reading]:
        watch = self._watch
        return [
            *(read_spread("tiketi_sql_transaction_seconds", spread, kind) for kind, spread in watch.times_s.items()),
            Reading("tiketi_sql_pool_used", (), watch.pool_used),
            Reading("tiketi_sql_pool_max", (), watch.pool_max),
        ]
