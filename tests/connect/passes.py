"""A Tiketi that signs passes, and publishes its keys, in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.connect.asked import Asked
from app.connect.gate import Arrival, Gate

NOW_S = 1_800_000_000.0
ROOM = "sale"
TIKETI = "https://line.example"
SECRET = "5f0f0f2e-3d7b-4a54-9f2e-6b5f6f9f6c11c2b0ae0e-7c52-4f43-a6c5-53f4b6f1a0d2"


class Clock:
    """Says what it is told, as Unix time and as a steady one."""

    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


class Tiketi:
    """`fetched` counts how often its keys were asked for; `is_away`: nobody answers."""

    def __init__(self) -> None:
        self.keys = {"k1": Ed25519PrivateKey.generate()}
        self.is_away = False
        self.fetched = 0
        self.ended: list[tuple[str, str]] = []

    def fetch(self) -> bytes:
        self.fetched += 1
        if self.is_away:
            raise ConnectionRefusedError("nobody is there")
        return json.dumps({"keys": [self._jwk(kid, key) for kid, key in self.keys.items()]}).encode()

    def post(self, url: str, api_key: str) -> None:
        if self.is_away:
            raise ConnectionRefusedError("nobody is there")
        self.ended.append((url, api_key))

    def token(self, kid: str = "k1", **other: Any) -> str:
        return jwt.encode(claims(**other), self.keys[kid], algorithm="EdDSA", headers={"kid": kid})

    def _jwk(self, kid: str, key: Ed25519PrivateKey) -> Mapping[str, str]:
        found: Mapping[str, str] = jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        return {**found, "kid": kid, "use": "sig", "alg": "EdDSA"}

    def gate(self, clock: Clock, **other: Any) -> Gate:
        return Gate(**self.settings(clock, **other))

    def settings(self, clock: Clock, **other: Any) -> dict[str, Any]:
        ours = {"tiketi": TIKETI, "room": ROOM, "seconds": clock, "steady": clock}
        return {**ours, "fetch": self.fetch, "post": self.post, "origin": "shop", "api_key": "key", **other}


def claims(**other: Any) -> dict[str, Any]:
    """Of a pass that opens the room, with others in place of some; None: without it."""
    began_s = int(NOW_S)
    usual = {"iss": "tiketi", "aud": ROOM, "sub": "h1", "jti": f"{ROOM}.1.7", "number": 7}
    made = {**usual, "iat": began_s, "nbf": began_s, "exp": began_s + 600, **other}
    return {name: value for name, value in made.items() if value is not None}


def arrival(
    target: str = "/buy", method: str = "GET", *, token: str = "", host: str = "shop.example", **headers: str
) -> Arrival:
    """A browser that goes there, with the pass in its cookie."""
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    if token:
        pairs.append((b"cookie", f"a=b; tiketi_pass_{ROOM}={token}".encode()))
    return Arrival(Asked.at(method, host, target, pairs), "https", host, target)
