"""Keyed values about accounts and clients: what logs call them, and the cookie of a browser that logged in before.

Nothing here can be turned back into an email or made without the key, which is never rotated.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from hmac import compare_digest

DEVICE_COOKIE = b"tiketi_device"
DEVICE_LIFE_S = 400 * 86_400  # the most a browser keeps
DEVICE_CHARS_MAX = 100
NONCE_BYTES = 12
MAC_BYTES = 16
LOGGED_BYTES = 8


class AccountMacs:
    """`draw` gives so many random bytes."""

    def __init__(self, key: bytes, draw: Callable[[int], bytes]) -> None:
        self._key = key
        self._draw = draw

    def logged(self, account: str) -> str:
        """What a log calls the account of this id or email: always the same, and nobody's email."""
        return blake2b(account.encode(), key=self._key, digest_size=LOGGED_BYTES, person=b"tiketi logged").hexdigest()

    def network(self, event_id: str, network: str) -> str:
        """What stands for a client's network where it is stored; that of another event does not look alike."""
        said = f"{event_id} {network}".encode()
        return blake2b(said, key=self._key, digest_size=LOGGED_BYTES, person=b"tiketi network").hexdigest()

    def new_device(self, email: str) -> str:
        """The cookie of a browser that logged in to this account just now."""
        nonce = self._draw(NONCE_BYTES).hex()
        return f"{nonce}.{self._device(email, nonce)}"

    def device_of(self, email: str, value: bytes | None) -> str:
        """The id of the browser if it logged in to this account before, else empty."""
        if value is None or len(value) > DEVICE_CHARS_MAX:
            return ""
        nonce, _, mac = value.decode("latin-1").partition(".")
        known = compare_digest(self._device(email, nonce).encode(), mac.encode())
        return nonce if known else ""

    def _device(self, email: str, nonce: str) -> str:
        said = f"{nonce}\0{email}".encode()
        return blake2b(said, key=self._key, digest_size=MAC_BYTES, person=b"tiketi device").hexdigest()
