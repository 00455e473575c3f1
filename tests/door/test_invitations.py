"""Invitations: what the organiser's log-in signed for a person and an event is one, and nothing else is."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from app.connections import running
from app.domain.invited import Invited
from app.domain.ticket import INVITED_PATTERN, holder_text, is_account, is_invited
from app.door.invitations import (
    TOKEN_CHARS_MAX,
    BadInvitation,
    BadKeys,
    Invitation,
    Invitations,
    _usable_keys,
    remote_keys,
)
from app.fetching import AGAIN_S
from tests.identity.provider import FakeProvider, new_key, serving_provider
from tests.waiting import wait_until

NOW = 1_800_000_000
SECRET = b"what the organiser and we know".ljust(64, b".")
CLAIMS: dict[str, Any] = {"aud": "gig", "sub": "person-7", "exp": NOW + 60, "jti": "1"}
PRIVATE: dict[str, Any] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
TO_JWK: dict[str, Any] = {"ES256": ECAlgorithm, "RS256": RSAAlgorithm, "EdDSA": OKPAlgorithm}


def signed(secret: bytes = SECRET, algorithm: str = "HS256", **changed: Any) -> str:
    claims = {name: value for name, value in (CLAIMS | changed).items() if value is not None}
    return jwt.encode(claims, secret, algorithm=algorithm)


def key_set(*names: str) -> str:
    keys = [
        TO_JWK[name].to_jwk(PRIVATE[name].public_key(), as_dict=True) | {"kid": name, "alg": name} for name in names
    ]
    return json.dumps({"keys": keys})


def read(token: str, secret: bytes | None = SECRET, jwks: str | None = None) -> Invitation | BadInvitation:
    return Invitations(secret, jwks, lambda: NOW).read(token, "gig")


def test_what_the_organiser_signed_names_the_person() -> None:
    assert read(signed()) == Invitation("person-7")
    assert read(signed(aud=["other", "gig"])) == Invitation("person-7")


@pytest.mark.parametrize("name", list(PRIVATE))
def test_each_public_key_checks_what_its_private_key_signed(name: str) -> None:
    token = jwt.encode(CLAIMS, PRIVATE[name], algorithm=name, headers={"kid": name})
    assert read(token, None, key_set(*PRIVATE)) == Invitation("person-7")
    assert read(token, None, key_set(*(set(PRIVATE) - {name}))) is BadInvitation.invalid
    assert read(jwt.encode(CLAIMS, PRIVATE[name], algorithm=name), None, key_set(name)) == Invitation("person-7")


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (signed(exp=NOW), BadInvitation.expired),
        (signed(aud="other"), BadInvitation.foreign),
        (signed(aud=None), BadInvitation.invalid),
        (signed(sub=None), BadInvitation.invalid),
        (signed(sub=""), BadInvitation.invalid),
        (signed(sub="x" * 201), BadInvitation.invalid),
        (signed(jti=None), BadInvitation.invalid),
        (signed(exp=None), BadInvitation.invalid),
        (signed(nbf=NOW + 1), BadInvitation.invalid),
        (signed(secret=SECRET + b"!"), BadInvitation.invalid),
        (signed(algorithm="HS512"), BadInvitation.invalid),
        (jwt.encode(CLAIMS, "", algorithm="none"), BadInvitation.invalid),
        (signed().rpartition(".")[0] + ".", BadInvitation.invalid),
        ("", BadInvitation.invalid),
        ("a.b.c", BadInvitation.invalid),
        ("é", BadInvitation.invalid),
        ("x" * (TOKEN_CHARS_MAX + 1), BadInvitation.invalid),
        (signed(note="x" * TOKEN_CHARS_MAX), BadInvitation.invalid),
    ],
)
def test_what_nobody_signed_or_is_for_others_invites_nobody(token: str, why: BadInvitation) -> None:
    assert read(token) is why


def test_a_secret_made_of_the_public_key_signs_nothing() -> None:
    public = PRIVATE["RS256"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"RS256"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(CLAIMS).encode()).rstrip(b"=")
    mac = jwt.get_algorithm_by_name("HS256").sign(head + b"." + body, public)
    token = b".".join([head, body, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()
    for secret in (None, SECRET):
        assert read(token, secret, key_set("RS256")) is BadInvitation.invalid


def test_a_public_key_takes_its_own_algorithm_only() -> None:
    token = jwt.encode(CLAIMS, PRIVATE["ES256"], algorithm="ES256", headers={"kid": "RS256"})
    assert read(token, None, key_set("RS256", "ES256")) is BadInvitation.invalid


def test_without_keys_nobody_is_invited() -> None:
    assert read(signed(), None, None) is BadInvitation.invalid


@pytest.mark.parametrize(
    ("secret", "jwks"),
    [
        (b"short", None),
        (None, "{}"),
        (None, "no json"),
        (None, '{"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}]}'),
    ],
)
def test_keys_that_protect_nothing_are_refused_at_the_start(secret: bytes | None, jwks: str | None) -> None:
    with pytest.raises(BadKeys):
        Invitations(secret, jwks, lambda: NOW)


INVITED = Invited({1: b"k" * 32}, 1, b"h" * 32)


def test_a_person_is_one_holder_of_an_event_and_looks_like_no_other() -> None:
    holder = INVITED.holder("gig", "ann")
    assert holder == INVITED.holder("gig", "ann")
    others = {INVITED.holder("gig", "bob"), INVITED.holder("other", "ann"), INVITED.holder("gi", "gann")}
    assert len({holder, *others}) == 4
    assert is_invited(holder)
    assert not is_account(holder)
    assert holder_text(holder)[:6].startswith(INVITED_PATTERN[1:6])


def test_only_a_cookie_that_we_signed_proves_who_was_invited() -> None:
    holder = INVITED.holder("gig", "ann")
    cookie = INVITED.cookie(b"gig", holder)
    assert INVITED.read(b"gig", cookie.encode()) == holder
    assert INVITED.read(b"gi", cookie.encode()) is None
    stranger = Invited({1: b"x" * 32}, 1, b"h" * 32)
    for forged in (stranger.cookie(b"gig", holder), holder_text(holder), "", "A" * 44, cookie[:-1] + "_"):
        assert INVITED.read(b"gig", forged.encode()) is None
    newer = Invited({1: b"k" * 32, 2: b"n" * 32}, 2, b"h" * 32)
    assert newer.read(b"gig", cookie.encode()) == holder


async def test_keys_at_an_address_are_asked_for_again_for_a_new_one_at_a_bounded_rate() -> None:
    async with serving_provider(FakeProvider()) as shop:
        now_s = [1_000.0]
        remote, client = remote_keys(f"{shop.url}/keys", lambda: now_s[0])
        invitations = Invitations(None, None, lambda: NOW, remote)
        stranger = jwt.encode(CLAIMS, new_key(), algorithm="RS256", headers={"kid": "three"})

        async def is_known() -> bool:
            return invitations.read(shop.sign(CLAIMS), "gig") == Invitation("person-7")

        async def were_asked(times: int) -> None:
            async def asked() -> bool:
                return shop.asked.count("/keys") == times

            await wait_until(asked, description=f"the keys were asked for {times} times")

        assert invitations.read(shop.sign(CLAIMS), "gig") is BadInvitation.unread
        async with running(keys=invitations.run()):
            await wait_until(is_known, description="the first keys are read")
            shop.keys["two"] = new_key()
            assert invitations.read(shop.sign(CLAIMS), "gig") is BadInvitation.invalid, "they were read just now"
            now_s[0] += AGAIN_S
            assert invitations.read(shop.sign(CLAIMS), "gig") is BadInvitation.unread
            await wait_until(is_known, description="the newer keys are read")
            for _ in range(20):
                assert invitations.read(stranger, "gig") is BadInvitation.invalid
                await asyncio.sleep(0)
            await were_asked(2)
            now_s[0] += AGAIN_S
            shop.is_away = True
            assert invitations.read(stranger, "gig") is BadInvitation.unread
            await were_asked(3)
            for _ in range(20):
                assert invitations.read(stranger, "gig") is BadInvitation.unread
                await asyncio.sleep(0)
            assert await is_known(), "what it said before holds while it is away"
            await were_asked(3)
            for unsigned in (jwt.encode(CLAIMS, "", algorithm="none"), signed()):
                assert invitations.read(unsigned, "gig") is BadInvitation.invalid
        await client.aclose()


def test_of_a_log_ins_own_keys_those_that_sign_are_taken() -> None:
    own = json.loads(key_set(*PRIVATE))["keys"]
    sealing = own[1] | {"use": "enc", "alg": "RSA-OAEP", "kid": "sealing"}
    assert set(_usable_keys({"keys": [*own, sealing]})) == set(PRIVATE)
    useless: Any
    for useless in ({}, [], {"keys": []}, {"keys": [sealing]}, {"keys": [{}]}, {"keys": "x"}, {"keys": own * 51}):
        with pytest.raises(ValueError, match=r"(?i)key"):
            _usable_keys(useless)
    with pytest.raises(ValueError, match="one kid"):
        _usable_keys({"keys": [own[0], own[0]]})
