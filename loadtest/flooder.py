"""The flooder's own process: `python -m loadtest.flooder RUN_FOLDER OPENING_MS`, started by `python -m loadtest`.

One address without cookies that joins as fast as it can: at first it solves nothing, then it solves challenges on two
cores. Ends with the run, or on SIGTERM, and leaves what it got in the run's folder.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import altcha
import msgspec

from loadtest import records
from loadtest.records import Flood, Run, now_ms

ADDRESS = "198.51.100.66"
CONNECTIONS = 16
SOLVERS = 2
UNSOLVED_SHARE = 0.5  # of the time it solves nothing
ANSWER_S = 20.0


class Flooder:
    """`until_ms`: when it stops, and from when on it solves."""

    def __init__(self, run: Run, solves_from_ms: float, until_ms: float) -> None:
        self.flood = Flood(began_ms=now_ms(), solves_from_ms=solves_from_ms)
        self._until_ms = until_ms
        self._url = urlsplit(run.host)
        self._head = (
            f"POST /api/queue/{run.event_id}/join HTTP/1.1\r\nHost: {self._url.netloc}\r\nContent-Length: 0\r\n"
            f"X-Forwarded-For: {ADDRESS}\r\n"
        )

    async def run(self) -> Flood:
        with ProcessPoolExecutor(SOLVERS) as solvers:
            async with asyncio.TaskGroup() as together:
                for _ in range(CONNECTIONS):
                    together.create_task(self._fire())
                for _ in range(SOLVERS):
                    together.create_task(self._solve(solvers))
        self.flood.ended_ms = now_ms()
        return self.flood

    async def _fire(self) -> None:
        """Join again and again without a word of who one is."""
        while now_ms() < self.flood.solves_from_ms:
            try:
                reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port)
                while now_ms() < self.flood.solves_from_ms:
                    self._note(*await self._ask(reader, writer), self.flood.unsolved)
                writer.close()
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                self.flood.failed += 1

    async def _solve(self, solvers: ProcessPoolExecutor) -> None:
        await asyncio.sleep((self.flood.solves_from_ms - now_ms()) / 1000)
        reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        while now_ms() < self._until_ms:
            status, body = await self._ask(reader, writer)
            if status == 428 and "challenge" in body:
                work = asyncio.get_running_loop().run_in_executor(solvers, solution, body["challenge"])
                status, body = await self._ask(reader, writer, f"X-Challenge-Solution: {await work}\r\n")
            self._note(status, body, self.flood.solved)
        writer.close()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, more: str = ""
    ) -> tuple[int, dict[str, Any]]:
        writer.write((self._head + more + "\r\n").encode())
        async with asyncio.timeout(ANSWER_S):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b"{}"
        return int(head[9:12]), json.loads(body)

    def _note(self, status: int, body: dict[str, Any], places: list[tuple[float, int]]) -> None:
        self.flood.asked += 1
        if status == 201:
            places.append((now_ms(), int(body["number"])))


def solution(challenge: dict[str, Any]) -> str:
    """A challenge's solution as it is sent."""
    made = altcha.Challenge.from_dict(challenge)
    found = altcha.solve_challenge(made)
    assert found is not None, "every challenge has a solution"
    payload = {"challenge": challenge, "solution": {"counter": found.counter, "derivedKey": found.derived_key}}
    return base64.b64encode(json.dumps(payload).encode()).decode()


def main(folder: Path, opening_ms: float) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    run = msgspec.json.decode((folder / records.RUN).read_bytes(), type=Run)
    span_ms = run.duration_s * 1000
    time.sleep(max(0.0, opening_ms - now_ms()) / 1000)
    flooder = Flooder(run, opening_ms + span_ms * UNSOLVED_SHARE, opening_ms + span_ms)
    records.write_one(folder / records.FLOOD, asyncio.run(flooder.run()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
