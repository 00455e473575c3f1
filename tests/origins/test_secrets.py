"""What an origin signs and shows itself with: random, shown once, and of no use to who reads the database."""

from __future__ import annotations

import re
import secrets

import pytest

from app.origins.secrets import NotOurs, Sealer, hash_of, new_api_key, new_secret

KEY = bytes(range(32))


def test_a_secret_is_two_random_uuids() -> None:
    made = {new_secret(secrets.token_bytes) for _ in range(100)}
    uuid = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert len(made) == 100
    assert all(re.fullmatch(uuid * 2, secret) for secret in made)


def test_a_sealed_secret_is_read_again_for_its_origin_only() -> None:
    sealer = Sealer(KEY, secrets.token_bytes)
    sealed = sealer.seal("text", "a")
    assert b"text" not in sealed
    assert sealer.open(sealed, "a") == "text"
    with pytest.raises(NotOurs, match="origin b"):
        sealer.open(sealed, "b")
    with pytest.raises(NotOurs):
        Sealer(bytes(32), secrets.token_bytes).open(sealed, "a")
    with pytest.raises(NotOurs):
        sealer.open(sealed[:5], "a")
    with pytest.raises(NotOurs):
        sealer.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "a")


def test_two_sealings_of_one_secret_differ() -> None:
    sealer = Sealer(KEY, secrets.token_bytes)
    assert sealer.seal("text", "a") != sealer.seal("text", "a")


def test_of_an_api_key_its_hash_is_stored() -> None:
    key = new_api_key(secrets.token_bytes)
    assert len(key) == 64
    assert hash_of(key) != hash_of(new_api_key(secrets.token_bytes))
    assert key.encode() not in hash_of(key)
