"""A session is good for as long as the setting says, whoever signed it."""

from __future__ import annotations

import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.http.accounts.tokens import BadToken, Session, Tokens

KEYS = {"k": Ed25519PrivateKey.generate()}


def session(began_s: float, expires_s: int) -> Session:
    return Session(
        user_id="u", email="a@b.c", name="A", role="admin", session_id="s", began_s=began_s, expires_s=expires_s
    )


@pytest.mark.parametrize(
    ("began_ago_s", "read"), [(10, None), (3_700, BadToken.expired), (-30, None), (-7_200, BadToken.invalid)]
)
def test_no_session_is_good_for_longer_than_the_setting_says(began_ago_s: int, read: BadToken | None) -> None:
    """Not one that was signed under a longer setting or by somebody with the key, nor one that begins tomorrow."""
    tokens = Tokens(KEYS, "k", session_s=3_600)
    now_s = time.time()
    token = tokens.sign_session(session(now_s - began_ago_s, int(now_s) + 10 * 86_400))
    found = tokens.read_session(token)
    assert found == read if read else isinstance(found, Session)


def test_a_session_of_a_key_that_was_removed_is_good_no_longer() -> None:
    """Also if its signature was checked before."""
    keys = {name: Ed25519PrivateKey.generate() for name in ("old", "new")}
    now_s = time.time()
    token = Tokens(keys, "old").sign_session(session(now_s, int(now_s) + 600))
    reads = Tokens(keys, "new")
    assert isinstance(reads.read_session(token), Session)
    reads.learn({"new": keys["new"]})
    assert reads.read_session(token) is BadToken.invalid
    assert [key["kid"] for key in reads.jwks()["keys"]] == ["new"]
