"""One simulated visitor of the demo shop: wants to buy, is sent to wait, comes back at the turn, buys, and leaves.

Follows redirects and keeps cookies as a browser does, and tells what happened in a `Story`.
"""

from __future__ import annotations

import asyncio
import json
import random
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urljoin, urlsplit

import httpx2

HOPS_MAX = 10
POLL_MIN_S, POLL_MAX_S = 0.1, 1.0
FORGED = "eyJhbGciOiJub25lIn0.e30."
TURN = ("admitted", "claimed")


class Failed(Exception):
    """A visitor was answered with what no visitor should be; the text says with what."""


@dataclass(slots=True)
class Story:
    """`asked_s`: when they asked to buy; `turn_s`: when the turn began, as Tiketi told, of those who waited; `in_s`:
    when the shop answered; Unix seconds. `crashed`: how they came in without a turn, if they did; `tries`: how often
    they tried."""

    number: int = 0
    asked_s: float = 0.0
    turn_s: float | None = None
    in_s: float | None = None
    bought: bool = False
    tries: int = 0
    crashed: list[str] = field(default_factory=list)
    failed: str = ""


@dataclass(slots=True)
class Shopper:
    """`vanishes`: who comes in and is never heard of again."""

    client: httpx2.AsyncClient
    shop: str
    tiketi: str
    room: str
    address: str
    claim_window_s: float
    dice: random.Random
    vanishes: bool = False
    cookies: dict[str, str] = field(default_factory=dict)
    story: Story = field(default_factory=Story)

    @property
    def goods(self) -> str:
        return f"{self.shop}/buy/han"

    async def visit(self, deadline_s: float) -> Story:
        """Until bought, or the event loop's clock says that it is over."""
        loop = asyncio.get_running_loop()
        try:
            await self._crash("a forged pass", {f"tiketi_pass_{self.room}": FORGED})
            if not await self._came_in(deadline_s - loop.time()):
                return self.story
            if not self.vanishes:
                await self._buy()
        except (httpx2.HTTPError, Failed) as error:
            self.story.failed = f"{type(error).__name__}: {error}"
        return self.story

    async def _came_in(self, within_s: float) -> bool:
        self.story.asked_s = _now_s()
        try:
            async with asyncio.timeout(within_s):
                answer = await self._go(self.goods)
                while not self._is_in(answer):
                    await self._wait_for_turn()
                    answer = await self._go(self.goods)
        except TimeoutError:
            return False
        self.story.in_s, self.story.number = _now_s(), self._number()
        return True

    def _number(self) -> int:
        """Of the pass, which also those have who did not wait."""
        _, body, _ = self.cookies[f"tiketi_pass_{self.room}"].split(".")
        number: int = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))["number"]
        return number

    async def _wait_for_turn(self) -> None:
        while True:
            answer = await self._send("GET", f"{self.tiketi}/api/queue/{self.room}/position")
            if answer.status_code != 200:
                raise Failed(f"a position is answered with {answer.status_code}: {answer.text[:200]}")
            position = answer.json()
            self.story.number = position["number"]
            if position["state"] in TURN:
                if "claimBefore" in position:
                    ends_s = datetime.fromisoformat(position["claimBefore"]).timestamp()
                    self.story.turn_s = ends_s - self.claim_window_s
                return
            if position["state"] != "waiting":
                raise Failed(f"the place has ended: {position['state']}")
            poll_s = min(POLL_MAX_S, max(POLL_MIN_S, position["pollAfterMs"] / 1000))
            await asyncio.sleep(poll_s * self.dice.uniform(0.8, 1.0))

    async def _buy(self) -> None:
        await asyncio.sleep(self.dice.uniform(0.2, 1.5))
        used = self.cookies.get(f"tiketi_pass_{self.room}", "")
        answer = await self._go(self.goods, "POST")
        if "/thanks/" not in str(answer.url):
            raise Failed(f"buying is answered with {answer.status_code} at {answer.url}")
        self.story.bought = True
        await self._crash("a pass whose visit has ended", {f"tiketi_pass_{self.room}": used})

    async def _crash(self, how: str, cookies: Mapping[str, str]) -> None:
        """Try to get in without a turn."""
        self.story.tries += 1
        answer = await self._send("GET", self.goods, cookies)
        if self._is_in(answer):
            self.story.crashed.append(how)

    def _is_in(self, answer: httpx2.Response) -> bool:
        return answer.status_code == 200 and str(answer.url).startswith(self.shop)

    async def _go(self, url: str, method: str = "GET") -> httpx2.Response:
        """As a browser goes somewhere."""
        for _ in range(HOPS_MAX):
            answer = await self._send(method, url)
            if not answer.is_redirect:
                return answer
            url, method = urljoin(url, answer.headers["location"]), "GET"
        raise Failed(f"redirected {HOPS_MAX} times, last to {url}")

    async def _send(self, method: str, url: str, cookies: Mapping[str, str] | None = None) -> httpx2.Response:
        shown = self.cookies if cookies is None else cookies
        headers = {"X-Forwarded-For": self.address, "Accept": "text/html", "Origin": _origin(url)}
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in shown.items())
        answer = await self.client.request(method, url, headers=headers, follow_redirects=False)
        if cookies is None:
            for line in answer.headers.get_list("set-cookie"):
                self._keep(line)
        return answer

    def _keep(self, line: str) -> None:
        name, _, rest = line.partition("=")
        if "max-age=0" in line.lower():
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = rest.partition(";")[0]


def _now_s() -> float:
    return datetime.now().timestamp()  # noqa: DTZ005 - seconds since the epoch know no zone


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
