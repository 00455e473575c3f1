"""The public keys that passes are signed with, as Tiketi publishes them, remembered: passes are checked without asking.

They are fetched at most once in `again_s`, whoever asks for whatever key; what was read last is used for STALE_S while
nothing better comes. Safe in any thread.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable
from enum import StrEnum
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import jwt

TIMEOUT_S = 3.0
KEYS_BYTES_MAX = 65_536
KEYS_MAX = 64
KEPT_S = 60.0  # after that they are asked for again, beside the requests that come
AGAIN_S = 5.0
LOOKED_S = 2.0  # for a site that lets newcomers in while Tiketi is away: how old an answer may be that says it is there
LOOK_TIMEOUT_S = 1.0  # and how long a newcomer waits for another one
STALE_S = 86_400.0

log = logging.getLogger("tiketi.connect")
Fetch = Callable[[], bytes]


class Renewal(StrEnum):
    """Whether the keys are to be asked for: by who needs one now, or beside the requests."""

    none = "none"
    beside = "beside"
    now = "now"


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


OPENER = build_opener(_NoRedirects)


def fetched(url: str, timeout_s: float = TIMEOUT_S) -> bytes:
    """What is at this address. Raises OSError, HTTPException, ValueError."""
    with OPENER.open(Request(url), timeout=timeout_s) as answer:  # noqa: S310 - an address that the shop set
        body: bytes = answer.read(KEYS_BYTES_MAX + 1)
    if len(body) > KEYS_BYTES_MAX:
        raise ValueError("the answer is too long")
    return body


class PublicKeys:
    """`seconds`: a clock that never goes back. `again_s`: not sooner than this they are asked for again."""

    def __init__(self, fetch: Fetch, seconds: Callable[[], float], again_s: float = AGAIN_S) -> None:
        self._fetch = fetch
        self._seconds = seconds
        self._again_s = again_s
        self._keys: dict[str, Any] = {}
        self._read_s = self._asked_s = float("-inf")
        self._asking = threading.Lock()
        self.is_away = False  # whether the last question had no answer
        self.changes = 0  # grows when other keys came

    @property
    def are_known(self) -> bool:
        return bool(self._keys) and self._seconds() - self._read_s < STALE_S

    def find(self, kid: str) -> Any:
        """The key, or None."""
        return self._keys.get(kid) if self.are_known else None

    def renewal(self, kids: Iterable[str] = (), *, must_be_there: bool = False) -> Renewal:
        """Whether to ask, for somebody who has a pass of these keys, or is sent to Tiketi if it is there."""
        now_s = self._seconds()
        if now_s - self._asked_s < self._again_s:
            return Renewal.none
        if must_be_there or not self.are_known or any(kid not in self._keys for kid in kids):
            return Renewal.now
        is_due = now_s - self._read_s >= KEPT_S or self.is_away
        return Renewal.beside if is_due and not self._asking.locked() else Renewal.none

    def renew(self) -> None:
        """Ask, unless that was done just now or is being done. A failure is logged."""
        with self._asking:
            if self._seconds() - self._asked_s < self._again_s:
                return
            try:
                self._learn(_read(self._fetch()))
                self.is_away = False
            except (OSError, HTTPException, ValueError) as error:
                log.warning("Tiketi's public keys could not be read: %s", _why(error))
                self.is_away = True
            self._asked_s = self._seconds()

    def _learn(self, keys: dict[str, Any]) -> None:
        if keys.keys() != self._keys.keys():
            self.changes += 1
        self._keys, self._read_s = keys, self._seconds()


def _why(error: Exception) -> str:
    return f"the answer is {error.code}" if isinstance(error, HTTPError) else f"{type(error).__name__}: {error}"


def _read(body: bytes) -> dict[str, Any]:
    """The Ed25519 keys of a JWKS (RFC 7517), by id; others are not ours. Raises ValueError."""
    try:
        listed = json.loads(body)["keys"][:KEYS_MAX]
        ours = [jwk for jwk in listed if jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519"]
        keys = {str(jwk["kid"]): jwt.PyJWK(jwk, "EdDSA").key for jwk in ours}
    except (jwt.PyJWTError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no key set: {type(error).__name__}") from error
    if not keys:
        raise ValueError("no key in the key set")
    return keys
