"""The shop as the scenarios see it from outside: a log-in, a place in line and its pass, the seats, the metrics.

And, where the truth is wanted, its SQL: who really holds a seat.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families

from app.ledger import audit
from app.ledger.database import open_database
from config.demo import ACCOUNTS
from config.settings import Settings
from loadtest.scenarios.tools import ToolError
from loadtest.system import CALL_S, ask

TURN_S = 30.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Shop:
    url: str
    settings: Settings

    def bearer(self) -> str:
        """The demo buyer's Authorization header."""
        buyer = next(account for account in ACCOUNTS if account.role == "buyer")
        body = {"email": buyer.email, "password": buyer.password}
        return f"Bearer {ask('POST', f'{self.url}/api/auth/login', body)['token']}"

    def seats_free(self, event_id: str) -> list[str]:
        seats = ask("GET", f"{self.url}/api/seats/events/{event_id}")["seats"]
        return [seat["id"] for seat in seats if seat["status"] == "available"]

    def seats_total(self, event_id: str) -> int:
        return len(ask("GET", f"{self.url}/api/seats/events/{event_id}")["seats"])

    def admission_pass(self, event_id: str, bearer: str) -> str:
        """Join as who has this Authorization header, wait for the turn, claim it. Raises ToolError if none comes."""
        queue, known = f"{self.url}/api/queue/{event_id}", {"Authorization": bearer}
        ticket = {"X-Queue-Ticket": _call("POST", f"{queue}/join", known)["ticket"], **known}
        gives_up_s = time.monotonic() + TURN_S
        while _call("GET", f"{queue}/position", ticket)["state"] != "admitted":
            if time.monotonic() > gives_up_s:
                raise ToolError(f"no turn in the line of {event_id} within {TURN_S:g} s")
            time.sleep(POLL_S)
        return str(_call("POST", f"{queue}/claim", ticket)["pass"])

    def metric(self, name: str) -> float:
        """The sum of a metric over all processes."""
        with urlopen(f"{self.url}/metrics", timeout=CALL_S) as response:  # noqa: S310  # our own system
            text = response.read().decode()
        families = text_string_to_metric_families(text)
        return sum(sample.value for family in families for sample in family.samples if sample.name == name)

    async def live_holders(self, event_id: str, seat_id: str) -> int:
        """How many live reservations the seat has in SQL; -1 if the seat is not marked as taken."""
        db = open_database(self.settings.database)
        try:
            taken = [row async for books in audit.books(db, event_id, datetime.now(UTC)) for row in books.taken]
        finally:
            await db.close()
        of_seat = [row for row in taken if row[0] == int(seat_id.removeprefix("s"))]
        return sum(1 for row in of_seat if row[2] is not None) if of_seat and of_seat[0][1] == "held" else -1


def _call(method: str, url: str, headers: Mapping[str, str]) -> dict[str, str]:
    request = Request(url, headers=dict(headers), method=method)  # noqa: S310  # our own system
    with urlopen(request, timeout=CALL_S) as response:  # noqa: S310
        answer: dict[str, str] = json.load(response)
        return answer
