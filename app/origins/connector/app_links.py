"""Links by which an app hands a place in line to its web view, as the two share no cookies.

What the browser is to keep is sealed in the link itself (AES-256-GCM, RFC 5116), so no store has to remember it, and
nobody can make or change one. That it is used once is for whoever opens it to see to.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BinasciiError
from collections.abc import Callable
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CODE_CHARS_MAX = 6_000
LIFE_S = 1_200
NONCE_BYTES = 12
PURPOSE = b"links of apps"


class AppLink(msgspec.Struct, frozen=True, kw_only=True):
    """`cookies`: name and value of each that the browser is to keep. `ends_s`: in Unix seconds."""

    room: str
    target: str
    cookies: list[tuple[str, str]]
    ends_s: float


_decoder = msgspec.json.Decoder(AppLink)


class AppLinks:
    def __init__(self, key: bytes, random_bytes: Callable[[int], bytes]) -> None:
        self._cipher = AESGCM(hmac.digest(key, PURPOSE, sha256))
        self._random_bytes = random_bytes

    def make(self, link: AppLink) -> str:
        nonce = self._random_bytes(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, msgspec.json.encode(link), None)
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def read(self, code: str, now_s: float) -> AppLink | None:
        """The link if it is one that `make` made and its time is not over; None for everything else. Never raises."""
        if len(code) > CODE_CHARS_MAX or not code.isascii():
            return None
        try:
            sealed = urlsafe_b64decode(code + "=" * (-len(code) % 4))
            link = _decoder.decode(self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None))
        except (BinasciiError, InvalidTag, ValueError):
            return None
        return link if now_s < link.ends_s else None
