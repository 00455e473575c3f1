"""What Tiketi signs and publishes, a site verifies: the middleware shares no code with it."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.connect.asked import Asked
from app.connect.gate import Arrival, Gate, Onward
from app.domain.passing import AdmissionPass
from app.http.accounts.tokens import Tokens
from app.origins.compact import CompactPasses
from app.origins.passes import Passes
from app.origins.secrets import new_secret
from config.keys import thumbprint

NOW_S = 1_800_000_000.0
SECRET = new_secret(lambda size: b"s" * size)
KEY = Ed25519PrivateKey.generate()
KID = thumbprint(KEY)


def admission(room: str = "sale") -> AdmissionPass:
    return AdmissionPass(event_id=room, epoch=2, number=12, holder="h1", began_s=int(NOW_S), expires_s=int(NOW_S) + 600)


def onward(token: str) -> Onward | None:
    tokens = Tokens({KID: KEY}, KID)
    gate = Gate(
        tiketi="https://line.example",
        room="sale",
        secrets=[SECRET],
        seconds=lambda: NOW_S,
        steady=lambda: NOW_S,
        fetch=lambda: json.dumps(tokens.jwks()).encode(),
    )
    gate.keys.renew()
    asked = Asked.at("GET", "shop.example", "/buy", [(b"x-admission-pass", token.encode())])
    decided = gate.decide(Arrival(asked, "https", "shop.example", "/buy"))
    return decided if isinstance(decided, Onward) else None


@pytest.mark.parametrize("secret", [None, SECRET], ids=["EdDSA", "HS256"])
def test_a_pass_of_tiketi_opens_its_room_at_the_site(secret: str | None) -> None:
    passes = Passes({KID: KEY}, KID, CompactPasses({1: b"t" * 32}, 1), lambda: NOW_S)
    found = onward(passes.sign(admission(), secret))
    assert found is not None
    assert found.visit is not None
    assert (found.visit.jti, found.visit.number, found.visit.subject) == (admission().jti, 12, "h1")
    assert onward(passes.sign(admission("other"), secret)) is None


def test_a_pass_of_another_origins_secret_opens_nothing() -> None:
    passes = Passes({KID: KEY}, KID, CompactPasses({1: b"t" * 32}, 1), lambda: NOW_S)
    assert onward(passes.sign(admission(), new_secret(lambda size: b"t" * size))) is None
