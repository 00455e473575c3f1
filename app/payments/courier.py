"""The simulated gateway's own initiative: takes the money of late charges when their time has come, and tells us by
webhook until somebody heard it.
"""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec
import structlog

from app.domain.charge import Booked
from app.ledger import gateway_book
from app.ledger.database import Database
from app.payments.gateway import Verdict
from app.payments.signing import sign
from app.payments.simulator import answer_of

SIGNATURE_HEADER = "x-tiketi-signature"
NEWS_MAX = 50  # webhooks per pass
AGAIN = timedelta(seconds=2)
POST_TIMEOUT_S = 5.0

log = structlog.get_logger()

Post = Callable[[bytes, dict[str, str]], Awaitable[int]]  # (body, headers): the status, 0 if nobody answered


class News(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The body of a webhook."""

    charge_id: str
    status: Verdict
    reference: str
    amount: int
    reason: str = ""


@dataclass(kw_only=True, eq=False)
class Courier:
    db: Database
    post: Post
    secret: bytes = field(repr=False)
    now: Callable[[], datetime]

    async def round(self) -> int:
        """One bounded pass; gives how many webhooks were sent."""
        await gateway_book.settle(self.db, self.now(), NEWS_MAX)
        news = await gateway_book.news(self.db, self.now(), NEWS_MAX)
        async with asyncio.TaskGroup() as tasks:
            for booked in news:
                tasks.create_task(self._tell(booked))
        return len(news)

    async def _tell(self, booked: Booked) -> None:
        body = news_of(booked)
        headers = {SIGNATURE_HEADER: sign(self.secret, body, int(self.now().timestamp()))}
        status = await self.post(body, {**headers, "content-type": "application/json"})
        heard = 200 <= status < 300
        if not heard:
            log.warning("webhook_not_heard", charge_id=booked.charge_id, status=status)
        await gateway_book.told(self.db, booked, heard=heard, again_in=AGAIN, now=self.now())


def news_of(booked: Booked) -> bytes:
    answer = answer_of(booked)
    news = News(
        charge_id=booked.charge_id,
        status=answer.verdict,
        reference=answer.reference,
        amount=answer.amount,
        reason=answer.reason,
    )
    return msgspec.json.encode(news)


def posting_to(url: str) -> Post:
    """A POST to our own webhook, as another company would make it."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection

    def send(body: bytes, headers: dict[str, str]) -> int:
        connection = kind(parts.hostname or "", parts.port, timeout=POST_TIMEOUT_S)
        try:
            connection.request("POST", parts.path, body, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            log.info("webhook_not_sent", error=repr(error))
            return 0
        finally:
            connection.close()

    async def post(body: bytes, headers: dict[str, str]) -> int:
        return await asyncio.to_thread(send, body, headers)

    return post
