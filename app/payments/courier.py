"""The simulated gateway's own initiative: takes the money of late charges when their time has come, and tells us by
webhook until somebody heard it.
"""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
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
POSTS_AT_ONCE = 4  # threads of the courier's own: whoever is slow to answer keeps no thread of anybody else's
POST_TIMEOUT_S = 5.0
NEWS_MAX = 20  # webhooks per pass: told in time for its job even if nobody answers one of them
AGAIN = timedelta(seconds=2)
CLAIM = timedelta(seconds=NEWS_MAX / POSTS_AT_ONCE * POST_TIMEOUT_S + 5)  # then a courier that died is not waited for

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
        news = await gateway_book.take_news(self.db, self.now(), CLAIM, NEWS_MAX)
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


def posting_to(url: str, threads: Executor) -> Post:
    """A POST to our own webhook, as another company would make it: in `threads`, which are for nothing else."""
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
        return await asyncio.get_running_loop().run_in_executor(threads, send, body, headers)

    return post
