"""What a log-in at the organiser's own provider is made of, and how it fails; openid.py does it."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class ProviderAway(Exception):
    """The provider did not answer, or says of itself what cannot be. The text says what."""


class LoginRefused(Exception):
    """What came back proves nobody. The text says why, for the log."""


class TooManyAtOnce(Exception):
    """As many codes are being asked about as may be."""


class Attempt(NamedTuple):
    """What one log-in must bring back: `state` through the browser, `nonce` in what the provider signs, and `verifier`,
    whose hash the provider was shown."""

    state: str
    nonce: str
    verifier: str


class Subject(NamedTuple):
    """Who logged in. `email` is "" unless the provider has checked it; `name` may be "". Both are as it says them."""

    subject: str
    email: str
    name: str


class Client(NamedTuple):
    """What the provider knows this shop by. `secret`: "" for a public client."""

    client_id: str
    secret: str
    redirect_url: str


class Provider(Protocol):
    """Where people log in besides here. `issuer` is its name for ever: subjects are unique under it."""

    issuer: str

    async def begin(self) -> tuple[str, Attempt]:
        """Where to send the browser, and what to remember until it comes back. Raises ProviderAway."""

    async def finish(self, code: str, attempt: Attempt) -> Subject:
        """Who logged in. Raises ProviderAway, LoginRefused, TooManyAtOnce."""
