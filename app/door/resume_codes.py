"""Codes that move a browser's place to another browser: what the browser shows, sealed under the code.

Whoever stores what is sealed cannot read it without the code, and whoever has a code cannot try it without the key:
the seal is made with both. A code is stored nowhere; its place is named by a hash of it.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CODE_CHARS = 12  # of 32 letters: 60 bits, for ten minutes
NONCE_BYTES = 12
LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ0123456789"  # no I, L, O and U, which are read as others
READ_AS = str.maketrans("ILOU", "110V")
TYPED_CHARS_MAX = 200  # a whole link may be pasted


class Belongings(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser shows: the cookies of its secret and of its place in one line, and of its pass, if it has one."""

    event_id: str
    browser: str
    ticket: str
    admission_pass: str = ""


class Sealed(NamedTuple):
    """`name`: where it is stored."""

    code: str
    name: str
    value: bytes


class ResumeCodes:
    """`key` is never rotated while a code is good; `draw` gives so many random bytes."""

    def __init__(self, key: bytes, draw: Callable[[int], bytes]) -> None:
        self._key = key
        self._draw = draw

    def seal(self, belongings: Belongings) -> Sealed:
        """What is to be stored, under a new code."""
        code = "".join(LETTERS[byte % len(LETTERS)] for byte in self._draw(CODE_CHARS))
        nonce = self._draw(NONCE_BYTES)
        name = self.name_of(belongings.event_id, code)
        value = AESGCM(self._hash(code, b"tiketi seal")).encrypt(nonce, msgspec.json.encode(belongings), name.encode())
        return Sealed(code, name, nonce + value)

    def open(self, event_id: str, code: str, value: bytes) -> Belongings | None:
        """What was sealed under this code; None if it was not."""
        key = AESGCM(self._hash(code, b"tiketi seal"))
        try:
            plain = key.decrypt(value[:NONCE_BYTES], value[NONCE_BYTES:], self.name_of(event_id, code).encode())
        except (InvalidTag, ValueError):
            return None
        return msgspec.json.decode(plain, type=Belongings)

    def name_of(self, event_id: str, code: str) -> str:
        """Of another event's line a code is none, and is not used up by being tried there."""
        return self._hash(f"{event_id} {code}", b"tiketi code").hex()

    def _hash(self, code: str, purpose: bytes) -> bytes:
        return blake2b(code.encode(), key=self._key, digest_size=32, person=purpose).digest()


def code_of(typed: str) -> str | None:
    """The code that somebody typed or pasted, alone or as a link; None for what is none."""
    text = typed[:TYPED_CHARS_MAX].rpartition("#")[2].upper().translate(READ_AS)
    code = "".join(letter for letter in text if letter.isalnum())
    return code if len(code) == CODE_CHARS and set(code) <= set(LETTERS) else None


def shown(code: str) -> str:
    """The code in groups of four, as people read it."""
    return "-".join(code[at : at + 4] for at in range(0, CODE_CHARS, 4))
