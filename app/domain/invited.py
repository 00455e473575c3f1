"""People who were invited: who stands in a line for the `sub` of an invitation, and the cookie that proves it.

The holder id is a keyed hash (BLAKE2b, RFC 7693) of the event and the `sub`, with a mark that neither browsers nor
accounts have, so a person has one place however many browsers and invitations they use. The id is no secret and opens
nothing: the cookie does, which only an invitation gives. The key of the hash is never rotated.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from app.domain.signed import Signed
from app.domain.ticket import HOLDER_BYTES, INVITED_MARK, is_invited

_HOLDER_PURPOSE, _COOKIE_PURPOSE = b"tiketi sub", b"tiketi invited"  # the keys have other purposes as well


class Invited:
    """Signs with the newest key and recognises cookies of any key that is still known."""

    def __init__(self, keys: Mapping[int, bytes], kid: int, holder_key: bytes) -> None:
        self._signed = Signed(keys, kid, _COOKIE_PURPOSE)
        self._holder_key = holder_key

    def learn(self, keys: Mapping[int, bytes]) -> None:
        """Recognise cookies of these, and of the key that signs here, from now on."""
        self._signed.learn(keys)

    def holder(self, event_id: str, sub: str) -> bytes:
        """Who stands in an event's line for a `sub`."""
        size = HOLDER_BYTES - len(INVITED_MARK)
        named = event_id.encode() + b"\0" + sub.encode()  # no event id has a NUL
        return INVITED_MARK + blake2b(named, key=self._holder_key, digest_size=size, person=_HOLDER_PURPOSE).digest()

    def cookie(self, event_id: bytes, holder: bytes) -> str:
        """What proves the holder in this event's line, and in no other."""
        return self._signed.sign(holder, event_id)

    def read(self, event_id: bytes, cookie: bytes) -> bytes | None:
        """The holder of a cookie that we signed for this event; None for everything else. Never raises."""
        holder = self._signed.read(cookie, event_id)
        return holder if holder is not None and is_invited(holder) else None
