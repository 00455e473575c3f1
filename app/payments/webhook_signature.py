"""The simulator's webhook signature: an HMAC-SHA256 over time and body with a secret that only both sides know."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

TOLERANCE_S = 300  # greatest accepted difference between the signature's time and ours, in either direction
SIGNATURE_MAX = 200


def sign(secret: bytes, body: bytes, at_s: int) -> str:
    """The signature header: `t=<seconds>,v1=<hex>`."""
    return f"t={at_s},v1={_mac(secret, body, at_s)}"


class WebhookSecrets:
    """The secrets that webhooks may be signed with: several while one is rotated."""

    def __init__(self, known: Sequence[bytes]) -> None:
        self._known = tuple(known)

    def learn(self, known: Sequence[bytes]) -> None:
        """These and no others from now on."""
        self._known = tuple(known)

    def are_of(self, body: bytes, signature: str, now_s: float) -> bool:
        """Whether the signature was made for this body with one of them, within TOLERANCE_S of now."""
        return any(is_signed(secret, body, signature, now_s) for secret in self._known)


def is_signed(secret: bytes, body: bytes, signature: str, now_s: float) -> bool:
    """Whether this signature was made for this body with this secret, within TOLERANCE_S of now."""
    if len(signature) > SIGNATURE_MAX or not signature.isascii():
        return False
    fields = dict(part.partition("=")[::2] for part in signature.split(","))
    at_s, given = fields.get("t", ""), fields.get("v1", "")
    if not at_s.isdigit() or len(at_s) > 12 or abs(now_s - int(at_s)) > TOLERANCE_S:
        return False
    return hmac.compare_digest(_mac(secret, body, int(at_s)), given)


def _mac(secret: bytes, body: bytes, at_s: int) -> str:
    return hmac.new(secret, b"%d." % at_s + body, hashlib.sha256).hexdigest()
