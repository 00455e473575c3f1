"""A CAPTCHA instead of work: asks its operator whether a token is good, by the siteverify protocol.

Turnstile, hCaptcha and reCAPTCHA share it: a form with `secret`, `response` and `remoteip`, answered by JSON with
`success`. One that cannot be reached, or answers anything else, counts as away for a while: work is asked for then.
"""

from __future__ import annotations

import asyncio
import http.client
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
import structlog

from app.limits.addresses import network_of

THREADS = 8
UNDER_WAY_MAX = 64  # tokens asked about at once; a flood of them is not passed on
OF_ONE_MAX = 4  # of them by one address: half of the threads stay free for others
TIMEOUT_S = 3.0
AWAY_S = 30.0  # asked again after so long
ANSWER_BYTES_MAX = 65_536
TOKEN_CHARS_MAX = 4_096

log = structlog.get_logger()


class Verdict(StrEnum):
    """`away`: nobody could say; `busy`: too many are asked about just now."""

    good = "captcha_good"
    bad = "captcha_bad"
    away = "captcha_away"
    busy = "busy"


class Captcha:
    """`scripts`: the address of the script for pages, then further origins that it loads from. `seconds`: steady."""

    def __init__(self, verify_url: str, site_key: str, secret: str, scripts: str, seconds: Callable[[], float]) -> None:
        self.site_key = site_key
        self.script_url, *more = scripts.split()
        self.origins = [f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in (self.script_url, *more)]
        self._url = urlsplit(verify_url)
        self._secret = secret
        self._seconds = seconds
        self.away_until_s = float("-inf")
        self._under_way: Counter[str] = Counter()  # network → its tokens
        self._threads = ThreadPoolExecutor(THREADS, "captcha")

    @property
    def is_up(self) -> bool:
        return self._seconds() >= self.away_until_s

    async def check(self, token: str, host: str) -> Verdict:
        """Whether the token that a browser at this address shows is good. Never raises."""
        if not 0 < len(token) <= TOKEN_CHARS_MAX:
            return Verdict.bad
        network = network_of(host)
        if self._under_way.total() >= UNDER_WAY_MAX or (network and self._under_way[network] >= OF_ONE_MAX):
            return Verdict.busy
        if not self.is_up:
            return Verdict.away
        self._under_way[network] += 1
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, token, host)
            return Verdict.good if answer["success"] is True else Verdict.bad
        except (OSError, http.client.HTTPException, msgspec.DecodeError, KeyError, TypeError) as error:
            self.away_until_s = self._seconds() + AWAY_S
            log.warning("captcha_away", error=repr(error), asked_again_in_s=AWAY_S)
            return Verdict.away
        finally:
            self._under_way[network] -= 1
            if not self._under_way[network]:
                del self._under_way[network]

    def _ask(self, token: str, host: str) -> dict[str, Any]:
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._url.hostname or "", self._url.port, timeout=TIMEOUT_S)
        try:
            body = urlencode({"secret": self._secret, "response": token, "remoteip": host})
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", self._url.path or "/", body, headers)
            answer: dict[str, Any] = msgspec.json.decode(connection.getresponse().read(ANSWER_BYTES_MAX))
            return answer
        finally:
            connection.close()

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def proof_of(token: str) -> str:
    """The id under which a token is spent: they are good once by their operator's word, and by ours."""
    return blake2b(token.encode(), digest_size=16).hexdigest()
