"""Proofs of having waited, for browsers without scripts: signed, for one room and address, good once and not too early.

Waiting costs a program nothing, so whoever spends one must see to it that an address spends one at a time (shares.lua).
"""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BinasciiError
from collections.abc import Callable, Mapping
from hashlib import blake2b
from hmac import compare_digest
from typing import NamedTuple

from app.door.challenges import Subject

ID_BYTES = 8
MAC_BYTES = 16
TOKEN_CHARS_MAX = 64
_HEAD = struct.Struct(f">BI{ID_BYTES}s")


class Waited(NamedTuple):
    """A proof that was shown: its id, and for how long it is too early still, in seconds."""

    id: str
    left_s: float


class Waits:
    """Signs with the newest of the keys that sign tickets. `draw` gives so many random bytes."""

    def __init__(self, keys: Mapping[int, bytes], kid: int, draw: Callable[[int], bytes]) -> None:
        self._keys = dict(keys)
        self._kid = kid
        self._draw = draw

    def learn(self, keys: Mapping[int, bytes]) -> None:
        """Check with these, and with the one that signs here, from now on."""
        self._keys = {**keys, self._kid: self._keys[self._kid]}

    def make(self, subject: Subject, ready_s: int) -> str:
        """A proof that is good from this Unix time on."""
        body = _HEAD.pack(self._kid, ready_s, self._draw(ID_BYTES))
        return urlsafe_b64encode(body + _mac(self._keys[self._kid], body, subject)).rstrip(b"=").decode()

    def read(self, token: str, subject: Subject, now_s: float, life_s: int) -> Waited | None:
        """What the proof says; None if it is none of ours for this subject, or too old."""
        if len(token) > TOKEN_CHARS_MAX:
            return None
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            kid, ready_s, name = _HEAD.unpack(raw[: _HEAD.size])
            mac = _mac(self._keys[kid], raw[: _HEAD.size], subject)
        except (BinasciiError, ValueError, KeyError, struct.error):
            return None
        if not compare_digest(mac, raw[_HEAD.size :]) or now_s >= ready_s + life_s:
            return None
        return Waited(name.hex(), max(0.0, ready_s - now_s))


def _mac(key: bytes, body: bytes, subject: Subject) -> bytes:
    about = f"{subject.event_id}\0{subject.epoch}\0{subject.network}".encode()
    return blake2b(body + about, key=key, digest_size=MAC_BYTES, person=b"tiketi wait").digest()
