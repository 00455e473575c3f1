"""The draw of an opening: one uniform order from a seed that was committed to before and a root over the entries.

Pure, and exact to the byte, so that anybody recomputes it:

- commitment = SHA-256(seed), published before the first entry; the seed is 32 random bytes.
- record of entry e = e as 8 bytes big-endian ‖ nonce of e (16 bytes) ‖ holder, whose 22 characters are the base64url of
  its 16 bytes; nothing for an entry that nobody holds any more.
- nonce of e: of SHAKE-128(a secret of the draw ‖ (e - 1) div 256 as 8 bytes big-endian) the 16 bytes from 16 times
  (e - 1) mod 256 on. So a leaf tells nobody who it is, and who is given their nonce knows theirs.
- root = the Merkle tree hash of RFC 6962 over these records in the order of e = 1 … N: a leaf is SHA-256(00 ‖ record),
  a node SHA-256(01 ‖ left ‖ right), and the root of none SHA-256 of nothing.
- key = HMAC-SHA256(seed, root ‖ randomness), the 32 bytes of a beacon's round (app/domain/beacon.py) or nothing.
- words: the blocks SHA-256(key ‖ counter as 8 bytes big-endian), counter = 0, 1, …, each read as four big-endian
  integers of 64 bits.
- order: begin with [1, …, N]; for i from N down to 2 take words until one is below 2^64 - (2^64 mod i), and swap the
  items at i and at 1 + (word mod i), counted from 1. The item at r is the entry that comes r-th.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from hashlib import sha256, shake_128
from hmac import digest as hmac_digest
from itertools import chain, count
from struct import Struct

SEED_BYTES = 32
ENTRY_BYTES = 4  # in a packed table
NONCE_BYTES = 16
NONCES_AT_ONCE = 256
BLOCKS_AT_ONCE = 256  # of words
_COUNTER = Struct(">Q")
_NONCES = Struct(f"{NONCE_BYTES}s" * NONCES_AT_ONCE)
_LEAF = Struct(f">cQ{NONCE_BYTES}s")
_WORDS = 1 << 64


def commitment_of(seed: bytes) -> bytes:
    return sha256(seed).digest()


def _nonces(secret: bytes) -> Iterator[tuple[bytes, ...]]:
    """The nonces of the entries 1, 2, …, some at a time."""
    for block in count():
        stream = shake_128(secret + _COUNTER.pack(block))
        yield _NONCES.unpack(stream.digest(_NONCES.size))


def leaves_of(secret: bytes, holders: Sequence[bytes]) -> list[bytes]:
    """The leaves of the entries 1, 2, … of these holders: 22 characters each, or none."""
    pack = _LEAF.pack
    people = zip(count(1), chain.from_iterable(_nonces(secret)), holders, strict=False)
    return [sha256(pack(b"\0", entry, nonce) + holder).digest() for entry, nonce, holder in people]


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes."""
    if not leaves:
        return sha256().digest()
    level = list(leaves)
    while len(level) > 1:
        left = iter(level)
        above = [sha256(b"\1" + one + other).digest() for one, other in zip(left, left, strict=False)]
        level = [*above, level[-1]] if len(level) % 2 else above  # the odd one is joined further up
    return level[0]


def key_of(seed: bytes, root: bytes, randomness: bytes = b"") -> bytes:
    return hmac_digest(seed, root + randomness, "sha256")


def _words(key: bytes) -> Iterator[array[int]]:
    """The words, some at a time."""
    pack = _COUNTER.pack
    for first in count(0, BLOCKS_AT_ONCE):
        blocks = [sha256(key + pack(counter)).digest() for counter in range(first, first + BLOCKS_AT_ONCE)]
        yield _big_endian(array("Q", b"".join(blocks)))


def order_of(key: bytes, entries: int) -> array[int]:
    """The entries 1 … `entries` in the order of the draw. Cost: about half a second for a million."""
    return shuffled(entries, chain.from_iterable(_words(key)))


def shuffled(entries: int, words: Iterator[int]) -> array[int]:
    """The order that these words give."""
    order = list(range(1, entries + 1))
    fair_for_all_below = _WORDS - entries
    for size, first_word in zip(range(entries, 1, -1), words, strict=False):
        word = first_word
        while word >= fair_for_all_below and word >= _WORDS - _WORDS % size:
            word = next(words)
        picked = word % size
        order[size - 1], order[picked] = order[picked], order[size - 1]
    return array("I", order)


def ranks_of(order: Sequence[int]) -> array[int]:
    """The inverse: at index e - 1, which comes r-th, the rank r of entry e."""
    ranks = array("I", bytes(ENTRY_BYTES * len(order)))
    for rank, entry in enumerate(order, 1):
        ranks[entry - 1] = rank
    return ranks


def packed(table: array[int]) -> bytes:
    """A table as bytes: four for each, big-endian."""
    return _big_endian(table).tobytes()


def unpacked(data: bytes) -> array[int]:
    table = array("I")
    table.frombytes(data)
    return _big_endian(table)


def _big_endian(table: array[int]) -> array[int]:
    """Big-endian from this machine's order, or back."""
    if sys.byteorder == "big":
        return table
    swapped = table[:]
    swapped.byteswap()
    return swapped
