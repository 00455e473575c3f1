"""How fast a proxy is answered whether a visitor may go on, and how fast somebody is let straight in.

The check against the bare framework, with the compact pass and with one that our public keys verify; going straight in
against joining, both as a web process does it for everybody who comes at once.
"""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median, quantiles

from app.connections import open_redis, timing
from app.domain.passing import AdmissionPass, Mode, PassAlgorithm
from app.ledger import origins
from app.ledger.database import open_database
from app.ledger.events import AdminAction
from app.origins.compact import CompactPasses
from app.origins.passes import Passes
from app.origins.secrets import Sealer, hash_of
from app.origins.snippets import KINDS, Fail, Site, render
from app.room.joiner import Joiner
from app.room.person import StraightIn
from app.room.scripts import RoomScripts
from config.keys import load_keys
from config.settings import Settings
from loadtest.bench import room
from loadtest.bench.client import Address, paced
from loadtest.bench.machine import CLIENT_CORE, SERVER_CORE, on_cores
from loadtest.bench.processes import HOST, Web, ask, compared, nginx, product, redis, scratch
from loadtest.bench.report import BenchError, Row, Say
from loadtest.bench.rounds import Contender, compare, spread
from workers.admitter import QUIET_ROUNDS

PEOPLE = 10_000
ROOM, SITE = "bench", "shop.example"
PATH = f"/check/{ROOM}?deny=401"
PASS_S = 3_600
AT_ONCE = 2_000  # who come while a call to Redis is under way, as in a rush
ROUNDS = 5
FILL_S = 0.5  # until the bucket has enough for AT_ONCE
PACED_PER_S, PACED_S, PACED_ROUNDS = 5_000, 4.0, 3  # after one to warm up
SITE_ITSELF = "server { listen %s; location / { return 200 page; } }"
BROWSER = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate, br",
    "Accept-Language": "ko-KR,ko;q=0.9",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
    "X-Forwarded-Host": SITE,
    "X-Forwarded-Proto": "https",
    "X-Original-URI": "/sale?size=M",
}


def measure(say: Say) -> list[Row]:
    with ExitStack() as stack:
        settings = replace(stack.enter_context(scratch()), trusted_proxies=HOST)
        stack.enter_context(redis(settings))
        say(f"{PEOPLE:,} visitors get a pass")
        signed, compact = asyncio.run(_gather(settings))
        real = stack.enter_context(product(settings))
        status, _ = ask(real.address, "GET", PATH, {**BROWSER, "Cookie": compact[0]})
        if status != 200:
            raise BenchError(f"the check is not answered as it should be: {status}")
        bare = stack.enter_context(compared(settings, "bare", "--answer", "{}"))
        speeds = compare(
            {
                "compact": Contender(real, spread([_request(PATH, each) for each in compact])),
                "EdDSA": Contender(real, spread([_request(PATH, each) for each in signed])),
                "bare route": Contender(bare, spread([_request("/bare", each) for each in compact])),
            },
            say,
        )
        through = _through_nginx(settings, real, compact, say)
        joins, straight = asyncio.run(_straight(settings, say))
    plain = speeds["bare route"].per_s
    return [
        speeds["compact"].row("check, compact pass"),
        speeds["EdDSA"].row("check, EdDSA pass"),
        speeds["bare route"].row("  bare Starlette route"),
        Row(what="  compact against bare route", value=speeds["compact"].per_s / plain, unit="×", at_least=1.5),
        Row(what="  EdDSA against bare route", value=speeds["EdDSA"].per_s / plain, unit="×", at_least=0.5),
        *through,
        Row(what="straight in", value=straight, unit="/s"),
        Row(what="  against joins in batches as large", value=straight / joins, unit="×", at_least=0.6),
    ]


def _through_nginx(settings: Settings, real: Web, cookies: list[str], say: Say) -> list[Row]:
    """What a visitor waits for a page of a site behind nginx, which asks about each request as its snippet says."""
    tiketi = f"http://{real.address[0]}:{real.address[1]}"
    with socket.create_server((HOST, 0)) as free:
        behind = f"{HOST}:{free.getsockname()[1]}"
    kind = next(each for each in KINDS if each.name == "nginx")

    def asking(own: Address) -> str:
        url = f"http://{own[0]}:{own[1]}"
        filled = Site(tiketi=tiketi, host=url, room=ROOM, name=SITE, target=f"{url}/", upstream=f"http://{behind}")
        return render(kind, filled, Fail.closed) + SITE_ITSELF % behind

    requests = spread([_request("/bare", each) for each in cookies])
    with nginx(settings, asking, CLIENT_CORE) as proxy, on_cores(CLIENT_CORE):
        rounds = []
        for turn in range(PACED_ROUNDS + 1):
            took_ms = paced(proxy.address, requests, PACED_PER_S, PACED_S)
            rounds.append(quantiles(took_ms, n=100)[98])
            say(f"round {turn} of {PACED_ROUNDS}: p99 {rounds[-1]:.1f} ms through nginx")
    what = f"a page through nginx at {PACED_PER_S:,}/s, p99"
    return [
        Row(
            what=what,
            value=median(rounds[1:]),
            unit="ms",
            at_most=20,
            note="nginx serves the site itself, on the client's core",
        )
    ]


