"""The background work of the simulated provider: captures pending charges when their time has come and sends webhooks.

A webhook is sent again until it is accepted.
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

from app.domain.charge import SimulatedCharge
from app.ledger import gateway_book
from app.ledger.database import Database
from app.payments.providers.simulator import SIGNATURE_HEADER, SimulatorWebhook, answer_of
from app.payments.webhook_signature import sign

POSTS_AT_ONCE = 4  # in threads of their own, so that a slow receiver does not block other work
POST_TIMEOUT_S = 5.0
WEBHOOKS_MAX = 20  # per pass, so that a pass ends within its job's time limit even if every POST times out
RESEND_AFTER = timedelta(seconds=2)
CLAIM = timedelta(seconds=WEBHOOKS_MAX / POSTS_AT_ONCE * POST_TIMEOUT_S + 5)  # afterwards another sender may send it

log = structlog.get_logger()

Post = Callable[[bytes, dict[str, str]], Awaitable[int]]  # (body, headers) → HTTP status, 0 without an answer


@dataclass(kw_only=True, eq=False)
class WebhookSender:
    db: Database
    post: Post
    secret: bytes = field(repr=False)
    now: Callable[[], datetime]

    async def round(self) -> int:
        """Do one bounded pass; returns how many webhooks were sent."""
        await gateway_book.capture_due(self.db, self.now(), WEBHOOKS_MAX)
        due = await gateway_book.claim_webhooks(self.db, self.now(), CLAIM, WEBHOOKS_MAX)
        async with asyncio.TaskGroup() as tasks:
            for booked in due:
                tasks.create_task(self._send(booked))
        return len(due)

    async def _send(self, booked: SimulatedCharge) -> None:
        body = webhook_body(booked)
        headers = {SIGNATURE_HEADER: sign(self.secret, body, int(self.now().timestamp()))}
        status = await self.post(body, {**headers, "content-type": "application/json"})
        accepted = 200 <= status < 300
        if not accepted:
            log.warning("webhook_not_accepted", charge_id=booked.charge_id, status=status)
        await gateway_book.webhook_sent(self.db, booked, accepted=accepted, again_in=RESEND_AFTER, now=self.now())


def webhook_body(booked: SimulatedCharge) -> bytes:
    answer = answer_of(booked)
    event = SimulatorWebhook(
        charge_id=booked.charge_id,
        status=answer.verdict,
        reference=answer.reference,
        amount=answer.amount,
        reason=answer.reason,
        refunded=answer.refunded,
    )
    return msgspec.json.encode(event)


def posting_to(url: str, threads: Executor) -> Post:
    """Make a function that POSTs to our webhook address, as another company's server would.

    It blocks a thread of `threads`, which should serve nothing else."""
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
