"""A ticket: a buyer's signed place in line, small enough for a cookie and cheap enough to check on every poll.

Layout (big-endian): version u8, key id u8, epoch u32, number u64, issued-at u32 s, holder 16 bytes, flags u8, event id
filled with NULs to a multiple of three bytes in all, then a 16-byte MAC over it, keyed BLAKE2b (RFC 7693); base64. So a
ticket has one spelling only: no padding, no spare bits. It carries what a poll needs and what rebuilding the line
after a loss of Redis needs. Checked in constant time.
"""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from typing import NamedTuple

VERSION = 1
MAC_BYTES = 16
HOLDER_BYTES = 16
HOLDER_CHARS = 22
ACCOUNT_MARK = b"acct"  # how an account's holder begins, and no browser's
ACCOUNT_PATTERN = "^YWNjd[A-P]"  # the same in the text of a holder, for a script
INVITED_MARK = b"invt"  # how the holder of somebody who was invited begins, and no other
INVITED_PATTERN = "^aW52d[A-P]"
EVENT_ID_CHARS_MAX = 40
_HEAD = struct.Struct(">BBIQI16sB")
_WISH = 1  # flag: a wish was said with it
_FIXED_BYTES = _HEAD.size + MAC_BYTES
TOKEN_CHARS_MAX = (_FIXED_BYTES + EVENT_ID_CHARS_MAX + 2) // 3 * 4


class Ticket(NamedTuple):
    """`holder` is the 16 raw bytes of who stands here; `number` their place; `issued_s` Unix seconds; `wish`: they said
    what they would like, so seats are looked for at their turn."""

    event_id: str
    epoch: int
    number: int
    holder: bytes
    issued_s: int
    wish: bool = False


class BadTicket(StrEnum):
    """Why a token is not a ticket of ours for this event."""

    invalid = "ticket_invalid"
    foreign_event = "ticket_foreign_event"


class TicketSigner:
    """Signs with the newest key and checks with any that is still known."""

    __slots__ = ("_keyed", "_kid")

    def __init__(self, keys: Mapping[int, bytes], kid: int) -> None:
        self._keyed = {name: blake2b(key=key, digest_size=MAC_BYTES) for name, key in keys.items()}
        self._kid = kid

    def learn(self, keys: Mapping[int, bytes]) -> None:
        """Check with these, and with the one that signs here, from now on."""
        self._keyed = {self._kid: self._keyed[self._kid]} | {
            name: blake2b(key=key, digest_size=MAC_BYTES) for name, key in keys.items() if name != self._kid
        }

    def sign(self, ticket: Ticket) -> str:
        head = _HEAD.pack(VERSION, self._kid, ticket.epoch, ticket.number, ticket.issued_s, ticket.holder, ticket.wish)
        body = head + _event_bytes(ticket.event_id)
        mac = self._keyed[self._kid].copy()
        mac.update(body)
        return b2a_base64(body + mac.digest(), newline=False).decode()

    def read(self, token: bytes, event_id: str) -> Ticket | BadTicket:
        """The ticket inside, or why there is none. Never raises, whatever the bytes."""
        if len(token) > TOKEN_CHARS_MAX:
            return BadTicket.invalid
        try:
            raw = a2b_base64(token, strict_mode=True)
        except (BinasciiError, ValueError):
            return BadTicket.invalid
        if len(raw) <= _FIXED_BYTES or len(raw) * 4 != len(token) * 3:
            return BadTicket.invalid
        body = raw[:-MAC_BYTES]
        version, kid, epoch, number, issued_s, holder, flags = _HEAD.unpack_from(body)
        keyed = self._keyed.get(kid)
        if version != VERSION or keyed is None:
            return BadTicket.invalid
        mac = keyed.copy()  # the key is hashed once: a quarter of the cost of HMAC-SHA256
        mac.update(body)
        if not compare_digest(mac.digest(), raw[-MAC_BYTES:]):
            return BadTicket.invalid
        if body[_HEAD.size :] != _event_bytes(event_id):
            return BadTicket.foreign_event
        return Ticket(event_id, epoch, number, holder, issued_s, bool(flags & _WISH))


@lru_cache(maxsize=1024)
def _event_bytes(event_id: str) -> bytes:
    name = event_id.encode()
    return name + bytes(-(_FIXED_BYTES + len(name)) % 3)


def holder_text(holder: bytes) -> str:
    return urlsafe_b64encode(holder).rstrip(b"=").decode()


def holder_bytes(text: str) -> bytes | None:
    """The 16 bytes of a holder id in a text, or None if it is not one."""
    if len(text) != HOLDER_CHARS or not text.isascii():
        return None
    try:
        raw = urlsafe_b64decode(text + "==")
    except BinasciiError:
        return None
    return raw if len(raw) == HOLDER_BYTES and holder_text(raw) == text else None


def account_holder(user_id: str) -> bytes:
    """Who stands in line for an account, on whatever device: derived from its id, so it is no secret.

    Only a session proves it.
    """
    return ACCOUNT_MARK + blake2b(user_id.encode(), digest_size=HOLDER_BYTES - len(ACCOUNT_MARK)).digest()


def is_account(holder: bytes) -> bool:
    """Whether an account stands there, and not a browser."""
    return holder.startswith(ACCOUNT_MARK)


def is_invited(holder: bytes) -> bool:
    """Whether somebody stands there for the `sub` of an invitation."""
    return holder.startswith(INVITED_MARK)
