"""A browser's secret, and the holder id that everything else knows the browser by.

The secret is made and signed here, travels in one cookie and is stored nowhere. The holder id is a keyed hash of it
(BLAKE2b, RFC 7693): tickets, passes, SQL, Redis and logs carry that, and nobody gets from it to the secret. So a
holder id opens nothing. The key of the hash is never rotated: a browser would be another holder afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import NamedTuple

from app.domain.signed import VALUE_BYTES, Signed
from app.domain.ticket import HOLDER_BYTES, is_account, is_invited

_PURPOSE = b"tiketi browser"  # the keys sign tickets as well: neither may pass for the other
DRAWN_AT_ONCE = 256  # secrets: asking the system costs more than the bytes


class Browser(NamedTuple):
    """`cookie` is the secret, signed, as the browser keeps it; `holder` the 16 bytes everybody else may see."""

    cookie: str
    holder: bytes


class Browsers:
    """Makes browsers with the newest key and recognises those of any key that is still known."""

    __slots__ = ("_draw", "_drawn", "_hashed", "_signed")

    def __init__(self, keys: Mapping[int, bytes], kid: int, holder_key: bytes, draw: Callable[[int], bytes]) -> None:
        self._signed = Signed(keys, kid, _PURPOSE)
        self._hashed = blake2b(key=holder_key, digest_size=HOLDER_BYTES)
        self._draw = draw
        self._drawn = bytearray()

    def learn(self, keys: Mapping[int, bytes]) -> None:
        """Recognise browsers of these, and of the key that signs here, from now on."""
        self._signed.learn(keys)

    def new(self) -> Browser:
        """A browser nobody has seen. Its holder id never looks like an account's, nor like an invited one."""
        while True:
            secret = self._new_secret()
            holder = self._holder(secret)
            if not (is_account(holder) or is_invited(holder)):
                return Browser(self._signed.sign(secret), holder)

    def read(self, cookie: bytes) -> bytes | None:
        """The holder of a cookie that we signed; None for everything else. Never raises, whatever the bytes."""
        secret = self._signed.read(cookie)
        return None if secret is None else self._holder(secret)

    def _new_secret(self) -> bytes:
        if not self._drawn:
            self._drawn.extend(self._draw(VALUE_BYTES * DRAWN_AT_ONCE))
        secret = bytes(self._drawn[-VALUE_BYTES:])
        del self._drawn[-VALUE_BYTES:]
        return secret

    def _holder(self, secret: bytes) -> bytes:
        hashed = self._hashed.copy()
        hashed.update(secret)
        return hashed.digest()
