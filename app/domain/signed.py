"""Sixteen bytes as a cookie keeps them: signed, so that nobody else can make one, with any of several keys.

Layout: key id u8, the bytes, a 16-byte MAC over both, keyed BLAKE2b (RFC 7693); base64. The length is a multiple of
three, so a cookie has one spelling only: no padding, no spare bits. Checked in constant time.
"""

from __future__ import annotations

from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from hashlib import blake2b
from hmac import compare_digest

VALUE_BYTES = 16
MAC_BYTES = 16
SIGNED_BYTES = 1 + VALUE_BYTES + MAC_BYTES
COOKIE_CHARS = SIGNED_BYTES // 3 * 4


class Signed:
    """Signs with the newest key and recognises what any key that is still known signed.

    `purpose` (16 bytes at most) keeps apart what the same keys sign elsewhere; `about` in the methods keeps apart what
    is signed here for different things.
    """

    __slots__ = ("_keyed", "_kid", "_purpose")

    def __init__(self, keys: Mapping[int, bytes], kid: int, purpose: bytes) -> None:
        self._purpose = purpose
        self._kid = kid
        self._keyed = self._with(keys)

    def learn(self, keys: Mapping[int, bytes]) -> None:
        """Recognise what these signed, and the key that signs here, from now on."""
        self._keyed = self._with(keys) | {self._kid: self._keyed[self._kid]}

    def sign(self, value: bytes, about: bytes = b"") -> str:
        body = bytes([self._kid]) + value
        return b2a_base64(body + self._mac(self._kid, body + about), newline=False).decode()

    def read(self, cookie: bytes, about: bytes = b"") -> bytes | None:
        """The bytes in it if we signed them; None for everything else. Never raises, whatever the bytes."""
        if len(cookie) != COOKIE_CHARS:
            return None
        try:
            raw = a2b_base64(cookie, strict_mode=True)
        except (BinasciiError, ValueError):
            return None
        if len(raw) != SIGNED_BYTES or raw[0] not in self._keyed:
            return None
        body = raw[:-MAC_BYTES]
        return body[1:] if compare_digest(self._mac(raw[0], body + about), raw[-MAC_BYTES:]) else None

    def _with(self, keys: Mapping[int, bytes]) -> dict[int, blake2b]:
        return {name: blake2b(key=key, digest_size=MAC_BYTES, person=self._purpose) for name, key in keys.items()}

    def _mac(self, kid: int, body: bytes) -> bytes:
        mac = self._keyed[kid].copy()  # the key is hashed once
        mac.update(body)
        return mac.digest()
