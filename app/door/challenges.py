"""Challenges in the open format of ALTCHA (version 2): work that a browser does before it gets a place.

The work is PBKDF2-SHA-256, which browsers run natively (WebCrypto), over counters from 0 up until the derived key
begins as the challenge says. The counter is drawn evenly below a bound, so no browser is unlucky: nobody works for
longer than the bound says. A solution is checked by a MAC over the derived key, never by deriving it again;
nothing in it but what we signed decides what we do. Making a challenge costs one derivation.
"""

from __future__ import annotations

import hmac
from base64 import b64decode
from binascii import Error as BinasciiError
from collections.abc import Callable, Mapping
from enum import StrEnum
from hashlib import blake2b
from typing import Any, NamedTuple

import altcha
import msgspec

ALGORITHM = "PBKDF2/SHA-256"
ITERATIONS = 500  # of one derivation: 0.15 ms here, two to four times that in a phone's browser
COUNTERS_FIRST = 2_000  # tried at most for the first place beyond the share
COUNTERS_MAX = 31_000  # tried at most for any place: two cores find 57 a minute, a phone one in eleven seconds at most
HARDEST_AT_SHARES = 10  # the work no longer grows once an address has taken so many shares
SOLUTION_CHARS_MAX = 4_096  # ours have about 900


class Subject(NamedTuple):
    """For whom a challenge is. `network` is what their address is counted as."""

    event_id: str
    epoch: int
    network: str


class BadSolution(StrEnum):
    """Why a solution proves nothing; the values are codes of refusals."""

    invalid = "solution_invalid"
    expired = "solution_expired"
    foreign = "solution_foreign"


class _Solution(msgspec.Struct, frozen=True):
    counter: int
    derived_key: str = msgspec.field(name="derivedKey")


class _Challenge(msgspec.Struct, frozen=True):
    parameters: dict[str, Any]
    signature: str


class _Payload(msgspec.Struct, frozen=True):
    challenge: _Challenge
    solution: _Solution


_decoder = msgspec.json.Decoder(_Payload)


class Challenges:
    """Makes challenges with the newest of the keys that sign tickets, and checks solutions with any of them.

    `below` draws a number from 0 up to below its argument.
    """

    def __init__(self, keys: Mapping[int, bytes], kid: int, below: Callable[[int], int]) -> None:
        self._keys = dict(keys)
        self._kid = kid
        self._below = below

    def learn(self, keys: Mapping[int, bytes]) -> None:
        """Check with these, and with the one that signs here, from now on."""
        self._keys = {**keys, self._kid: self._keys[self._kid]}

    def make(self, subject: Subject, counters_max: int, expires_s: int) -> dict[str, Any]:
        """A challenge as it is sent: `parameters` and `signature`."""
        key = self._keys[self._kid]
        challenge = altcha.create_challenge(
            ALGORITHM,
            ITERATIONS,
            counter=self._below(counters_max),
            expires_at=expires_s,
            data={**_names(key, subject), "key": self._kid, "most": counters_max},
            hmac_secret=_derived(key, b"challenge"),
            hmac_key_secret=_derived(key, b"solution"),
        )
        sent: dict[str, Any] = challenge.to_dict()
        return sent

    def read(self, solution: str, subject: Subject, now_s: float) -> str | BadSolution:
        """The id of the challenge that was solved, or why there is none. Never raises, whatever was sent."""
        if len(solution) > SOLUTION_CHARS_MAX:
            return BadSolution.invalid
        try:
            sent = _decoder.decode(b64decode(solution, validate=True))
            parameters = altcha.ChallengeParameters.from_dict(sent.challenge.parameters)
            about = dict(parameters.data or {})
            key = self._keys[int(about["key"])]
            if not _is_solved(key, parameters.key_signature, sent.solution.derived_key):
                return BadSolution.invalid  # a tenth of the cost of what follows: there may be a flood of them
        except (BinasciiError, ValueError, KeyError, TypeError, RecursionError, msgspec.DecodeError):
            return BadSolution.invalid
        solved = altcha.Solution(sent.solution.counter, sent.solution.derived_key)
        payload = altcha.Payload(altcha.Challenge(parameters, sent.challenge.signature), solved)
        verdict = altcha.verify_solution(
            payload, _derived(key, b"challenge"), hmac_key_secret=_derived(key, b"solution")
        )
        if verdict.expired:
            return BadSolution.expired
        if not verdict.verified:
            return BadSolution.invalid
        if parameters.expires_at is None or parameters.expires_at <= now_s:
            return BadSolution.expired
        if any(about.get(name) != value for name, value in _names(key, subject).items()):
            return BadSolution.foreign
        return parameters.nonce


def counters_for(taken: int, share: int) -> int:
    """How many counters are tried at most for one more place of an address that has taken so many already.

    From the first place beyond its share the work grows evenly to the most.
    """
    beyond = (taken - share) / (share * (HARDEST_AT_SHARES - 1))
    return COUNTERS_FIRST + round((COUNTERS_MAX - COUNTERS_FIRST) * min(1.0, max(0.0, beyond)))


def _is_solved(key: bytes, key_signature: object, derived_key: str) -> bool:
    """Whether the derived key is the one whose MAC stands in the challenge, by whomever that was signed."""
    expected = hmac.digest(_derived(key, b"solution"), bytes.fromhex(derived_key), "sha256").hex()
    return hmac.compare_digest(expected.encode(), str(key_signature).encode())


def _names(key: bytes, subject: Subject) -> dict[str, Any]:
    """What binds a challenge to its room and address, which it does not tell."""
    address = blake2b(subject.network.encode(), key=key, digest_size=8, person=b"tiketi address")
    return {"room": subject.event_id, "epoch": subject.epoch, "address": address.hexdigest()}


def _derived(key: bytes, purpose: bytes) -> bytes:
    return blake2b(purpose, key=key, digest_size=32, person=b"tiketi door").digest()
