"""`make swarm ORIGIN=demo-shop`: flood the demo shop through its waiting room, and judge by the shop's own record."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx2

from app.run.demo_shop.shopper import Shopper, Story
from config.demo import SHOP
from loadtest.audit import CLEAN, Say, code, say_finding
from loadtest.judge import visits
from loadtest.judge.finding import Finding, spread
from loadtest.judge.visits import Came, Limits
from loadtest.options import Options, own_room
from loadtest.plan import arrivals
from loadtest.system import System, admin_token, ask, own_system, settings_of

FILE = "shop.json"
PASS_S = 10
VANISHES = 0.1  # of the visitors
TIMEOUT_S = 20.0
CONNECTIONS_MAX = 200


@dataclass(frozen=True, slots=True)
class Target:
    """`limits`: what is set of the shop's room."""

    shop: str
    tiketi: str
    limits: Limits
    claim_window_s: float


async def flood(options: Options, environ: Mapping[str, str], folder: Path, say: Say = print) -> int:
    """One run and its verdict; answers the exit code. Raises SystemFailed."""
    if options.host:
        target = find_target(options.host, System(options.host, settings_of(environ)))
        return await _flood(options, target, folder, say)
    room = own_room(options)
    say("Starting a system of its own…")
    more = {"TIKETI_DEMO_SHOP": "1"}
    async with own_system(environ, room, SHOP, folder / "system.log", more) as system:
        token = await asyncio.to_thread(admin_token, system.url)
        change = {"passSeconds": PASS_S}
        await asyncio.to_thread(ask, "PUT", f"{system.url}/api/admin/rooms/{SHOP}", change, token)
        return await _flood(options, find_target(system.url, system), folder, say)


def find_target(url: str, system: System) -> Target:
    """The demo shop of a running system, as its admin sees it. Raises SystemFailed."""
    token = admin_token(url)
    hosts = ask("GET", f"{url}/api/admin/origins/{SHOP}", token=token)["origin"]["hosts"]
    room = ask("GET", f"{url}/api/admin/events/{SHOP}/admission", token=token)
    limits = Limits(rate_per_s=room["ratePerSecond"], burst=room["burst"], max_active=room["maxActive"])
    return Target(hosts[0], url, limits, system.settings.claim_window_s)


async def _flood(options: Options, target: Target, folder: Path, say: Say) -> int:
    of = target.limits
    say(f"{target.shop}: {of.rate_per_s:g} visitors per second, burst {of.burst}, capacity {of.max_active}")
    stories = await _send(options, target)
    record = await asyncio.to_thread(ask, "GET", f"{target.shop}/record")
    stored = {"record": record, "stories": [asdict(story) for story in stories], "limits": asdict(of)}
    (folder / FILE).write_text(json.dumps(stored))
    findings = judge(record, stories, of)
    say(f"\nVerdict on {folder}: {options.users} visitors against {target.shop}, seed {options.seed}\n")
    for finding in findings:
        say_finding(finding, say)
    clean = code(findings) == CLEAN
    say("\nClean: I3 and I4 hold as the shop saw them." if clean else "\nNot clean: see above.")
    return code(findings)


async def _send(options: Options, target: Target) -> list[Story]:
    dice = random.Random(options.seed)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    limits = httpx2.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX)
    async with httpx2.AsyncClient(limits=limits, timeout=TIMEOUT_S) as client:

        async def come(place: int, at_s: float) -> Story:
            shopper = Shopper(
                client=client,
                shop=target.shop,
                tiketi=target.tiketi,
                room=SHOP,
                address=f"10.{place >> 16 & 255}.{place >> 8 & 255}.{place & 255}",
                claim_window_s=target.claim_window_s,
                dice=random.Random(dice.random()),
                vanishes=dice.random() < VANISHES,
            )
            await asyncio.sleep(max(0.0, began_s + at_s - loop.time()))
            return await shopper.visit(began_s + options.duration_s)

        coming = [come(place, at_s) for place, at_s in enumerate(arrivals(dice, options), start=1)]
        return list(await asyncio.gather(*coming))


def judge(record: Mapping[str, Any], stories: Sequence[Story], limits: Limits) -> list[Finding]:
    """Pure: from what the shop noted and what the visitors were told."""
    seen = [
        Came(
            number=visit["number"],
            came_s=visit["came_s"],
            left_s=visit["expires_s"] if visit["ended_s"] is None else visit["ended_s"],
        )
        for visit in record["visits"]
    ]
    turns_s = {story.number: story.turn_s for story in stories if story.turn_s is not None}
    # who did not wait was let in after they asked, at the earliest
    earliest_s = {story.number: story.asked_s for story in stories if story.in_s is not None} | turns_s
    late_s = [visit.came_s - earliest_s[visit.number] for visit in seen if visit.number in earliest_s]
    crashed = [how for story in stories for how in story.crashed]
    findings = [
        visits.judge_order(seen, turns_s),
        visits.judge_rate(seen, limits, max(late_s, default=0.0)),
        visits.judge_capacity(seen, limits),
        visits.judge_crashers(sum(story.tries for story in stories), crashed),
        _judge_visitors(stories, late_s),
    ]
    if record["forgotten"]:
        for finding in findings[:3]:
            finding.unproven = f"the shop forgot {record['forgotten']} visits"
    return findings


def _judge_visitors(stories: Sequence[Story], late_s: Sequence[float]) -> Finding:
    failed = [story.failed for story in stories if story.failed]
    came, bought = sum(story.in_s is not None for story in stories), sum(story.bought for story in stories)
    finding = Finding(topic="visitors", warnings=failed)
    finding.text = f"{came} came in, {bought} bought; from the turn to the shop {spread([s * 1000 for s in late_s])}"
    if failed:
        finding.unproven = f"{len(failed)} visitors were not served as they should be"
    elif not came:
        finding.unproven = "nobody came in"
    return finding
