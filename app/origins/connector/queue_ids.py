"""The id by which a connector names a visit when it gives it up: a place in line, encrypted, in the shape of a UUID.

One AES block of epoch, number and zeros, keyed for the room: so a place has one id, nobody can make one or read the
number, and no store has to remember which is which. An id that was made up fits with a chance of 2^-48.
"""

from __future__ import annotations

import hmac
import struct
from hashlib import sha256
from uuid import UUID

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

PURPOSE = b"queue ids "
NUMBER_BITS = 48
_PLACE = struct.Struct(">IHIIH")  # epoch, number in two parts, zeros in two parts
_CHARS = 36


class QueueIds:
    """`key` is never rotated, or visits could not be given up any more."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, room: str, epoch: int, number: int) -> str:
        assert number < 1 << NUMBER_BITS, "numbers are given one by one"
        block = _PLACE.pack(epoch, number >> 32, number & 0xFFFFFFFF, 0, 0)
        step = self._cipher(room).encryptor()
        return str(UUID(bytes=step.update(block) + step.finalize()))

    def read(self, room: str, text: str) -> tuple[int, int] | None:
        """Epoch and number if this is an id that `of` made for this room; None for everything else. Never raises."""
        if len(text) != _CHARS:
            return None
        try:
            block = UUID(text).bytes
        except ValueError:
            return None
        step = self._cipher(room).decryptor()
        epoch, high, low, zeros, more_zeros = _PLACE.unpack(step.update(block) + step.finalize())
        return None if zeros or more_zeros else (epoch, high << 32 | low)

    def _cipher(self, room: str) -> Cipher[ECB]:
        key = hmac.digest(self._key, PURPOSE + room.encode(), sha256)
        return Cipher(AES256(key), ECB())  # noqa: S305 - one block, of which no two are alike
