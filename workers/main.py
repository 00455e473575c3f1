"""One worker: an arq process that ticks the rooms, allocates seats when woken, and sweeps four times a second.

Any number may run and any may die. What an arq job does is always found again by the next one: jobs only wake.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from arq.cron import CronJob, cron
from arq.typing import WorkerCoroutine
from arq.utils import poll
from arq.worker import Worker, func

from app import jobs
from app.cache.notices import Notices
from app.cache.tags import EVENTS, event_tag
from app.connections import (
    exit_if_failed,
    make_processes,
    open_redis,
    open_store,
    outlived,
    running,
    shared_clock,
    store_of,
    timing,
    until_stores_work,
)
from app.control.beacon import Beacon
from app.lane.live_holds import HoldsMax
from app.metrics.metrics import Metrics
from app.metrics.work import Work, work_readings
from app.outages import REDIS, Outages
from app.payments.webhook_sender import POSTS_AT_ONCE, WebhookSender, posting_to
from app.payments.webhook_signature import WebhookSecrets
from app.payments.wiring import open_providers
from app.redis_keys import ARQ_JOBS, SHARED
from app.room.division import Division
from app.room.scripts import RoomScripts
from config.keys import KeyFingerprint, load_keys, path_of
from config.settings import Settings
from workers.admitter import Admitter
from workers.allocator import Allocator, allocate
from workers.closer import Closer, close_cancelled
from workers.drawer import Drawer
from workers.keeper import Keeper
from workers.offerer import Offerer, offer
from workers.payer import make_payer, send_webhooks, settle_payments
from workers.posters import PosterMaker, make_posters, prune_posters
from workers.pruner import NIGHT, prune_history
from workers.rounds import alone, unhurt
from workers.sweeper import Sweeper, prune, sweep, wake_stranded

MAX_JOBS = 32  # lanes drained and ticks served at once by one worker
JOB_TIMEOUT_S = 30
HEALTH_S = 10
RETRY_S = 0.2  # between attempts while Redis cannot be reached
SWEEPS_US = (0, 250_000, 500_000, 750_000)  # in each second: seats are free well within one of a hold's end

log = structlog.get_logger()
EVERY_SECOND = set(range(60))


async def tend_rooms(ctx: dict[str, Any]) -> None:
    """The keeper's round."""
    await ctx["keeper"].round(ctx["clock"].now())


async def start(ctx: dict[str, Any]) -> None:
    """Open the stores and start ticking, once Redis has told the time."""
    settings: Settings = ctx["settings"]
    stack = ctx["stack"] = AsyncExitStack()
    redis, outages = ctx["redis_raw"], ctx["outages"]
    clock = ctx["clock"] = await until_stores_work(
        outages, lambda: stack.enter_async_context(shared_clock(redis, outages, ctx["wall_s"]))
    )
    now = clock.now
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
        holds_max=HoldsMax(settings.holds_per_holder_max, settings.holds_per_address_max),
        now=now,
        clock=time.monotonic,
        new_owner=lambda: secrets.token_hex(8),
        new_reservation_id=new_reservation_id,
        work=work,
    )
    ctx["sweeper"] = Sweeper(redis=redis, db=db, wake=wake, now=now)
    keys = load_keys(settings.data_dir, settings.keys_file)
    providers = open_providers(settings, WebhookSecrets(keys.webhook_secrets), db, now)
    ctx["payer"] = make_payer(db, redis, wake, providers, now)
    posts = ThreadPoolExecutor(POSTS_AT_ONCE, "webhook_sender")
    stack.callback(posts.shutdown, wait=False, cancel_futures=True)
    post = posting_to(settings.webhook_url, posts)
    ctx["webhook_sender"] = WebhookSender(db=db, post=post, secret=keys.webhook_secret, now=now)
    ctx["closer"] = Closer(redis=redis, db=db, wake=wake, now=now)
    ctx["offerer"] = Offerer(redis=redis, db=db, wake=wake, now=now)
    notices = Notices(redis)
    ctx["posters"] = PosterMaker(db=db, now=now, changed=lambda event_id: notices.tell([EVENTS, event_tag(event_id)]))
    keeper = ctx["keeper"] = Keeper(redis, scripts, db)
    stack.push_async_callback(keeper.close)
    await unhurt(tend_rooms)(ctx)  # a store that is away by now is waited for by the next round
    division = Division(redis, secrets.token_hex(8), time.monotonic)
    admitter = Admitter(scripts, wake, settings.tick_ms, work, outages, division)
    drawer = make_drawer(ctx, stack, work)
    fingerprint = KeyFingerprint(path_of(settings.data_dir, settings.keys_file), keys)
    processes = make_processes(clock, ctx["process"], "worker", fingerprint)
    stack.push_async_callback(processes.close)
    await stack.enter_async_context(running(admitter=admitter.run(), drawer=drawer.run(), processes=processes.run()))
    metrics = Metrics(settings, ctx["process"], db, clock, now)
    metrics.sources.append(lambda: work_readings(work))
    await stack.enter_async_context(metrics.published())
    log.info("worker_ready")


