"""Checks invitations: JWTs (RFC 7519) by which the organiser's own log-in names a person who may join a line.

`aud` is the event, `sub` the person; `exp` and `jti` are required. The algorithm follows from the key that the operator
set, never from the token: a shared secret takes HS256 only, a public key only its own. Touches no store. Public keys
come from a file, or from an address: these are remembered, and asked for again beside the requests, at a bounded rate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import Any, NamedTuple

import httpx2
import jwt

from app.fetching import BoundedTransport, Fetched

TOKEN_CHARS_MAX = 4_000
SUB_CHARS_MAX = 200
JTI_CHARS_MAX = 200
KEYS_MAX = 50
LOOK_S = 60.0  # so often it is looked whether keys of an address are old
SECRET_BYTES_MIN = 32  # RFC 7518, 3.2: as long as the hash
PUBLIC_ALGORITHMS = frozenset({"ES256", "RS256", "EdDSA"})
Key = tuple[Any, str]  # the key as PyJWT takes it, and its one algorithm


class BadInvitation(StrEnum):
    """Why a token invites nobody to this line."""

    invalid = "invitation_invalid"
    expired = "invitation_expired"
    foreign = "invitation_foreign"
    unread = "invitation_unread"  # its key may be one that was not asked for yet


class BadKeys(ValueError):
    """The keys that the operator set cannot be used; the text says why."""


class Invitation(NamedTuple):
    sub: str


class Invitations:
    """`secret`: of HS256, or None. `jwks`: the text of a JSON Web Key Set (RFC 7517), or None. `remote`: one at an
    address. `clock`: Unix seconds. Raises BadKeys.
    """

    def __init__(
        self,
        secret: bytes | None,
        jwks: str | None,
        clock: Callable[[], float],
        remote: Fetched[dict[str, Key]] | None = None,
    ) -> None:
        if secret is not None and len(secret) < SECRET_BYTES_MIN:
            raise BadKeys(f"the secret has {len(secret)} bytes and needs {SECRET_BYTES_MIN}")
        self._secret: Key | None = None if secret is None else (secret, "HS256")
        self._of_file: dict[str, Key] = {} if jwks is None else _public_keys(jwks)
        self._remote = remote
        self._wanted = asyncio.Event()  # a key that is not known was asked for
        self._clock = clock

    def read(self, token: str, event_id: str) -> Invitation | BadInvitation:
        """Whom the token invites to this event's line. Never raises, whatever the text."""
        if len(token) > TOKEN_CHARS_MAX:
            return BadInvitation.invalid
        try:
            key = self._key_of(jwt.get_unverified_header(token))
            if isinstance(key, BadInvitation):
                return key
            # when it expires is asked of our own clock below
            options: Any = {"require": ["exp", "sub", "aud", "jti"], "verify_exp": False, "verify_iat": False}
            claims = jwt.decode(token, key[0], algorithms=[key[1]], audience=event_id, options=options)
            begins_s, ends_s = float(claims.get("nbf", 0)), float(claims["exp"])
        except jwt.InvalidAudienceError:
            return BadInvitation.foreign
        except (jwt.PyJWTError, ValueError, TypeError):
            return BadInvitation.invalid
        sub, jti, now = claims["sub"], claims["jti"], self._clock()
        if not (_is_name(sub, SUB_CHARS_MAX) and _is_name(jti, JTI_CHARS_MAX)) or begins_s > now:
            return BadInvitation.invalid
        return Invitation(sub) if ends_s > now else BadInvitation.expired

    async def run(self) -> None:
        """Keep the keys of the address as new as tokens ask for, until cancelled."""
        while True:
            if self._remote is not None:
                newer = self._wanted.is_set()
                self._wanted.clear()
                await self._remote.renew(newer=newer)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wanted.wait()

    def _key_of(self, head: dict[str, Any]) -> Key | BadInvitation:
        if head.get("alg") == "HS256":
            return self._secret or BadInvitation.invalid
        if head.get("alg") not in PUBLIC_ALGORITHMS:
            return BadInvitation.invalid
        public = self._of_file if self._remote is None else self._remote.value or {}
        kid = head.get("kid")
        found = public.get(kid) if isinstance(kid, str) else None
        if found is None and len(public) == 1 and kid is None:
            (found,) = public.values()
        if found is not None:
            return found
        if self._remote is None or self._remote.is_fresh:
            return BadInvitation.invalid
        self._wanted.set()
        return BadInvitation.unread


def remote_keys(url: str, seconds: Callable[[], float]) -> tuple[Fetched[dict[str, Key]], httpx2.AsyncClient]:
    """The keys at an address, and the client that asks for them, to be closed. `seconds`: steady."""
    client = httpx2.AsyncClient(transport=BoundedTransport(), trust_env=False)
    return Fetched(client, url, _usable_keys, seconds), client


def _is_name(value: object, chars_max: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= chars_max


def _public_keys(text: str) -> dict[str, Key]:
    try:
        found = jwt.PyJWKSet.from_json(text).keys
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
        raise BadKeys(f"this is no JSON Web Key Set: {error}") from error
    keys = {key.key_id or "": (key.key, key.algorithm_name) for key in found}
    for kid, (_, algorithm) in keys.items():
        if algorithm not in PUBLIC_ALGORITHMS:
            raise BadKeys(f"the key {kid!r} is of {algorithm}; take one of {', '.join(sorted(PUBLIC_ALGORITHMS))}")
    if len(keys) != len(found):
        raise BadKeys("each key needs a kid of its own")
    return keys


def _usable_keys(said: Any) -> dict[str, Key]:
    """Those of a key set that may sign invitations: a log-in's own set has others beside them. Raises ValueError."""
    keys = said.get("keys") if isinstance(said, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= KEYS_MAX:
        raise ValueError("this is no JSON Web Key Set")
    try:
        found = jwt.PyJWKSet(keys).keys
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"no key can be used: {error}") from error
    usable = [key for key in found if key.algorithm_name in PUBLIC_ALGORITHMS and key.public_key_use != "enc"]
    if not usable or len({key.key_id for key in usable}) != len(usable):
        raise ValueError("no key can be used, or two have one kid")
    return {key.key_id or "": (key.key, key.algorithm_name) for key in usable}
