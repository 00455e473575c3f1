"""The token with which a connector lets a visitor in: `queueittoken` in the address they come back by.

Groups joined by `~`, a name and a value by `_`, so no value may hold either; the last group is the lower-case hex
HMAC-SHA256 (RFC 2104) of all before it, keyed with the secret's text. Connectors of all versions read `q` and `rt`, and
some go in circles without them. Pure; whoever has the secret can make one.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from app.domain.targets import with_part

TOKEN_PART = "queueittoken"  # noqa: S105 - a name, not a secret
TOKEN_LIFE_S = 180  # from when it is made until a connector takes it: what their clock may be behind, and the way there
ON_THE_WAY_S = 10  # from when a turn is taken up until the token is made
VISIT_S_MIN = 60  # connectors count in minutes
TOKEN_CHARS_MAX = 1_000
_VALUE = re.compile(r"[A-Za-z0-9.:-]{1,64}")
_SIGNED = re.compile(r"([!-~]+)~h_([0-9a-f]{64})")


class RedirectType(StrEnum):
    """How somebody was let in, as connectors tell it to shops. Never `debug`, which opens their diagnostics."""

    queue = "queue"
    safetynet = "safetynet"  # straight in, without a line


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueToken:
    """`ends_s`: in Unix seconds, until when a connector takes it. `valid_minutes`: of the cookie that it then sets.
    `address`: of the one client that may use it."""

    room: str
    queue_id: str
    ends_s: int
    valid_minutes: int
    redirect_type: RedirectType = RedirectType.queue
    address: str | None = None


def signed(token: QueueToken, secret: str) -> str:
    """The text of a token. None of its values holds what divides them."""
    groups = {
        "e": token.room,
        "q": token.queue_id,
        "ts": str(token.ends_s),
        "ce": "False",
        "cv": str(token.valid_minutes),
        "rt": token.redirect_type.value,
    }
    if token.address is not None:
        groups["hip"] = digest_of(token.address, secret)
    assert all(_VALUE.fullmatch(value) for value in groups.values()), "a value would be read as two"
    text = "~".join(f"{name}_{value}" for name, value in groups.items())
    return f"{text}~h_{digest_of(text, secret)}"


def read(text: str, secrets: Sequence[str]) -> QueueToken | None:
    """The token if it is one that `signed` made with one of these secrets; None for everything else. Never raises."""
    parts = _SIGNED.fullmatch(text) if len(text) <= TOKEN_CHARS_MAX else None
    if parts is None:
        return None
    if not any([hmac.compare_digest(digest_of(parts[1], secret), parts[2]) for secret in secrets]):  # noqa: C419 - all
        return None
    said = dict(group.partition("_")[::2] for group in parts[1].split("~"))
    try:
        return QueueToken(
            room=said["e"],
            queue_id=said["q"],
            ends_s=int(said["ts"]),
            valid_minutes=int(said["cv"]),
            redirect_type=RedirectType(said["rt"]),
        )
    except (KeyError, ValueError):
        return None  # signed with the secret by somebody else, in another way


def digest_of(text: str, secret: str) -> str:
    return hmac.digest(secret.encode(), text.encode(), sha256).hex()


def with_token(url: str, token: str) -> str:
    """The address with the token in its query, in place of an old one."""
    return with_part(url, TOKEN_PART, token)


def visit_s_of(pass_s: int) -> int:
    """How long a place must be held so that its visitor has `pass_s` on the site, in whole minutes."""
    return max(pass_s, VISIT_S_MIN) + TOKEN_LIFE_S + ON_THE_WAY_S


def minutes_of(left_s: float) -> int:
    """How long a connector's cookie may be good: whole minutes that end within what is left of the visit, even if the
    token is used as late as it can be. 0: so little is left that no token may be made."""
    return max(0, int(left_s - TOKEN_LIFE_S) // 60)