def make_drawer(ctx: dict[str, Any], stack: AsyncExitStack, work: Work) -> Drawer:
    """What draws the openings, with a public beacon if one is set."""
    url = ctx["settings"].beacon_url
    beacon = Beacon(url=url) if url else None
    if beacon is not None:
        stack.callback(beacon.close)
    return Drawer(
        redis=ctx["redis_raw"],
        scripts=ctx["scripts"],
        db=ctx["db"],
        now=ctx["clock"].now,
        random=secrets.token_bytes,
        work=work,
        beacon=beacon,
        outages=ctx["outages"],
    )


def new_reservation_id() -> str:
    return "r_" + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(20))


class OutlivingWorker(Worker):
    """An arq worker that outlives its stores: arq's own ends with the first error of Redis, and closes what its jobs
    still use. `ctx["outages"]` says in the log when Redis fails and works again.
    """

    async def main(self) -> None:
        """Start, then look for jobs until cancelled."""
        self.ctx["redis"] = self.pool
        await start(self.ctx)
        async for _ in poll(self.poll_delay_s):
            try:
                await self._poll_iteration()
            except Exception as error:
                if store_of(error) != REDIS:
                    raise
                self.ctx["outages"].failed(REDIS, "jobs", error)
                self._begin_anew()
                await asyncio.sleep(RETRY_S)
            else:
                self.ctx["outages"].worked("jobs")

    def _begin_anew(self) -> None:
        """Drop the jobs that Redis broke, and forget the rounds that were missed: the next ones find their work."""
        for job_id, task in list(self.tasks.items()):
            if task.done() and not task.cancelled() and (error := task.exception()) and store_of(error) == REDIS:
                del self.tasks[job_id]
        for job in self.cron_jobs or ():
            job.next_run = None
        self._last_health_check = 0

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """arq counts a job before it asks Redis for it, and never stops counting one that it could not ask for."""
        for job_id in job_ids:
            try:
                await super().start_jobs([job_id])
            except Exception:
                self._release_sem_dec_counter_on_complete()
                raise

    async def close(self) -> None:
        """Let the jobs end, say that we are gone, and close what was opened."""
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        self.tasks.clear()
        with outlived(self.ctx["outages"], "jobs"):  # without Redis this key ends by itself
            await self.pool.delete(self.health_check_key)
        if "stack" in self.ctx:
            await self.ctx["stack"].aclose()
        await self.ctx["redis_raw"].aclose()


def rounds(posters: WorkerCoroutine) -> list[CronJob]:
    """Everything that is done by the clock; none of it beside itself."""
    sweeping = alone(sweep)
    return [
        each(alone(tend_rooms), second=EVERY_SECOND, microsecond=250_000),
        *(each(sweeping, f"sweep:{at}", second=EVERY_SECOND, microsecond=at) for at in SWEEPS_US),
        each(alone(close_cancelled), second=EVERY_SECOND, microsecond=500_000),
        each(alone(wake_stranded), second=EVERY_SECOND, microsecond=750_000),
        each(alone(settle_payments), second=EVERY_SECOND, microsecond=100_000),
        each(alone(send_webhooks), second=EVERY_SECOND, microsecond=600_000),
        each(alone(prune), second=0),
        each(alone(offer), second=EVERY_SECOND, microsecond=400_000),
        each(posters, "posters:round", second=set(range(1, 60, 2))),
        each(alone(prune_posters), second=30),
        each(alone(prune_history), hour=NIGHT, second=45),
    ]


def each(work: WorkerCoroutine, name: str = "", **when: Any) -> CronJob:
    """A round, by the name that its jobs have in Redis. `when`: as arq's `cron` takes it."""
    return cron(work, name=f"cron:{name or work.__qualname__}{SHARED}", keep_result=0, **when)


def build(settings: Settings, process: str = "worker", wall_s: Callable[[], float] = time.time) -> Worker:
    """The arq worker with every job it knows. `wall_s`: the clock of its machine, which may be wrong."""
    posters, redis = alone(make_posters), open_redis(settings)
    return OutlivingWorker(
        functions=[
            func(unhurt(allocate), name=jobs.ALLOCATE, keep_result=0),
            func(posters, name=jobs.POSTERS, keep_result=0),
        ],
        cron_jobs=rounds(posters),
        redis_pool=jobs.job_queue(redis.connection_pool),
        queue_name=ARQ_JOBS,
        job_serializer=jobs.serialize,
        job_deserializer=jobs.deserialize,
        ctx={"settings": settings, "process": process, "redis_raw": redis, "outages": Outages(), "wall_s": wall_s},
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
