"""A pass in a format of our own: for rooms whose site asks us about each request, at the cost of a poll.

Layout (big-endian): version u8, key id u8, epoch u32, number u64, began u32 s, expires u32 s, holder 16 bytes, room id
filled with NULs to a multiple of three bytes in all, then a 16-byte MAC over it, keyed BLAKE2b (RFC 7693); base64 for
addresses behind `p.`. So a pass has one spelling only. Nobody else can verify it: that takes our ticket keys, which are
kept apart by the purpose in the MAC. Checked in constant time.
"""

from __future__ import annotations

import struct
from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from hashlib import blake2b
from hmac import compare_digest

from app.domain.passing import AdmissionPass
from app.domain.ticket import EVENT_ID_CHARS_MAX, holder_bytes, holder_text

PREFIX = "p."
VERSION = 1
MAC_BYTES = 16
_PURPOSE = b"tiketi pass"
_HEAD = struct.Struct(">BBIQII16s")
_FIXED_BYTES = _HEAD.size + MAC_BYTES
TOKEN_CHARS_MAX = len(PREFIX) + (_FIXED_BYTES + EVENT_ID_CHARS_MAX + 2) // 3 * 4
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/", b"+/  ")  # the ordinary spelling is none


class CompactPasses:
    """Signs with the newest key and checks with any that is still known."""

    def __init__(self, keys: Mapping[int, bytes], kid: int) -> None:
        self._kid = kid
        self._keyed = _keyed(keys)

    def learn(self, keys: Mapping[int, bytes]) -> None:
        """Check with these, and with the one that signs here, from now on."""
        self._keyed = _keyed(keys) | {self._kid: self._keyed[self._kid]}

    def sign(self, admission: AdmissionPass) -> str:
        room_id, epoch, number, holder, began_s, expires_s = admission
        raw = holder_bytes(holder)
        assert raw is not None, "it is a holder's id"
        body = _HEAD.pack(VERSION, self._kid, epoch, number, began_s, expires_s, raw) + _filled(room_id)
        mac = self._keyed[self._kid].copy()
        mac.update(body)
        return PREFIX + b2a_base64(body + mac.digest(), newline=False).translate(_TO_URL).decode()

    def read(self, token: str) -> AdmissionPass | None:
        """What it says if we signed it. Never raises, whatever the text."""
        if len(token) > TOKEN_CHARS_MAX:
            return None
        try:
            raw = a2b_base64(token[len(PREFIX) :].encode().translate(_FROM_URL), strict_mode=True)
        except (BinasciiError, ValueError):
            return None
        if len(raw) <= _FIXED_BYTES or len(raw) * 4 != (len(token) - len(PREFIX)) * 3:
            return None
        body = raw[:-MAC_BYTES]
        version, kid, epoch, number, began_s, expires_s, holder = _HEAD.unpack_from(body)
        keyed = self._keyed.get(kid)
        if version != VERSION or keyed is None:
            return None
        mac = keyed.copy()  # the key is hashed once
        mac.update(body)
        if not compare_digest(mac.digest(), raw[-MAC_BYTES:]):
            return None
        room_id = body[_HEAD.size :].rstrip(b"\0").decode()
        return AdmissionPass(room_id, epoch, number, holder_text(holder), began_s, expires_s)


def _keyed(keys: Mapping[int, bytes]) -> dict[int, blake2b]:
    return {name: blake2b(key=key, digest_size=MAC_BYTES, person=_PURPOSE) for name, key in keys.items()}


def _filled(room_id: str) -> bytes:
    name = room_id.encode()
    return name + bytes(-(_FIXED_BYTES + len(name)) % 3)
