"""Signed tokens: the session of a person logged in, and what a browser keeps while it is sent to log in elsewhere; and
the public keys for these and for passes (app/origins/passes.py).

Stock JWTs, EdDSA (RFC 8037).
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.http.kit.clock import Clock
from app.identity.subject import Attempt
from app.origins.passes import ISSUER

SESSION_AUDIENCE = "tiketi:session"
LOGIN_AUDIENCE = "tiketi:login"
TOKEN_CHARS_MAX = 2_000
SESSION_S = 12 * 3600
CLOCK_AHEAD_S = 60  # a session of another machine, whose clock is ahead, is believed that far
SESSIONS_CACHED_MAX = 10_000  # checking a signature costs a hundred times as much as finding it checked


class BadToken(StrEnum):
    invalid = "invalid"
    expired = "expired"
    ended = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody logged in. `began_s` is when they asked to, so that what ended their sessions since ends this one.
    `verified`: their account was then; taking that back ends its sessions."""

    user_id: str
    email: str
    name: str
    role: str
    session_id: str
    began_s: float
    expires_s: int
    verified: bool = False


class BegunLogin(NamedTuple):
    """A log-in elsewhere that a browser was sent to: what it must bring back, and where it goes on to afterwards.
    `separate`: whoever logs in wants an account of their own, whatever accounts there are with their email.
    """

    attempt: Attempt
    onward: str
    separate: bool


IsOver = Callable[[str, str, float], bool]  # (session id, user id, began_s)


class Tokens:
    """Signs with the newest key; checks with any of `keys` (key id → private key). `is_over` is asked about every
    session that is read, whether or not its signature was checked before. No session is good for longer than
    `session_s`, whoever signed it with whatever end."""

    def __init__(
        self,
        keys: dict[str, Ed25519PrivateKey],
        kid: str,
        is_over: IsOver = lambda *_: False,
        clock: Clock | None = None,
        session_s: int = SESSION_S,
    ) -> None:
        self._session_s = session_s
        self._keys = dict(keys)
        self._public = {name: key.public_key() for name, key in keys.items()}
        self._kid = kid
        self._is_over = is_over
        self._clock = clock or Clock()
        self._checked: OrderedDict[str, Session] = OrderedDict()  # sessions whose signature is good, by token

    def learn(self, keys: Mapping[str, Ed25519PrivateKey]) -> None:
        """Check with these, and with the one that signs here, from now on, and publish them."""
        self._keys = {**keys, self._kid: self._keys[self._kid]}
        self._public = {name: key.public_key() for name, key in self._keys.items()}
        self._checked.clear()  # their signatures may be of a key that was removed

    def jwks(self) -> dict[str, Any]:
        """The public keys, as RFC 7517 spells them."""
        return {"keys": [_jwk(kid, key) for kid, key in self._keys.items()]}

    def sign_session(self, session: Session) -> str:
        return self._sign(
            {
                "iss": ISSUER,
                "aud": SESSION_AUDIENCE,
                "sub": session.user_id,
                "email": session.email,
                "name": session.name,
                "role": session.role,
                "verified": session.verified,
                "jti": session.session_id,
                "iat": session.began_s,
                "exp": session.expires_s,
            }
        )

    def sign_begun(self, begun: BegunLogin, expires_s: int) -> str:
        claims = {"iss": ISSUER, "aud": LOGIN_AUDIENCE, "exp": expires_s, **begun.attempt._asdict()}
        return self._sign({**claims, "onward": begun.onward, "separate": begun.separate})

    def read_begun(self, token: str) -> BegunLogin | BadToken:
        claims = self._read(token, LOGIN_AUDIENCE, ["exp", *Attempt._fields, "onward", "separate"])
        if isinstance(claims, BadToken):
            return claims
        attempt = Attempt(*(claims[name] for name in Attempt._fields))
        return BegunLogin(attempt, claims["onward"], claims["separate"])

    def read_session(self, token: str) -> Session | BadToken:
        session = self._checked.get(token) or self._new_session(token)
        if isinstance(session, BadToken):
            return session
        if session.expires_s <= self._clock.seconds():
            self._checked.pop(token, None)
            return BadToken.expired
        if self._is_over(session.session_id, session.user_id, session.began_s):
            return BadToken.ended
        return session

    def _new_session(self, token: str) -> Session | BadToken:
        claims = self._read(token, SESSION_AUDIENCE, ["exp", "iat", "jti", "sub", "email", "name", "role"])
        if isinstance(claims, BadToken):
            return claims
        began_s = claims["iat"]
        if not isinstance(began_s, int | float) or began_s > self._clock.seconds() + CLOCK_AHEAD_S:
            return BadToken.invalid
        session = Session(
            user_id=claims["sub"],
            email=claims["email"],
            name=claims["name"],
            role=claims["role"],
            session_id=claims["jti"],
            began_s=began_s,
            expires_s=min(claims["exp"], int(began_s) + self._session_s),
            verified=claims.get("verified") is True,
        )
        self._checked[token] = session
        if len(self._checked) > SESSIONS_CACHED_MAX:
            self._checked.popitem(last=False)
        return session

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._keys[self._kid], algorithm="EdDSA", headers={"kid": self._kid})

    def _read(self, token: str, audience: str, required: list[str]) -> dict[str, Any] | BadToken:
        if len(token) > TOKEN_CHARS_MAX:
            return BadToken.invalid
        try:
            key = self._public.get(jwt.get_unverified_header(token).get("kid", ""))
            if key is None:
                return BadToken.invalid
            # the clock of another machine may be ahead; when it expires is asked of our own below
            options: Any = {"require": required, "verify_iat": False, "verify_exp": False}
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=["EdDSA"], audience=audience, issuer=ISSUER, options=options
            )
        except jwt.InvalidTokenError:
            return BadToken.invalid
        return claims if claims["exp"] > self._clock.seconds() else BadToken.expired


def _jwk(kid: str, key: Ed25519PrivateKey) -> dict[str, str]:
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": x}