def _request(path: str, cookie: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: {SITE}", *(f"{name}: {value}" for name, value in BROWSER.items())]
    return "\r\n".join([*lines, f"Cookie: {cookie}", "", ""]).encode()


async def _gather(settings: Settings) -> tuple[list[str], list[str]]:
    """The cookies of everybody inside: with a pass that anybody can verify, and with a compact one."""
    await _make_site(settings)
    async with room.scripts_of(settings) as scripts:
        await room.make(scripts, ROOM)
        holders = await room.fill(scripts, ROOM, PEOPLE)
    keys, now_s = load_keys(settings.data_dir, settings.keys_file), int(time.time())
    passes = Passes(keys.signing_keys, keys.signing_kid, CompactPasses(keys.ticket_keys, keys.ticket_kid), time.time)
    admissions = [
        AdmissionPass(
            event_id=ROOM, epoch=room.EPOCH, number=number, holder=holder, began_s=now_s, expires_s=now_s + PASS_S
        )
        for number, holder in enumerate(holders, start=1)
    ]
    name = f"tiketi_pass_{ROOM}="
    return [name + passes.sign(each) for each in admissions], [name + passes.compact.sign(each) for each in admissions]


async def _make_site(settings: Settings) -> None:
    now, by = datetime.now(UTC), AdminAction("bench", "origin.create", {})
    sealer = Sealer(load_keys(settings.data_dir, settings.keys_file).holder_key, lambda size: b"n" * size)
    db = open_database(settings.database)
    try:
        site = origins.Origin(
            id=ROOM,
            name=SITE,
            hosts=[SITE],
            target_url=f"https://{SITE}/",
            customer_id=None,
            look={},
            logo=None,
            frame_ancestors=[],
            bind_tokens=False,
            secret=sealer.seal("s" * 72, ROOM),
            secret_before=None,
            api_key=hash_of("key"),
            api_key_before=None,
            before_until=None,
            version=1,
            created_at=now,
        )
        if refused := await origins.create(db, site, by, now):
            raise BenchError(f"no origin was made: {refused}")
        if refused := await origins.create_room(db, _room(now), by, now):
            raise BenchError(f"no room was made: {refused}")
    finally:
        await db.close()


def _room(now: datetime) -> origins.OriginRoom:
    return origins.OriginRoom(
        id=ROOM,
        origin_id=ROOM,
        name=SITE,
        translations={},
        opens_at=now,
        closes_at=None,
        mode=Mode.always,
        pass_s=PASS_S,
        pass_algorithm=PassAlgorithm.compact,
        target_url=None,
        rules=[],
        version=1,
        created_at=now,
        config={},
    )


async def _straight(settings: Settings, say: Say) -> tuple[float, float]:
    """How many people per second join, and how many are let in by the same step: medians, by turns."""
    client = open_redis(settings)
    scripts = RoomScripts(client, timing(settings))
    joiner, speeds = Joiner(scripts), {False: list[float](), True: list[float]()}
    try:
        with on_cores(SERVER_CORE):
            for turn in range(ROUNDS):
                for goes_in, took in speeds.items():
                    took.append(await _rush(scripts, joiner, f"rush-{turn}-{goes_in}".lower(), goes_in))
                say(f"round {turn + 1} of {ROUNDS}: joins {speeds[False][-1]:,.0f}/s, in {speeds[True][-1]:,.0f}/s")
    finally:
        await joiner.close()
        await client.aclose()
    return sorted(speeds[False])[ROUNDS // 2], sorted(speeds[True])[ROUNDS // 2]


async def _rush(scripts: RoomScripts, joiner: Joiner, room_id: str, goes_in: bool) -> float:
    await room.make(scripts, room_id, rate_per_s=10_000.0, burst=100_000)
    admitter = await room.admitter(scripts)
    await asyncio.sleep(FILL_S)
    for _ in range(QUIET_ROUNDS + 1):  # the bucket of a new room is empty, and a quiet one is not in every tick
        await admitter.tick()
    asked = [StraightIn(PASS_S) if goes_in else None for _ in range(AT_ONCE)]
    holders = [f"{room_id}-{number}" for number in range(AT_ONCE)]
    began_s = time.perf_counter()
    await asyncio.gather(
        *(joiner.join(room_id, room.EPOCH, each, "", straight=how) for each, how in zip(holders, asked, strict=True))
    )
    took_s = time.perf_counter() - began_s
    if goes_in and not all(how is not None and how.expires_ms for how in asked):
        raise BenchError("somebody was not let straight in")
    return AT_ONCE / took_s
