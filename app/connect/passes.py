"""Reads passes: the signed proof that a visitor was let into a room.

A pass opens the room that is its audience and no other, from when it says until when it says, by a clock that may be
LEEWAY_S off. Which algorithm a pass is signed with decides which of our keys may have signed it, never the pass alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jwt

from app.connect.keys import PublicKeys

ISSUER = "tiketi"
EDDSA, HS256 = "EdDSA", "HS256"
TOKEN_CHARS_MAX = 2_000
LEEWAY_S = 5.0
VERIFIED_MAX = 10_000  # passes whose signature is known to be good
ENDED_MAX = 10_000
CLAIMS = ["iss", "aud", "sub", "jti", "number", "nbf", "exp"]


class BadPass(StrEnum):
    """Why a pass opens nothing here; the codes of Tiketi's own check."""

    expired = "pass_expired"
    foreign = "pass_foreign"  # of another room, or none of ours
    ended = "pass_revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What a pass says. `jti` names the visit, `subject` the visitor; times are Unix seconds."""

    room: str
    jti: str
    subject: str
    number: int
    began_s: float
    expires_s: float


class Passes:
    """Of one room. `secrets`: with which its passes may be signed as well. `seconds`: Unix time."""

    def __init__(self, room: str, keys: PublicKeys, secrets: Sequence[str], seconds: Callable[[], float]) -> None:
        self._room = room
        self._keys = keys
        self._secrets = secrets
        self._seconds = seconds
        self._verified: OrderedDict[str, Visit] = OrderedDict()
        self._verified_with = keys.changes
        self._ended: OrderedDict[str, None] = OrderedDict()

    def read(self, token: str) -> Visit | BadPass:
        if self._verified_with != self._keys.changes:  # a key may have been given up
            self._verified.clear()
            self._verified_with = self._keys.changes
        visit = self._verified.get(token) or self._verify(token)
        if isinstance(visit, BadPass):
            return visit
        if visit.jti in self._ended:
            return BadPass.ended
        return visit if self._seconds() < visit.expires_s + LEEWAY_S else BadPass.expired

    def end(self, visit: Visit) -> None:
        """Let nobody in with this pass any more."""
        self._ended[visit.jti] = None
        _limit(self._ended, ENDED_MAX)

    def _verify(self, token: str) -> Visit | BadPass:
        if len(token) > TOKEN_CHARS_MAX:
            return BadPass.foreign
        for key, algorithm in self._keys_of(token):
            claims = self._claims(token, key, algorithm)
            if isinstance(claims, BadPass):
                return claims
            if claims is not None:
                return self._remembered(token, claims)
        return BadPass.foreign

    def _keys_of(self, token: str) -> list[tuple[Any, str]]:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, RecursionError):
            return []
        if header.get("alg") == HS256:
            return [(secret, HS256) for secret in self._secrets]
        key = self._keys.find(str(header.get("kid", "")))
        return [] if key is None else [(key, EDDSA)]

    def _claims(self, token: str, key: Any, algorithm: str) -> dict[str, Any] | BadPass | None:
        """None: it is not signed with this key, or says nothing that we understand."""
        # times are asked of our own clock
        options: Any = {"require": CLAIMS, "verify_iat": False, "verify_nbf": False, "verify_exp": False}
        options["verify_aud"] = False
        try:
            claims: dict[str, Any] = jwt.decode(token, key, algorithms=[algorithm], issuer=ISSUER, options=options)
        except (jwt.InvalidTokenError, jwt.InvalidKeyError, RecursionError):
            return None
        texts = [claims[name] for name in ("aud", "sub", "jti")]
        numbers = [claims[name] for name in ("number", "nbf", "exp")]
        if not all(isinstance(each, str) for each in texts) or not all(type(each) in (int, float) for each in numbers):
            return None
        if claims["aud"] != self._room or claims["nbf"] > self._seconds() + LEEWAY_S:
            return BadPass.foreign
        return claims

    def _remembered(self, token: str, claims: dict[str, Any]) -> Visit:
        visit = Visit(
            room=claims["aud"],
            jti=claims["jti"],
            subject=claims["sub"],
            number=int(claims["number"]),
            began_s=claims["nbf"],
            expires_s=claims["exp"],
        )
        self._verified[token] = visit
        _limit(self._verified, VERIFIED_MAX)
        return visit


def kid_of(token: str) -> str | None:
    """The id of the public key that a pass says it is signed with; None if it says none that we could have."""
    if len(token) > TOKEN_CHARS_MAX:
        return None
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, RecursionError):
        return None
    kid = header.get("kid")
    return kid if header.get("alg") == EDDSA and isinstance(kid, str) else None


def _limit(kept: OrderedDict[str, Any], most: int) -> None:
    if len(kept) > most:
        kept.popitem(last=False)
