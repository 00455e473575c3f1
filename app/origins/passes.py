"""Passes: the signed proof that somebody was let into a room, for a limited time.

A stock JWT that anybody can check with our public keys (EdDSA, RFC 8037); that of a room of an origin may be signed
with the origin's secret instead (HS256), for edges that know nothing else, or be compact (compact.py), for us alone.
The audience is the room, and the id names the place: `{room}.{epoch}.{number}`. A pass holds nothing that varies, so
issuing it again gives the same bytes. Passes that our keys verified are remembered: a signature costs a hundred times
as much as finding it checked.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.domain.passing import AdmissionPass
from app.origins.compact import PREFIX, CompactPasses

ISSUER = "tiketi"
EDDSA, HS256 = "EdDSA", "HS256"
TOKEN_CHARS_MAX = 2_000
REMEMBERED_MAX = 20_000  # verified passes, of some 700 bytes each
SECONDS_MAX = 2**40
_SUBJECT = re.compile(r"[!-~]{1,200}")
_CLAIMS = ["exp", "nbf", "iat", "aud", "sub", "jti", "number"]


class BadPass(StrEnum):
    """Why a token opens nothing here."""

    invalid = "invalid"
    expired = "expired"
    foreign = "foreign"  # of another room


class Passes:
    """Signs with the newest key; checks with any of `keys` (key id → private key)."""

    def __init__(
        self, keys: Mapping[str, Ed25519PrivateKey], kid: str, compact: CompactPasses, seconds: Callable[[], float]
    ) -> None:
        self.compact = compact
        self._signing = keys[kid]
        self._kid = kid
        self._seconds = seconds
        self._verified: OrderedDict[str, AdmissionPass] = OrderedDict()
        self._trust(keys)

    def learn(self, keys: Mapping[str, Ed25519PrivateKey], compact_keys: Mapping[int, bytes]) -> None:
        """Check with these, and with those that sign here, from now on."""
        self._trust(keys)
        self.compact.learn(compact_keys)

    def _trust(self, keys: Mapping[str, Ed25519PrivateKey]) -> None:
        self._public = {name: key.public_key() for name, key in {**keys, self._kid: self._signing}.items()}
        self._verified.clear()  # their signatures may be of a key that was removed

    def sign(self, admission: AdmissionPass, secret: str | None = None) -> str:
        """The token, signed with the secret if one is given."""
        claims = {
            "iss": ISSUER,
            "aud": admission.event_id,
            "sub": admission.holder,
            "jti": admission.jti,
            "number": admission.number,
            "iat": admission.began_s,
            "nbf": admission.began_s,
            "exp": admission.expires_s,
        }
        if secret is not None:
            return jwt.encode(claims, secret, algorithm=HS256)
        return jwt.encode(claims, self._signing, algorithm=EDDSA, headers={"kid": self._kid})

    def read(self, token: str, room_id: str, secrets: Sequence[str] = ()) -> AdmissionPass | BadPass:
        """The pass, or why it opens nothing in this room. `secrets`: those with which the room's may be signed too."""
        admission = self._verified.get(token) or self._verify(token, secrets)
        if admission is None:
            return BadPass.invalid
        if admission.expires_s <= self._seconds():
            self._verified.pop(token, None)
            return BadPass.expired
        return admission if admission.event_id == room_id else BadPass.foreign

    def _verify(self, token: str, secrets: Sequence[str]) -> AdmissionPass | None:
        if len(token) > TOKEN_CHARS_MAX:
            return None
        if token.startswith(PREFIX):
            return self._remembered(token, self.compact.read(token))
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            return None
        if header.get("alg") == HS256:  # remembered by nobody: its secret may be given up any time
            return next((each for secret in secrets if (each := _read(token, secret, HS256))), None)
        key = self._public.get(header.get("kid", ""))
        return None if key is None else self._remembered(token, _read(token, key, EDDSA))

    def _remembered(self, token: str, admission: AdmissionPass | None) -> AdmissionPass | None:
        if admission is not None:
            self._verified[token] = admission
            if len(self._verified) > REMEMBERED_MAX:
                self._verified.popitem(last=False)
        return admission


def _read(token: str, key: Any, algorithm: str) -> AdmissionPass | None:
    """The pass in a token whose signature is good; of which room and until when is for the caller to ask."""
    # of our own clock is asked when it ends; when it began another machine's clock said
    options: Any = {"require": _CLAIMS, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
    options["verify_aud"] = False
    try:
        claims = jwt.decode(token, key, algorithms=[algorithm], issuer=ISSUER, options=options)
    except jwt.InvalidTokenError:
        return None
    return _pass_of(claims)


def _pass_of(claims: Mapping[str, Any]) -> AdmissionPass | None:
    room_id, number, holder = claims["aud"], claims["number"], claims["sub"]
    if not isinstance(room_id, str) or not isinstance(holder, str) or not isinstance(claims["jti"], str):
        return None
    if not _SUBJECT.fullmatch(holder):  # it becomes a header
        return None
    named, _, place = claims["jti"].partition(".")
    epoch, _, numbered = place.partition(".")
    if named != room_id or numbered != str(number) or not epoch.isdecimal() or not numbered.isdecimal():
        return None
    times = claims["iat"], claims["exp"]
    if not all(isinstance(each, int) and 0 <= each < SECONDS_MAX for each in times):
        return None
    return AdmissionPass(
        event_id=room_id, epoch=int(epoch), number=int(numbered), holder=holder, began_s=times[0], expires_s=times[1]
    )
