"""The secret and the API key of an origin: made here, shown once, and stored so that nobody who reads the database can
use them.

A secret signs passes, so it must be read again: it is sealed (AES-256-GCM, RFC 5116) for its origin with a key that is
not in the database. An API key is only compared: its SHA-256 is stored, which is enough for 256 random bits.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
API_KEY_BYTES = 32
UUID_BYTES = 16
PURPOSE = b"the secrets of origins"

RandomBytes = Callable[[int], bytes]


class NotOurs(ValueError):
    """A sealed secret was not sealed with this key, or not for this origin: the message names the origin."""


def new_secret(random_bytes: RandomBytes) -> str:
    """A secret of 72 characters, two random UUIDs: 244 random bits in the form that other waiting rooms use."""
    return "".join(str(UUID(bytes=random_bytes(UUID_BYTES), version=4)) for _ in range(2))


def new_api_key(random_bytes: RandomBytes) -> str:
    return random_bytes(API_KEY_BYTES).hex()


def hash_of(api_key: str) -> bytes:
    """What is stored of an API key, and compared."""
    return sha256(api_key.encode()).digest()


class Sealer:
    """Seals with a key made of `key`, of which other things are made as well."""

    def __init__(self, key: bytes, random_bytes: RandomBytes) -> None:
        self._cipher = AESGCM(hmac.digest(key, PURPOSE, "sha256"))
        self._random_bytes = random_bytes

    def seal(self, secret: str, origin_id: str) -> bytes:
        nonce = self._random_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), origin_id.encode())

    def open(self, sealed: bytes, origin_id: str) -> str:
        """Raises NotOurs."""
        try:
            opened = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], origin_id.encode())
        except (InvalidTag, ValueError):
            raise NotOurs(f"The secret of the origin {origin_id} was sealed with another key file.") from None
        return opened.decode()
