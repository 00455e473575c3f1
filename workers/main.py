"""One worker: an arq process that ticks the rooms, allocates seats when woken, and sweeps four times a second.

Any number may run and any may die. What an arq job does is always found again by the next one: jobs only wake.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from arq.cron import CronJob, cron
from arq.typing import WorkerCoroutine
from arq.worker import Worker, func

from app import jobs
from app.cache.notices import Notices
from app.cache.tags import EVENTS, event_tag
from app.connections import exit_if_failed, open_redis, open_store, running, timing, utc_now
from app.metrics.metrics import Metrics
from app.metrics.work import Work, work_readings
from app.payments.webhook_sender import POSTS_AT_ONCE, WebhookSender, posting_to
from app.payments.wiring import open_providers
from app.room.scripts import RoomScripts
from config.keys import load_keys
from config.settings import Settings
from workers.admitter import Admitter
from workers.allocator import Allocator, allocate
from workers.closer import Closer, close_cancelled
from workers.keeper import keep
from workers.offerer import Offerer, offer
from workers.payer import make_payer, send_webhooks, settle_payments
from workers.posters import PosterMaker, make_posters, prune_posters
from workers.rounds import alone
from workers.sweeper import Sweeper, prune, sweep, wake_stranded

MAX_JOBS = 32  # lanes drained and ticks served at once by one worker
JOB_TIMEOUT_S = 30
HEALTH_S = 10
SWEEPS_US = (0, 250_000, 500_000, 750_000)  # in each second: seats are free well within one of a hold's end

log = structlog.get_logger()
EVERY_SECOND = set(range(60))


async def tend_rooms(ctx: dict[str, Any]) -> None:
    """The keeper's round."""
    await keep(ctx["redis_raw"], ctx["scripts"], ctx["db"], utc_now())


async def start(ctx: dict[str, Any]) -> None:
    """Open the stores and start ticking."""
    settings: Settings = ctx["settings"]
    stack = ctx["stack"] = AsyncExitStack()
    redis = ctx["redis_raw"] = open_redis(settings)
    stack.push_async_callback(redis.aclose)
    db = ctx["db"] = open_store(settings)
    stack.push_async_callback(db.close)
    scripts = ctx["scripts"] = RoomScripts(redis, timing(settings))
    wake = partial(jobs.wake_allocator, ctx["redis"])
    work = Work()
    ctx["allocator"] = Allocator(
        redis=redis,
        db=db,
        wake=wake,
        finish=scripts.end_served,
        hold_for=timedelta(seconds=settings.hold_s),
        offer_for=timedelta(seconds=settings.waitlist_offer_s),
        now=utc_now,
        clock=time.monotonic,
        new_owner=lambda: secrets.token_hex(8),
        new_reservation_id=new_reservation_id,
        work=work,
    )
    ctx["sweeper"] = Sweeper(redis=redis, db=db, wake=wake, now=utc_now)
    keys = load_keys(settings.data_dir, settings.keys_file)
    providers = open_providers(settings, keys, db, utc_now)
    ctx["payer"] = make_payer(db, redis, wake, providers, utc_now)
    posts = ThreadPoolExecutor(POSTS_AT_ONCE, "webhook_sender")
    stack.callback(posts.shutdown, wait=False, cancel_futures=True)
    post = posting_to(settings.webhook_url, posts)
    ctx["webhook_sender"] = WebhookSender(db=db, post=post, secret=keys.webhook_secret, now=utc_now)
    ctx["closer"] = Closer(redis=redis, db=db, wake=wake)
    ctx["offerer"] = Offerer(redis=redis, db=db, wake=wake, now=utc_now)
    notices = Notices(redis)
    ctx["posters"] = PosterMaker(
        db=db, now=utc_now, changed=lambda event_id: notices.tell([EVENTS, event_tag(event_id)])
    )
    await tend_rooms(ctx)
    await stack.enter_async_context(running(admitter=Admitter(scripts, wake, settings.tick_ms, work).run()))
    metrics = Metrics(settings, ctx["process"], db, utc_now)
    metrics.sources.append(lambda: work_readings(work))
    await stack.enter_async_context(metrics.published())
    log.info("worker_ready")


async def stop(ctx: dict[str, Any]) -> None:
    await ctx["stack"].aclose()


def new_reservation_id() -> str:
    return "r_" + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(20))


class GentleWorker(Worker):
    """An arq worker that lets its jobs end before it closes what they use; arq cancels them and then trips over it."""

    async def close(self) -> None:
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        self.tasks.clear()
        await super().close()


def rounds(posters: WorkerCoroutine) -> list[CronJob]:
    """Everything that is done by the clock; none of it beside itself."""
    sweeping = alone(sweep)
    return [
        cron(alone(tend_rooms), second=EVERY_SECOND, microsecond=250_000, keep_result=0),
        *(cron(sweeping, name=f"sweep:{at}", second=EVERY_SECOND, microsecond=at, keep_result=0) for at in SWEEPS_US),
        cron(alone(close_cancelled), second=EVERY_SECOND, microsecond=500_000, keep_result=0),
        cron(alone(wake_stranded), second=EVERY_SECOND, microsecond=750_000, keep_result=0),
        cron(alone(settle_payments), second=EVERY_SECOND, microsecond=100_000, keep_result=0),
        cron(alone(send_webhooks), second=EVERY_SECOND, microsecond=600_000, keep_result=0),
        cron(alone(prune), second=0, keep_result=0),
        cron(alone(offer), second=EVERY_SECOND, microsecond=400_000, keep_result=0),
        cron(posters, name="posters:round", second=set(range(1, 60, 2)), keep_result=0),
        cron(alone(prune_posters), second=30, keep_result=0),
    ]


def build(settings: Settings, process: str = "worker") -> Worker:
    """The arq worker with every job it knows."""
    posters = alone(make_posters)
    return GentleWorker(
        functions=[
            func(allocate, name=jobs.ALLOCATE, keep_result=0),
            func(posters, name=jobs.POSTERS, keep_result=0),
        ],
        cron_jobs=rounds(posters),
        redis_settings=jobs.redis_settings(settings.redis),
        job_serializer=jobs.serialize,
        job_deserializer=jobs.deserialize,
        ctx={"settings": settings, "process": process},
        on_startup=start,
        on_shutdown=stop,
        max_jobs=MAX_JOBS,
        job_timeout=JOB_TIMEOUT_S,
        poll_delay=settings.worker_poll_s,
        keep_result=0,
        health_check_interval=HEALTH_S,
        max_tries=1,  # the next tick is the retry
    )


def run(settings: Settings, process: str = "worker") -> None:
    """Work until SIGTERM or SIGINT."""
    build(settings, process).run()
    exit_if_failed()
