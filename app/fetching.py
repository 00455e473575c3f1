"""Asks other servers for JSON, within limits of time and size, and remembers what they said.

Only addresses that the operator set, or that such a server names, and only by https or on this machine. A redirect is
not followed, and nothing is unpacked: an answer is no larger in memory than on its way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

import httpx2
import msgspec
import structlog

from app import request_id
from config.urls import why_not_fetched

TIMEOUT_S = 3.0  # of one exchange as a whole
ANSWER_BYTES_MAX = 262_144
KEPT_S = 3_600.0  # how long an answer is used without asking again
STALE_S = 86_400.0  # and how long while nobody gives another one
AGAIN_S = 10.0  # a server is asked once in this time, whether it answered or not

T = TypeVar("T")
log = structlog.get_logger()


class FetchFailed(Exception):
    """A server did not say what it was asked for, in time and within the limits; the text says why."""


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with an error once it is longer than any answer may be."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > ANSWER_BYTES_MAX:
                raise httpx2.ReadError("the answer is too long")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class BoundedTransport(httpx2.AsyncHTTPTransport):
    """For clients of a library: the limits of this module, for every request they make, and the id of the request that
    they are made for."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if wrong := why_not_fetched(str(request.url)):
            raise httpx2.UnsupportedProtocol(wrong)
        request.headers["accept-encoding"] = "identity"
        request.headers.update(request_id.passed_on())
        response = await super().handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx2.ReadError("the answer is packed")
        response.stream = _Bounded(response.stream)
        return response


async def fetch_json(client: httpx2.AsyncClient, url: str) -> Any:
    """What the server at `url` says. The client has a BoundedTransport. Raises FetchFailed."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answer = await client.send(client.build_request("GET", url))
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
        raise FetchFailed(f"{type(error).__name__}: {error}") from error
    if answer.status_code != 200:
        raise FetchFailed(f"the answer is {answer.status_code}")
    try:
        return msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FetchFailed(f"no JSON: {error}") from error


class Fetched(Generic[T]):
    """What `parse` makes of the JSON at an address; it raises ValueError for what cannot be used. `seconds`: steady."""

    def __init__(
        self, client: httpx2.AsyncClient, url: str, parse: Callable[[Any], T], seconds: Callable[[], float]
    ) -> None:
        self._client = client
        self.url = url
        self._parse = parse
        self._seconds = seconds
        self._asking = asyncio.Lock()
        self._asked_s = self._read_s = float("-inf")
        self.value: T | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether it was read so lately that it is not asked for again yet."""
        return self._seconds() - self._read_s < AGAIN_S

    async def read(self, *, newer: bool = False) -> T:
        """The newest that is known. `newer`: ask for one again, unless that was done just now. Raises FetchFailed.

        What the server said before is used for STALE_S while it says nothing better.
        """
        why = await self.renew(newer=newer)
        if self.value is None:
            raise FetchFailed(why or "it did not answer just now")
        return self.value

    async def renew(self, *, newer: bool = False) -> str:
        """Ask again if it is time; why that failed, or nothing. A failure is logged."""
        async with self._asking:
            age_s = self._seconds() - self._read_s
            if not (newer or age_s >= KEPT_S) or self._seconds() - self._asked_s < AGAIN_S:
                return ""
            self._asked_s = self._seconds()
            return await self._ask(age_s)

    async def _ask(self, age_s: float) -> str:
        try:
            self.value = self._parse(await fetch_json(self._client, self.url))
            self._read_s = self._seconds()
        except (FetchFailed, ValueError) as error:
            log.warning("fetch_failed", url=self.url, error=str(error), again_in_s=AGAIN_S)
            if age_s >= STALE_S:
                self.value = None
            return str(error)
        return ""
