"""The rounds of a public beacon: which one comes when, and the randomness that its signature is.

Pure. The beacon is drand's quicknet, of the scheme bls-unchained-g1-rfc9380: every period a group of independent
operators signs the number of the round together, and nobody knows the signature before. app/control/beacon.py asks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

SIGNATURE_BYTES = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A chain of rounds: its hash, in hex, by which it is asked for; its public key, a compressed point of G2; the time
    of round 1; and how many seconds are between two."""

    hash: str
    public_key: bytes
    genesis_s: int
    period_s: int

    def time_ms(self, round_number: int) -> int:
        """When a round is signed, in Unix ms."""
        return (self.genesis_s + (round_number - 1) * self.period_s) * 1000

    def round_from(self, at_ms: int) -> int:
        """The first round at this time or later."""
        periods = -(-(at_ms - self.genesis_s * 1000) // (self.period_s * 1000))
        return max(1, periods + 1)


QUICKNET = Chain(
    hash="52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971",
    public_key=bytes.fromhex(
        "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451"
        "0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
    ),
    genesis_s=1_692_803_367,
    period_s=3,
)


def message_of(round_number: int) -> bytes:
    """What is signed in a round."""
    return sha256(round_number.to_bytes(8, "big")).digest()


def randomness_of(signature: bytes) -> bytes:
    """The 32 random bytes of a round; none without its signature."""
    return sha256(signature).digest() if signature else b""
